"""What stands between a citizen and an offer, all of it at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from service import clock
from service.ids import CONSENT, OFFER, public_id
from service.pipelining import PipelinedConnection
from service.rewards.eligibility import Eligibility, conditions_of
from service.rewards.errors import NotEligible
from service.rewards.offers.counters import Taking, take, uses_of
from tests.activities.factories import rows
from tests.rewards.grades.town import RIDE_G, Desk, Rider, rules_in_force
from tests.rewards.market import Customer, Market, Offered, a_person

EVER = {"period": "total", "most": 1}


def found(market: Market, customer: Customer, offered: Offered) -> Eligibility:
    with market.runtime.database.pipelined_transaction() as connection:
        return conditions_of(
            connection, customer.id, customer.person_id, offered.terms, clock.now()
        )


def failed(market: Market, customer: Customer, offered: Offered) -> list[tuple[str, Any, Any]]:
    return [(c.code, c.required, c.actual) for c in found(market, customer, offered).failed]


def taken(market: Market, customer: Customer, offered: Offered) -> None:
    """Take one of an offer, as a reservation does."""
    uses = uses_of(offered.terms.caps, customer.id, customer.person_id, clock.today())
    with market.runtime.database.raw_transaction() as connection:
        take(connection, Taking(offered.id, offered.terms.subsidy_minor, uses))


def changed(market: Market, query: str, *values: Any) -> None:
    with market.runtime.database.raw_transaction() as connection:
        connection.execute(query.encode(), values)


class TestWhoMeetsEverything:
    def test_is_eligible(self, market: Market) -> None:
        offered = market.offer(quota=5, budget_minor=100_000)

        eligibility = found(market, market.customer(offered.partner_id), offered)

        assert eligibility.is_eligible
        assert eligibility.failed == ()
        assert eligibility.required() is eligibility

    def test_costs_one_round_trip_where_no_grade_is_asked_for(
        self, market: Market, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offered = market.offer(caps={"per_citizen": EVER}, eligibility={"reduction_g_at_least": 1})
        customer = market.customer(offered.partner_id)
        trips = counted(monkeypatch)

        with market.runtime.database.pipelined_transaction() as connection:
            conditions_of(connection, customer.id, None, offered.terms, clock.now())
            assert len(trips) == 1

    def test_writes_nothing(self, market: Market) -> None:
        offered = market.offer(quota=1)
        customer = market.customer(offered.partner_id)

        found(market, customer, offered)

        assert market.taken(offered) == (0, 0)
        assert market.points(customer.id) == {"available": 1000}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Count exchanges with the server from now on."""
    trips: list[None] = []
    exchange: Callable[[PipelinedConnection], None] = PipelinedConnection.exchange

    def counting(connection: PipelinedConnection) -> None:
        trips.append(None)
        exchange(connection)

    monkeypatch.setattr(PipelinedConnection, "exchange", counting)
    return trips


