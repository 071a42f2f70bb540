"""What a partner is told of a grade, and what the citizen can read of it afterwards."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from service.runtime import Runtime
from tests.activities.factories import rows
from tests.rewards.grades.town import RIDE_G, Desk, Rider, rules_in_force
from tests.rewards.market import Market


class Bank:
    """A bank that a rider has given a consent to."""

    def __init__(self, market: Market, *clusters: str, max_uses: int | None = None) -> None:
        self.market = market
        self.id = market.bank()
        self.rules = rules_in_force(market.runtime)
        self.rider = Rider.of(market.runtime, rides_days_ago=[1])
        customer = market.customer(self.id, 0, clusters=clusters, max_uses=max_uses)
        self.subject = customer.subject
        self.consent_id = customer.consent_id
        self._move_consent_to_the_rider()

    def _move_consent_to_the_rider(self) -> None:
        with self.market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE consent SET citizen_id = %s WHERE id = %s",
                [self.rider.id, self.consent_id],
            )

    def looks(self, *scopes: str, of: str | None = None) -> TestResponse:
        desk = Desk(self.market.app, "partner", self.id, ("bank",), scopes or ("reports:read",))
        return desk.get(f"/subjects/{of or self.subject}/grade?rules={self.rules}")

    def noted(self) -> list[tuple[str, bool]]:
        query = "SELECT operation, is_use FROM consent_access WHERE citizen_id = %s"
        return [(row[0], row[1]) for row in rows(self.market.runtime, query, self.rider.id)]


class TestAPartnerThatLooks:
    def test_sees_grade_rules_and_period_alone(self, market: Market) -> None:
        bank = Bank(market, "tier")

        response = bank.looks()

        assert response.status_code == 200
        answer = response.get_json()
        assert set(answer) == {"subject", "grade", "rules", "period"}
        assert answer["grade"] == "light_green"
        assert answer["rules"] == {"name": bank.rules, "version": 1}

    def test_sees_more_where_she_agreed_to_more(self, market: Market) -> None:
        answer = Bank(market, "tier", "total_certified", "category_totals").looks().get_json()

        assert answer["reduction_g"] == RIDE_G
        assert answer["categories"] == {"metro_ride": RIDE_G}

    def test_is_noted_for_her_as_a_use(self, market: Market) -> None:
        bank = Bank(market, "tier")

        bank.looks()

        assert bank.noted() == [("grade.read", True)]

    def test_more_often_than_she_allowed_is_refused(self, market: Market) -> None:
        bank = Bank(market, "tier", max_uses=1)

        answers = [bank.looks(), bank.looks()]

        assert [answer.status_code for answer in answers] == [200, 403]
        assert answers[1].get_json()["code"] == "consent-uses-exhausted"
        assert bank.noted() == [("grade.read", True)]

    def test_without_the_cluster_is_refused(self, market: Market) -> None:
        bank = Bank(market, "total_certified")

        assert bank.looks().get_json()["code"] == "consent-scope"
        assert bank.noted() == []

    @pytest.mark.parametrize("subject", ["sub_" + "0" * 32, "nobody", "%00", "sub_%F0%9F%8C%B1"])
    def test_at_nobody_is_refused(self, market: Market, subject: str) -> None:
        response = Bank(market, "tier").looks(of=subject)

        assert (response.status_code, response.get_json()["code"]) == (403, "consent-missing")

    def test_by_another_partners_name_for_her_is_refused(self, market: Market) -> None:
        one, other = Bank(market, "tier"), Bank(market, "tier")

        assert one.looks(of=other.subject).get_json()["code"] == "consent-missing"

    def test_without_the_scope_is_refused(self, market: Market) -> None:
        assert Bank(market, "tier").looks("offers:read").get_json()["code"] == "role-missing"


def test_an_odd_name_of_rules_is_no_fault_of_ours(app: Flask, runtime: Runtime) -> None:
    operator = Desk(app, "staff", roles=("operator",))
    assert rules_in_force(runtime)

    response = operator.post("/grade-rules/a%00b/versions/1/approvals")

    assert response.status_code == 404
