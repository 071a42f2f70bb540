"""Two people open, pause and end an offer; and only as it stands when they look."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.ids import OFFER, uuid_of
from tests.rewards.market import Market
from tests.rewards.offers.shop import Shop, code_of, faults_of

LIMITS = {"quota": 10, "budget_minor": 30_000}


def ask_limits(shop: Shop, partner_id: UUID, offer_id: str, before: Any, after: Any) -> str:
    return shop.asked(
        shop.as_partner(partner_id),
        offer_id,
        "limits",
        "",
        expected_current=before,
        target=after,
    )


def usage(shop: Shop, partner_id: UUID, offer_id: str) -> dict[str, Any]:
    answer = shop.client.get(f"/v1/offers/{offer_id}/usage", headers=shop.as_partner(partner_id))
    found: dict[str, Any] = answer.get_json()
    return found


class TestAChangeRequest:
    def test_changes_nothing_by_itself(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)

        asked = shop.ask(shop.as_partner(bank_id), offer_id, "activation", "draft").get_json()

        assert (asked["state"], asked["decision"]) == ("open", None)
        assert asked["target"] == {"state": "active", "active_version": 1}
        assert shop.read(offer_id, shop.as_staff()).get_json()["state"] == "draft"

    def test_that_is_approved_happens(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        request_id = shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft")

        decided = shop.decide(request_id)

        offer = shop.read(offer_id).get_json()
        assert (decided.status_code, decided.get_json()["state"]) == (201, "approved")
        assert (offer["state"], offer["active_version"]) == ("active", 1)

    def test_that_is_rejected_does_not(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        request_id = shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft")

        decided = shop.decide(request_id, "reject")

        assert decided.get_json()["decision"]["decision"] == "rejected"
        assert shop.read(offer_id, shop.as_staff()).get_json()["state"] == "draft"

    def test_goes_through_every_state(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)

        for kind, before, after in (
            ("activation", "draft", "active"),
            ("pause", "active", "paused"),
            ("activation", "paused", "active"),
            ("retirement", "active", "retired"),
        ):
            shop.change(bank_id, offer_id, kind, before)
            assert shop.read(offer_id).get_json()["state"] == after

    @pytest.mark.parametrize(
        ("kind", "state"),
        [("pause", "draft"), ("activation", "retired"), ("retirement", "retired")],
    )
    def test_cannot_do_what_the_state_does_not_allow(
        self, shop: Shop, bank_id: UUID, kind: str, state: str
    ) -> None:
        offer_id = shop.drafted(bank_id)
        if state == "retired":
            shop.change(bank_id, offer_id, "retirement", "draft")

        request_id = shop.asked(shop.as_partner(bank_id), offer_id, kind, state)

        assert code_of(shop.decide(request_id)) == (409, "state-conflict")

    def test_is_decided_once(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        request_id = shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft")
        shop.decide(request_id)

        again = shop.decide(request_id, "rejected")

        assert code_of(again) == (409, "change-request-decided")
        assert again.get_json()["decision"] == "approved"

    def test_is_decided_once_by_ten_at_a_time(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        request_id = shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft")

        with ThreadPoolExecutor(10) as crowd:
            answers = list(crowd.map(lambda _: code_of(shop.decide(request_id)), range(10)))

        assert sorted(answers, key=str) == [(201, None)] + [(409, "change-request-decided")] * 9

    def test_that_expects_another_state_is_refused_with_the_present_one(
        self, shop: Shop, bank_id: UUID
    ) -> None:
        offer_id = shop.drafted(bank_id)
        first, second = (
            shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft") for _ in range(2)
        )
        shop.decide(first)

        refused = shop.decide(second)

        assert code_of(refused) == (409, "state-conflict")
        assert refused.get_json()["current"]["state"] == "active"
        assert shop.decide(second, "rejected").status_code == 201

    def test_that_expects_another_version_is_refused(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.opened(bank_id)
        shop.add_version(bank_id, offer_id)
        expected = {"state": "active", "active_version": 2}

        request_id = shop.asked(
            shop.as_partner(bank_id),
            offer_id,
            "activation",
            "active",
            offer_version=2,
            expected_current=expected,
        )

        assert code_of(shop.decide(request_id)) == (409, "state-conflict")

    def test_tells_the_partner(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        offer_id = shop.opened(bank_id)
        refused = shop.asked(shop.as_partner(bank_id), offer_id, "pause", "active")
        shop.decide(refused, "rejected")

        with market.runtime.database.raw_transaction() as connection:
            events = connection.execute(
                "SELECT type, object_id, state, object_version FROM partner_event"
                " WHERE partner_id = %s ORDER BY occurred_at",
                [bank_id],
            ).fetchall()

        assert events == [
            ("offer.activated", offer_id, "active", 2),
            ("change_request.rejected", refused, "rejected", 1),
        ]


class TestWhoDecides:
    def test_is_not_who_asked(self, shop: Shop, bank_id: UUID) -> None:
        offer_id, staff_id = shop.drafted(bank_id), uuid4()
        request_id = shop.asked(shop.as_staff(staff_id), offer_id, "activation", "draft")

        own = shop.decide(request_id, staff_id=staff_id)
        another = shop.decide(request_id)

        assert code_of(own) == (403, "same-person-approval")
        assert another.status_code == 201

    @pytest.mark.parametrize("role", ["auditor", "verifier"])
    def test_is_an_operator(self, shop: Shop, bank_id: UUID, role: str) -> None:
        offer_id = shop.drafted(bank_id)
        request_id = shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft")
        body = {"decision": "approved", "reason": "looked at"}
        address = f"/v1/change-requests/{request_id}/decisions"

        for headers in (shop.as_staff(role=role), shop.as_partner(bank_id)):
            refused = shop.client.post(address, json=body, headers=headers)
            assert code_of(refused) == (403, "role-missing")

    def test_finds_what_is_open(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        first, second = (
            shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft") for _ in range(2)
        )
        shop.decide(first)

        def seen(headers: dict[str, str], **query: str) -> list[str]:
            answer = shop.client.get(
                "/v1/change-requests",
                query_string={"offer_id": offer_id, **query},
                headers=headers,
            )
            return [request["id"] for request in answer.get_json()["items"]]

        assert seen(shop.as_staff()) == [second, first]
        assert seen(shop.as_staff(), state="open") == [second]
        assert seen(shop.as_partner(bank_id), state="approved") == [first]
        assert seen(shop.as_partner(market.bank())) == []

    def test_does_not_see_another_partners(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        request_id = shop.asked(shop.as_partner(bank_id), offer_id, "activation", "draft")
        address = f"/v1/change-requests/{request_id}"

        mine = shop.client.get(address, headers=shop.as_partner(bank_id))
        others = shop.client.get(address, headers=shop.as_partner(market.bank()))

        assert mine.status_code == 200
        assert code_of(others) == (404, "change-request-unknown")


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("changes", "faults"),
        [
            ({"kind": "activation", "offer_version": None}, {"/offer_version": "field-missing"}),
            ({"kind": "pause", "offer_version": 1}, {"/offer_version": "unknown-field"}),
            ({"kind": "deletion"}, {"/kind": "value-not-allowed"}),
            ({"expected_current": {}}, {"/expected_current/state": "field-missing"}),
            (
                {"expected_current": {"state": "draft", "quota": 1}},
                {"/expected_current/quota": "unknown-field"},
            ),
            ({"target": {"state": "retired"}}, {"/target/state": "value-not-allowed"}),
            (
                {"kind": "limits", "expected_current": LIMITS, "target": {"quota": 1}},
                {"/target/budget_minor": "field-missing"},
            ),
            (
                {"kind": "limits", "expected_current": LIMITS, "target": {**LIMITS, "quota": -1}},
                {"/target/quota": "number-out-of-range"},
            ),
            ({"reason": "<script>"}, {"/reason": "value-invalid"}),
        ],
    )
    def test_is_said_in_full_and_no_more(
        self, shop: Shop, bank_id: UUID, changes: dict[str, Any], faults: dict[str, str]
    ) -> None:
        offer_id = shop.drafted(bank_id)
        body = {
            "offer_id": offer_id,
            "kind": "pause",
            "expected_current": {"state": "draft"},
            "reason": "as agreed",
            **changes,
        }

        asked = shop.client.post("/v1/change-requests", json=body, headers=shop.as_partner(bank_id))

        assert asked.status_code in {400, 422}
        assert faults_of(asked) == faults

    def test_is_about_a_version_that_is_there(self, shop: Shop, bank_id: UUID) -> None:
        asked = shop.ask(
            shop.as_partner(bank_id), shop.drafted(bank_id), "activation", "draft", offer_version=2
        )

        assert code_of(asked) == (404, "offer-version-unknown")

    def test_is_about_an_offer_of_ones_own(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        headers = shop.as_partner(market.bank())

        asked = shop.ask(headers, shop.opened(bank_id), "pause", "active")

        assert code_of(asked) == (404, "offer-unknown")


class TestLimits:
    def test_change_as_expected(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id, **LIMITS)
        more = {"quota": 20, "budget_minor": None}

        decided = shop.decide(ask_limits(shop, bank_id, offer_id, LIMITS, more))

        assert decided.status_code == 201, decided.get_json()
        found = usage(shop, bank_id, offer_id)
        assert (found["quota"], found["budget_minor"]) == (20, None)

    def test_do_not_change_from_what_they_are_not(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id, **LIMITS)
        other = {**LIMITS, "quota": None}

        refused = shop.decide(ask_limits(shop, bank_id, offer_id, other, LIMITS))

        assert code_of(refused) == (409, "state-conflict")
        assert refused.get_json()["current"] == {
            "state": "draft",
            "active_version": None,
            **LIMITS,
        }

    @pytest.mark.parametrize(
        ("after", "status"),
        [
            ({"quota": 3, "budget_minor": 30_000}, 201),
            ({"quota": 2, "budget_minor": 30_000}, 409),
            ({"quota": 3, "budget_minor": 8_999}, 409),
        ],
    )
    def test_do_not_go_below_what_is_taken(
        self, shop: Shop, market: Market, bank_id: UUID, after: dict[str, int], status: int
    ) -> None:
        offer_id = shop.opened(bank_id, **LIMITS)
        with market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE offer_counter SET taken = 3, budget_taken_minor = 9000 WHERE offer_id = %s",
                [uuid_of(OFFER, offer_id)],
            )

        decided = shop.decide(ask_limits(shop, bank_id, offer_id, LIMITS, after))

        assert decided.status_code == status
        if status == 409:
            assert decided.get_json()["code"] == "limits-below-taken"
            assert decided.get_json()["taken"] == 3
