"""A settled benefit is disputed, and staff decide."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from service import clock
from service.rewards.redemptions.timers import run_due
from tests.rewards.market import Customer, Market, Offered, a_person
from tests.rewards.redemptions.staff import as_staff, post, resolve, settled

WORDS = {"reason": "benefit-not-granted", "words": "The rate never changed."}


def dispute(market: Market, customer: Customer, redemption_id: str, **said: Any) -> TestResponse:
    path = f"/v1/redemptions/{redemption_id}/disputes"
    return post(market, path, {**WORDS, **said}, market.as_citizen(customer))


def disputed(market: Market, customer: Customer, offered: Offered) -> str:
    redemption_id = settled(market, market.captured(customer, offered))
    opened = dispute(market, customer, redemption_id)
    assert opened.status_code == 201, opened.get_json()
    return redemption_id


class TestADispute:
    def test_is_opened_in_her_own_words(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 250)
        redemption_id = settled(market, market.captured(customer, offered))

        opened = dispute(market, customer, redemption_id)

        shown = market.client.get(
            f"/v1/redemptions/{redemption_id}/disputes", headers=market.as_citizen(customer)
        )
        assert (opened.status_code, opened.get_json()["state"]) == (201, "disputed")
        assert "never changed" not in opened.get_data(as_text=True)
        assert [step["words"] for step in shown.get_json()["items"]] == ["The rate never changed."]
        assert market.points(customer.id) == {"available": 150, "redeemed": 100}

    def test_keeps_her_words_from_the_partner(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 250)
        redemption_id = disputed(market, customer, offered)

        headers = market.as_partner(offered.partner_id)
        shown = market.client.get(f"/v1/redemptions/{redemption_id}", headers=headers)
        asked = market.client.get(f"/v1/redemptions/{redemption_id}/disputes", headers=headers)

        assert shown.status_code == 200
        assert "never changed" not in shown.get_data(as_text=True)
        assert asked.status_code == 403

    def test_may_be_the_partners_with_a_reason_alone(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = settled(market, market.captured(customer, offered))
        said = {"reason": "charged-twice"}

        refused = market.step(offered, redemption_id, "disputes", {**said, "words": "Hello"})
        opened = market.step(offered, redemption_id, "disputes", said)

        assert (refused.status_code, refused.get_json()["code"]) == (422, "validation-failed")
        assert opened.get_json()["state"] == "disputed"

    def test_needs_her_words(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = settled(market, market.captured(customer, offered))

        refused = dispute(market, customer, redemption_id, words=None)

        assert refused.status_code == 422

    def test_is_possible_for_180_days_after_the_capture(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = settled(market, market.captured(customer, offered))

        with clock.shifted(timedelta(days=181)):
            late = dispute(market, customer, redemption_id)
        with clock.shifted(timedelta(days=179)):
            early = dispute(market, customer, redemption_id)

        assert (late.status_code, late.get_json()["code"]) == (409, "dispute-too-late")
        assert early.status_code == 201

    def test_is_not_possible_before_the_settlement(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)

        refused = dispute(market, customer, market.captured(customer, offered))

        assert (refused.status_code, refused.get_json()["code"]) == (409, "state-conflict")

    def test_about_somebody_elses_redemption_finds_nothing(self, market: Market) -> None:
        offered, other = market.offer(), market.offer()
        customer = market.customer(offered.partner_id)
        stranger = market.customer(other.partner_id)
        redemption_id = settled(market, market.captured(customer, offered))

        by_her = dispute(market, stranger, redemption_id)
        by_bank = market.step(other, redemption_id, "disputes", {"reason": "other"})
        seen = market.client.get(
            f"/v1/redemptions/{redemption_id}/disputes", headers=market.as_citizen(stranger)
        )

        assert {each.status_code for each in (by_her, by_bank, seen)} == {404}

    def test_keeps_the_partner_from_reversing(self, market: Market) -> None:
        offered = market.offer()
        redemption_id = disputed(market, market.customer(offered.partner_id), offered)

        refused = market.step(offered, redemption_id, "reversals", {"reason": "mistake"})

        assert refused.get_json()["code"] == "state-conflict"

    def test_keeps_a_lock_from_maturing_until_it_is_resolved(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        customer = market.customer(offered.partner_id, 250)
        redemption_id = disputed(market, customer, offered)

        with clock.shifted(timedelta(days=31)):
            run_due(market.runtime)
            waiting = market.points(customer.id)
            resolve(market, redemption_id, "settled")
            run_due(market.runtime)

        assert waiting == {"available": 150, "held": 100}
        assert market.points(customer.id) == {"available": 150, "redeemed": 100}


class TestAResolution:
    def test_may_let_the_benefit_stand(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 250)
        redemption_id = disputed(market, customer, offered)

        resolved = resolve(market, redemption_id, "settled")

        assert (resolved.status_code, resolved.get_json()["state"]) == (201, "settled")
        assert market.points(customer.id) == {"available": 150, "redeemed": 100}

    @pytest.mark.parametrize("mode", ["burn", "lock", "attest"])
    def test_may_give_everything_back(self, market: Market, mode: str) -> None:
        offered = market.offer(mode=mode)
        points = offered.terms.points
        customer = market.customer(offered.partner_id, points, person_id=a_person())
        redemption_id = disputed(market, customer, offered)

        resolved = resolve(market, redemption_id, "reversed").get_json()

        assert (resolved["state"], resolved["points"]) == ("reversed", points)
        assert resolved["subsidy_minor"] == 3000
        assert market.points(customer.id) == ({"available": points} if points else {})

    @pytest.mark.parametrize("at_maturity", ["burn", "release"])
    def test_may_give_back_what_has_matured(self, market: Market, at_maturity: str) -> None:
        offered = market.offer(mode="lock", maturity={"days": 30, "at_maturity": at_maturity})
        customer = market.customer(offered.partner_id, 250)
        redemption_id = settled(market, market.captured(customer, offered))

        with clock.shifted(timedelta(days=31)):
            run_due(market.runtime)
            dispute(market, customer, redemption_id)
            resolve(market, redemption_id, "reversed")

        assert market.state(redemption_id) == "reversed"
        assert market.points(customer.id) == {"available": 250}

    def test_tells_her_why(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = disputed(market, customer, offered)
        resolve(market, redemption_id, "settled")

        shown = market.client.get(
            f"/v1/redemptions/{redemption_id}/disputes", headers=market.as_citizen(customer)
        )

        assert shown.get_json()["items"][-1]["words"] == "We have asked the bank."

    def test_is_for_operators_alone(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        path = f"/v1/redemptions/{disputed(market, customer, offered)}/resolutions"
        body = {"outcome": "reversed", "reason": "I say so."}

        refused = [
            post(market, path, body, headers).status_code
            for headers in (
                market.as_citizen(customer),
                market.as_partner(offered.partner_id),
                as_staff(market, uuid4(), "auditor"),
            )
        ]

        assert refused == [403, 403, 403]

    def test_comes_once(self, market: Market) -> None:
        offered = market.offer()
        redemption_id = disputed(market, market.customer(offered.partner_id), offered)
        resolve(market, redemption_id, "reversed")

        again = resolve(market, redemption_id, "reversed")

        assert (again.status_code, again.get_json()["code"]) == (409, "state-conflict")
