"""What a partner may say that it has granted."""

from typing import Any

import pytest

from tests.rewards.market import Market

FACTOR = {"kind": "premium_factor", "factor": "0.95", "band_min": "0.90", "band_max": "1.10"}
COUPON = {"kind": "interest_coupon", "amount_minor": 3000, "currency": "CNY"}


@pytest.mark.parametrize(
    ("quoted", "actual", "status"),
    [
        (FACTOR, {"factor": "0.90"}, 201),
        (FACTOR, {"kind": "premium_factor", "factor": "1.1"}, 201),
        (FACTOR, {"factor": "0.89"}, 422),
        (FACTOR, {"factor": "0.95", "amount_minor": 3000}, 422),
        (FACTOR, {"kind": "interest_coupon", "factor": "0.95"}, 422),
        (COUPON, {"amount_minor": 3000, "currency": "CNY"}, 201),
        (COUPON, {"amount_minor": 3001}, 422),
        (COUPON, {"factor": "0.95"}, 422),
    ],
)
def test_a_benefit_is_captured_as_it_was_quoted(
    market: Market, quoted: dict[str, Any], actual: dict[str, Any], status: int
) -> None:
    offered = market.offer(benefit=quoted)
    customer = market.customer(offered.partner_id)
    redemption_id = market.submitted(customer, offered)

    answer = market.capture(offered, redemption_id, benefit_actual=actual)

    assert answer.status_code == status, answer.get_json()
    assert (market.state(redemption_id) == "captured") == (status == 201)
