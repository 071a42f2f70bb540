"""What the simulated partner says of a redemption, as the service reads it."""

import json

from service.partners.simulator.book import Benefit
from service.rewards.redemptions.partner_answers import answer_from

REDEMPTION = "rdm_" + "1" * 32
WISH = {
    "partner_reference": "sim-1",
    "points": 100,
    "terms_hash": "a" * 64,
    "effective_from": "2026-11-20T00:00:00+00:00",
    "effective_to": "2027-11-20T00:00:00+00:00",
    "benefit_actual": {"kind": "interest_coupon", "amount_minor": 3000, "currency": "CNY"},
}


def read(benefit: Benefit) -> str:
    return answer_from(REDEMPTION, 200, json.dumps(benefit.view()).encode()).verdict


def test_a_benefit_that_was_granted_in_silence_can_be_captured() -> None:
    answer = answer_from(
        REDEMPTION,
        200,
        json.dumps(Benefit(REDEMPTION, "captured", "sim-1", WISH).view()).encode(),
    )

    assert answer.verdict == "captured"
    assert answer.wish is not None
    assert answer.wish.points == 100


def test_everything_else_is_understood_too() -> None:
    declined = Benefit(REDEMPTION, "declined", "sim-1-d", reason="not-approved")

    assert read(declined) == "declined"
    assert read(Benefit(REDEMPTION, "voided", "sim-1-v")) == "voided"
    assert read(Benefit(REDEMPTION, "pending", "sim-1", WISH)) == "pending"
