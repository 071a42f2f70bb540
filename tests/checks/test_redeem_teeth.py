"""The check of redemptions finds what it looks for: steps lost, made up, or counted otherwise."""

import psycopg
import pytest

from checks.market import Bank, OnOffer
from checks.market import Customer as Known
from checks.redeem_books import compare_books
from checks.redeem_stories import Story
from checks.verdict import Verdict
from service.app import create_app
from service.db import libpq_url
from service.ids import REDEMPTION, public_id
from service.runtime import Runtime
from tests.rewards.market import Market

DONE = ["reservation", "submission", "capture"]


@pytest.fixture
def story(fresh_runtime: Runtime) -> Story:
    """A capture that was acknowledged and is stored."""
    market = Market(fresh_runtime, create_app(fresh_runtime))
    offered = market.offer(caps={"per_citizen": {"period": "day", "most": 3}}, points=10)
    customer = market.customer(offered.partner_id)
    redemption = market.captured(customer, offered)
    on_offer = OnOffer(
        offered.id, Bank(offered.partner_id, ""), "burn", offered.terms.terms_hash, has_cap=True
    )
    return Story(Known(customer.id, customer.consent_id, ""), on_offer, redemption, list(DONE))


def verdict_on(runtime: Runtime, *stories: Story, bank: Bank) -> Verdict:
    verdict = Verdict("redeem", 1)
    compare_books(runtime, bank, stories, verdict)
    return verdict


def test_what_was_told_and_is_there_has_no_faults(fresh_runtime: Runtime, story: Story) -> None:
    assert verdict_on(fresh_runtime, story, bank=story.offered.bank).faults == []


def test_a_step_that_was_told_and_is_not_there_is_missed(
    fresh_runtime: Runtime, story: Story
) -> None:
    story.records.append("reversal")

    assert verdict_on(fresh_runtime, story, bank=story.offered.bank).counts["missing"] == 1


def test_a_step_that_nobody_was_told_of_is_seen(fresh_runtime: Runtime, story: Story) -> None:
    story.records.pop()

    assert verdict_on(fresh_runtime, story, bank=story.offered.bank).counts["doubled"] == 1


def test_a_redemption_that_was_told_and_is_not_there_is_missed(
    fresh_runtime: Runtime, story: Story
) -> None:
    lost = Story(story.customer, story.offered, public_id(REDEMPTION, story.customer.id), [*DONE])

    found = verdict_on(fresh_runtime, story, lost, bank=story.offered.bank)

    assert found.counts["missing"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE offer_counter SET taken = taken + 1",
        "UPDATE offer_counter SET budget_taken_minor = 0",
        "UPDATE offer_use SET taken = taken + 1",
        "DELETE FROM offer_use",
        "UPDATE lot SET redeemed_points = redeemed_points - 1, held_points = held_points + 1",
    ],
)
def test_books_that_do_not_agree_are_seen(
    fresh_runtime: Runtime, story: Story, damage: str
) -> None:
    with psycopg.connect(libpq_url(fresh_runtime.settings.migration_database_url)) as connection:
        connection.execute(damage.encode())

    assert verdict_on(fresh_runtime, story, bank=story.offered.bank).faults != []
