"""What nobody knows is decided by two of the staff."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from werkzeug.test import TestResponse

from tests.rewards.market import Customer, Market, Offered
from tests.rewards.redemptions.desk import asked_later
from tests.rewards.redemptions.staff import as_staff, post

EVIDENCE = {"kind": "partner-letter", "reference": "letter-17", "sha256": "0" * 64}


@pytest.fixture
def offered(market: Market) -> Offered:
    return market.offer(quota=10, budget_minor=100_000)


@pytest.fixture
def customer(market: Market, offered: Offered) -> Customer:
    return market.customer(offered.partner_id, 250)


@pytest.fixture
def unknown(market: Market, customer: Customer, offered: Offered) -> str:
    """A redemption whose partner cannot be asked."""
    redemption_id = market.submitted(customer, offered)
    with asked_later(market, days=31):
        assert market.state(redemption_id) == "unknown"
    return redemption_id


def proposed(
    market: Market, redemption_id: str, by: UUID, outcome: str, **more: Any
) -> TestResponse:
    path = f"/v1/redemptions/{redemption_id}/forced-resolutions"
    body = {"outcome": outcome, "evidence": EVIDENCE, **more}
    return post(market, path, body, as_staff(market, by))


def approved(market: Market, proposal: TestResponse, by: UUID) -> TestResponse:
    assert proposal.status_code == 201, proposal.get_json()
    path = f"/v1/forced-resolutions/{proposal.get_json()['id']}/approvals"
    return post(market, path, {}, as_staff(market, by))


def captured(offered: Offered, **more: Any) -> dict[str, Any]:
    said = {"partner_reference": f"loan-{uuid4().hex}", "terms_hash": offered.terms.terms_hash}
    return {"capture": said | more}


class TestAForcedResolution:
    def test_changes_nothing_until_it_is_approved(
        self, market: Market, unknown: str, customer: Customer
    ) -> None:
        proposed(market, unknown, uuid4(), "voided")

        assert market.state(unknown) == "unknown"
        assert market.points(customer.id) == {"available": 150, "held": 100}

    @pytest.mark.parametrize("outcome", ["declined", "voided"])
    def test_gives_everything_back(
        self, market: Market, unknown: str, customer: Customer, offered: Offered, outcome: str
    ) -> None:
        answer = approved(market, proposed(market, unknown, uuid4(), outcome), uuid4())

        assert (answer.status_code, answer.get_json()["state"]) == (201, outcome)
        assert answer.get_json()["details"]["evidence"]["reference"] == "letter-17"
        assert market.points(customer.id) == {"available": 250}
        assert market.taken(offered) == (0, 0)

    def test_captures_what_the_partner_has_granted(
        self, market: Market, unknown: str, customer: Customer, offered: Offered
    ) -> None:
        said = captured(offered, points=40, effective_from="2030-01-01T00:00:00+08:00")

        answer = approved(market, proposed(market, unknown, uuid4(), "captured", **said), uuid4())

        assert answer.get_json()["state"] == "captured"
        assert market.points(customer.id) == {"available": 210, "redeemed": 40}

    def test_is_not_approved_by_whoever_proposed_it(self, market: Market, unknown: str) -> None:
        by = uuid4()

        refused = approved(market, proposed(market, unknown, by, "voided"), by)

        assert (refused.status_code, refused.get_json()["code"]) == (403, "same-person-approval")
        assert market.state(unknown) == "unknown"

    def test_comes_too_late_when_the_partner_has_answered(
        self, market: Market, unknown: str, offered: Offered
    ) -> None:
        proposal = proposed(market, unknown, uuid4(), "voided")
        market.capture(offered, unknown)

        refused = approved(market, proposal, uuid4())

        assert (refused.status_code, refused.get_json()["code"]) == (409, "state-conflict")

    @pytest.mark.parametrize("outcome", ["declined", "voided"])
    def test_is_for_unknown_ones_alone(
        self, market: Market, customer: Customer, offered: Offered, outcome: str
    ) -> None:
        refused = proposed(market, market.submitted(customer, offered), uuid4(), outcome)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "state-conflict")

    def test_of_other_terms_is_refused(
        self, market: Market, unknown: str, offered: Offered
    ) -> None:
        said = captured(offered, terms_hash="0" * 64)

        refused = proposed(market, unknown, uuid4(), "captured", **said)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "terms-mismatch")

    def test_of_more_than_is_held_is_refused(
        self, market: Market, unknown: str, offered: Offered
    ) -> None:
        said = captured(offered, points=101)

        refused = approved(market, proposed(market, unknown, uuid4(), "captured", **said), uuid4())

        assert (refused.status_code, refused.get_json()["code"]) == (422, "capture-exceeds-hold")

    @pytest.mark.parametrize(
        "body",
        [
            {"outcome": "captured"},
            {"outcome": "voided", "capture": {}},
            {"outcome": "settled"},
            {"outcome": "voided", "evidence": {"kind": "letter", "reference": "a"}},
            {"outcome": "voided", "evidence": {"kind": "other", "reference": "=cmd()"}},
            {"outcome": "voided", "evidence": {}},
        ],
    )
    def test_that_does_not_say_what_and_why_is_refused(
        self, market: Market, unknown: str, body: dict[str, Any]
    ) -> None:
        path = f"/v1/redemptions/{unknown}/forced-resolutions"

        refused = post(market, path, {"evidence": EVIDENCE, **body}, as_staff(market, uuid4()))

        assert refused.status_code == 422

    def test_nobody_has_proposed_is_not_found(self, market: Market) -> None:
        path = f"/v1/forced-resolutions/frs_{uuid4().hex}/approvals"

        refused = post(market, path, {}, as_staff(market, uuid4()))

        assert refused.get_json()["code"] == "forced-resolution-unknown"


class TestCases:
    def test_list_what_is_unknown(self, market: Market, unknown: str) -> None:
        headers = as_staff(market, uuid4(), "auditor")
        items: list[dict[str, Any]] = []
        path = "/v1/redemption-cases?state=unknown&limit=200"
        answer = market.client.get(path, headers=headers).get_json()
        items += answer["items"]
        while answer["next"]:
            more = f"{path}&cursor={answer['next']}"
            answer = market.client.get(more, headers=headers).get_json()
            items += answer["items"]

        (case,) = [item for item in items if item["id"] == unknown]
        assert (case["state"], case["asked"], case["needs_human"]) == ("unknown", 1, False)

    def test_show_all_that_staff_decide_by(self, market: Market, unknown: str) -> None:
        proposed(market, unknown, uuid4(), "voided")

        answer = market.client.get(
            f"/v1/redemption-cases/{unknown}", headers=as_staff(market, uuid4())
        )
        case = answer.get_json()

        assert answer.status_code == 200
        assert [record["kind"] for record in case["records"]][-1] == "unknown"
        assert [inquiry["answer"] for inquiry in case["inquiries"]] == ["no_answer"]
        assert [each["outcome"] for each in case["forced_resolutions"]] == ["voided"]
        assert "subject" not in case

    def test_are_for_staff_alone(self, market: Market, customer: Customer, unknown: str) -> None:
        for path in ("/v1/redemption-cases", f"/v1/redemption-cases/{unknown}"):
            refused = market.client.get(path, headers=market.as_citizen(customer))

            assert refused.status_code == 403