class TestAFailedConditionIs:
    def test_too_few_points(self, market: Market) -> None:
        offered = market.offer()

        customer = market.customer(offered.partner_id, 99)

        assert failed(market, customer, offered) == [("points-too-few", 100, 99)]

    def test_points_that_have_lapsed(self, market: Market) -> None:
        offered = market.offer()
        yesterday = clock.today() - timedelta(days=1)

        customer = market.customer(offered.partner_id, expires_on=yesterday)

        assert failed(market, customer, offered) == [("points-too-few", 100, 0)]

    @pytest.mark.parametrize(
        ("change", "actual"),
        [("state = 'paused'", "paused"), ("active_version = 2", "terms_changed")],
    )
    def test_an_offer_that_is_not_open(self, market: Market, change: str, actual: str) -> None:
        offered = market.offer()
        changed(market, f"UPDATE offer SET {change} WHERE id = %s", offered.id)

        customer = market.customer(offered.partner_id)

        assert failed(market, customer, offered) == [("offer-not-active", "active", actual)]

    @pytest.mark.parametrize(
        ("changes", "actual"),
        [
            ({"valid_from": "2098-01-01T00:00:00+00:00"}, "not_yet_open"),
            ({"valid_to": "2020-01-02T00:00:00+00:00"}, "closed"),
        ],
    )
    def test_an_offer_whose_time_is_not_now(
        self, market: Market, changes: dict[str, Any], actual: str
    ) -> None:
        offered = market.offer(**changes)

        customer = market.customer(offered.partner_id)

        assert failed(market, customer, offered) == [("offer-not-active", "active", actual)]

    def test_a_quota_that_is_taken(self, market: Market) -> None:
        offered = market.offer(quota=1)
        taken(market, market.customer(offered.partner_id), offered)

        customer = market.customer(offered.partner_id)

        assert failed(market, customer, offered) == [("offer-quota-exhausted", 1, 0)]

    def test_a_budget_that_does_not_reach(self, market: Market) -> None:
        offered = market.offer(budget_minor=2999)

        customer = market.customer(offered.partner_id)

        assert failed(market, customer, offered) == [("campaign-budget-exhausted", 3000, 2999)]

    def test_a_cap_of_the_account(self, market: Market) -> None:
        offered = market.offer(caps={"per_citizen": {"period": "month", "most": 2}})
        customer = market.customer(offered.partner_id)
        for _ in range(2):
            taken(market, customer, offered)

        assert failed(market, customer, offered) == [("person-limit-reached", 2, 2)]

    def test_a_cap_of_the_person_behind_two_accounts(self, market: Market) -> None:
        offered = market.offer(mode="attest")
        person = a_person()
        first = market.customer(offered.partner_id, 0, person_id=person)
        second = market.customer(offered.partner_id, 0, person_id=person)
        taken(market, first, offered)

        assert failed(market, second, offered) == [("person-limit-reached", 1, 1)]

    def test_a_person_whom_nobody_verified(self, market: Market) -> None:
        offered = market.offer(mode="attest")

        customer = market.customer(offered.partner_id, 0)

        assert failed(market, customer, offered) == [("person-not-verified", True, False)]

    def test_a_frozen_account(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        changed(market, "UPDATE citizen SET state = 'frozen' WHERE citizen_id = %s", customer.id)

        assert failed(market, customer, offered) == [("account-frozen", "active", "frozen")]

    def test_spending_that_is_held(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        until = clock.now() + timedelta(hours=1)
        query = "UPDATE citizen SET spending_held_until = %s WHERE citizen_id = %s"
        changed(market, query, until, customer.id)

        (condition,) = failed(market, customer, offered)

        assert condition[0] == "spending-held"

    def test_too_little_reduction_of_all_time(self, market: Market) -> None:
        offered = market.offer(points=1, eligibility={"reduction_g_at_least": 500})

        customer = market.customer(offered.partner_id, 10, grams=499)

        assert failed(market, customer, offered) == [("reduction-too-small", 500, 499)]

    def test_every_one_at_once(self, market: Market) -> None:
        offered = market.offer(
            quota=0,
            budget_minor=0,
            eligibility={"grade_rules": "nobodys", "grade_at_least": "deep_green"},
            caps={"per_person": EVER},
        )

        customer = market.customer(offered.partner_id, 0)

        assert [code for code, *_ in failed(market, customer, offered)] == [
            "offer-quota-exhausted",
            "campaign-budget-exhausted",
            "points-too-few",
            "person-not-verified",
            "grade-unknown",
        ]


class TestAGradeThatIsAskedFor:
    @pytest.fixture
    def rules(self, market: Market) -> str:
        return rules_in_force(market.runtime)

    def graded(self, market: Market, rules: str, **wanted: Any) -> Offered:
        return market.offer(mode="attest", eligibility={"grade_rules": rules, **wanted})

    def rider(self, market: Market, *days_ago: int) -> Customer:
        rider = Rider.of(market.runtime, rides_days_ago=days_ago)
        return Customer(rider.id, uuid4(), "", a_person())

    def test_is_enough_when_it_is_that_or_higher(self, market: Market, rules: str) -> None:
        offered = self.graded(market, rules, grade_at_least="light_green")

        eligibility = found(market, self.rider(market, 1, 2), offered)

        assert eligibility.is_eligible
        kept = eligibility.facts["grade"]
        assert (kept["grade"], kept["rules"], kept["rules_version"]) == ("medium_green", rules, 1)

    def test_is_too_low_otherwise(self, market: Market, rules: str) -> None:
        offered = self.graded(market, rules, grade_at_least="deep_green")

        customer = self.rider(market, 1)

        assert failed(market, customer, offered) == [("grade-too-low", "deep_green", "light_green")]

    def test_comes_with_grams_of_its_window(self, market: Market, rules: str) -> None:
        offered = self.graded(market, rules, reduction_g_at_least=2 * RIDE_G)

        customer = self.rider(market, 1)

        assert failed(market, customer, offered) == [("reduction-too-small", 2 * RIDE_G, RIDE_G)]


class TestARefusal:
    def test_names_every_failed_condition(self, market: Market) -> None:
        offered = market.offer(quota=0)

        with pytest.raises(NotEligible) as refused:
            found(market, market.customer(offered.partner_id, 0), offered).required()

        codes = [condition.code for condition in refused.value.members["failed_conditions"]]
        assert codes == ["offer-quota-exhausted", "points-too-few"]

    def test_of_a_quote_says_them_in_her_language(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 40)
        wish = {
            "offer_id": offered.public_id,
            "consent_id": public_id(CONSENT, customer.consent_id),
        }

        response = Desk(market.app, "citizen", customer.id, language="zh").post(
            "/quotes", wish, Idempotency_Key=uuid4().hex
        )

        problem = response.get_json()
        assert (response.status_code, problem["code"]) == (409, "not-eligible")
        (condition,) = problem["failed_conditions"]
        assert (condition["code"], condition["detail"]) == (
            "points-too-few",
            "需要 100 积分。可用 40 积分。",
        )


class TestTryingAnOfferOn:
    def test_tells_her_every_condition_in_her_language(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 40)

        response = tries(market, customer, offered, "zh")

        answer = response.get_json()
        assert response.status_code == 200
        assert (answer["is_eligible"], answer["offer_version"]) == (False, 1)
        (points,) = [each for each in answer["conditions"] if not each["passed"]]
        assert points == {
            "code": "points-too-few",
            "passed": False,
            "about": None,
            "required": 100,
            "actual": 40,
            "detail": "需要 100 积分。可用 40 积分。",
        }

    def test_that_nobody_knows_is_refused(self, market: Market) -> None:
        body = {"offer_id": public_id(OFFER, uuid4())}

        response = Desk(market.app, "citizen").post("/eligibility-checks", body)

        assert (response.status_code, response.get_json()["code"]) == (404, "offer-unknown")

    @pytest.mark.parametrize("subject", ["sub_" + "0" * 32, "x"])
    def test_for_somebody_else_is_refused(self, market: Market, subject: str) -> None:
        body = {"offer_id": market.offer().public_id, "subject": subject}

        response = Desk(market.app, "citizen").post("/eligibility-checks", body)

        assert response.status_code == 400
        assert response.get_json()["code"] == "unknown-field"


class TestAPartnerThatTriesItsOffer:
    def test_learns_what_is_enough_and_not_what_there_is(self, market: Market) -> None:
        offered = market.offer(quota=3)
        customer = market.customer(offered.partner_id, 40)

        conditions = asks(market, offered, customer.subject).get_json()["conditions"]

        seen = {each["code"]: (each["passed"], each["actual"]) for each in conditions}
        assert seen == {
            "offer-not-active": (True, "active"),
            "offer-quota-exhausted": (True, 3),
            "account-frozen": (True, None),
            "points-too-few": (False, None),
        }
        assert "40" not in "".join(each["detail"] for each in conditions)

    def test_is_noted_for_her(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)

        asks(market, offered, customer.subject)

        query = "SELECT operation, about, is_use FROM consent_access WHERE citizen_id = %s"
        assert rows(market.runtime, query, customer.id) == [
            ("eligibility.checked", offered.public_id, False)
        ]

    @pytest.mark.parametrize(
        ("clusters", "code"), [(("total_certified",), "consent-scope"), (("tier",), None)]
    )
    def test_needs_the_cluster_of_what_it_learns(
        self, market: Market, clusters: tuple[str, ...], code: str | None
    ) -> None:
        rules = rules_in_force(market.runtime)
        offered = market.offer(eligibility={"grade_rules": rules, "grade_at_least": "light_green"})
        customer = market.customer(offered.partner_id, clusters=clusters)

        answer = asks(market, offered, customer.subject).get_json()

        assert answer.get("code") == code

    def test_needs_a_consent_to_benefits(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        changed(market, "UPDATE consent SET purpose = 'report' WHERE id = %s", customer.consent_id)

        answer = asks(market, offered, customer.subject)

        assert (answer.status_code, answer.get_json()["code"]) == (403, "consent-scope")

    def test_of_another_partner_is_refused(self, market: Market) -> None:
        offered, mine = market.offer(), market.offer()
        customer = market.customer(mine.partner_id)
        other = Offered(offered.id, mine.partner_id, offered.terms)

        assert asks(market, other, customer.subject).get_json()["code"] == "offer-unknown"

    def test_without_naming_anybody_is_refused(self, market: Market) -> None:
        response = asks(market, market.offer(), None)

        assert response.status_code == 422
        assert response.get_json()["errors"][0]["pointer"] == "/subject"

    def test_for_nobody_is_refused(self, market: Market) -> None:
        assert asks(market, market.offer(), "nobody").get_json()["code"] == "consent-missing"


def tries(market: Market, customer: Customer, offered: Offered, language: str) -> TestResponse:
    desk = Desk(market.app, "citizen", customer.id, language=language)
    return desk.post("/eligibility-checks", {"offer_id": offered.public_id})


def asks(market: Market, offered: Offered, subject: str | None) -> TestResponse:
    desk = Desk(market.app, "partner", offered.partner_id, ("bank",), ("offers:read",))
    named = {} if subject is None else {"subject": subject}
    return desk.post("/eligibility-checks", {"offer_id": offered.public_id, **named})
