"""A citizen's grade, from what was certified of her."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask

from service import clock
from service.activities.totals import BehaviorTotal, ask_certified_totals, totals_from
from service.clock import start_of
from service.rewards.grades.assessing import assess
from service.rewards.grades.errors import GradeRulesNotInForce
from service.rewards.grades.judging import Assessment, window_of
from service.runtime import Runtime
from tests.activities.factories import a_ride, activity_ids, an_act, noon, record, rows
from tests.rewards.grades.town import LIGHT, RIDE_G, Desk, Rider, rules_in_force


def grade_of(runtime: Runtime, rider: Rider, rules: str, on: date | None = None) -> Assessment:
    with runtime.database.pipelined_transaction() as connection:
        return assess(connection, rider.id, rules, on or clock.today())


def take_back(runtime: Runtime, rider: Rider, activity_id: str) -> None:
    """Write the verdict that an invalidation writes."""
    rows(
        runtime,
        "INSERT INTO verdict (citizen_id, activity_id, seq, verdict, code)"
        " VALUES (%s, %s, 1, 'invalidated', 'found-false') RETURNING seq",
        *(rider.id, activity_id),
    )


def a_refused_ride(runtime: Runtime, rider: Rider) -> UUID:
    """Report a ride that is too fast to be believed."""
    feed = record(runtime, rider.source, an_act("metro_ride", {"distance_m": 190_000}))
    return activity_ids(feed)[0]


class TestAnAssessment:
    def test_adds_up_what_was_certified_in_the_window(self, runtime: Runtime) -> None:
        rules = rules_in_force(runtime, months=1)
        first = (clock.today() - window_of(1, clock.today()).first).days
        rider = Rider.of(runtime, rides_days_ago=[1, first, first + 1])

        found = grade_of(runtime, rider, rules)

        assert found.grade == "medium_green"
        assert found.facts == {
            "reduction_g": 2 * RIDE_G,
            "active_days": 2,
            "behaviors": {"metro_ride": {"reduction_g": 2 * RIDE_G, "acts": 2, "days": 2}},
        }

    def test_counts_a_day_once(self, runtime: Runtime) -> None:
        rider = Rider.of(runtime, rides_days_ago=[2])
        record(runtime, rider.source, a_ride(at=noon(2) + timedelta(hours=6)))

        facts = grade_of(runtime, rider, rules_in_force(runtime)).facts

        assert (facts["active_days"], facts["behaviors"]["metro_ride"]["acts"]) == (1, 2)

    def test_of_another_day_has_that_days_window(self, runtime: Runtime) -> None:
        rider = Rider.of(runtime, rides_days_ago=[3])
        rules = rules_in_force(runtime)

        before = grade_of(runtime, rider, rules, clock.today() - timedelta(days=4))

        assert (before.grade, before.facts["reduction_g"]) == (None, 0)

    def test_leaves_out_what_was_taken_back(self, runtime: Runtime) -> None:
        rider = Rider.of(runtime, rides_days_ago=[1])
        activity_id = rider.rides(2)
        take_back(runtime, rider, activity_id.hex)

        assert grade_of(runtime, rider, rules_in_force(runtime)).facts["reduction_g"] == RIDE_G

    def test_counts_what_an_appeal_has_granted(self, runtime: Runtime) -> None:
        rider = Rider.of(runtime)
        activity_id = a_refused_ride(runtime, rider)
        rows(
            runtime,
            "INSERT INTO verdict (citizen_id, activity_id, seq, verdict, reduction_g, points,"
            " basis_id, rules_version) VALUES (%s, %s, 1, 'certified', 700, 700, %s, 1)"
            " RETURNING seq",
            *(rider.id, activity_id, uuid4()),
        )

        assert grade_of(runtime, rider, rules_in_force(runtime)).facts["reduction_g"] == 700

    def test_of_the_same_facts_is_the_same(self, runtime: Runtime) -> None:
        rider, rules = Rider.of(runtime, rides_days_ago=[1, 2]), rules_in_force(runtime)

        assert grade_of(runtime, rider, rules) == grade_of(runtime, rider, rules)

    def test_by_rules_that_nobody_approved_is_refused(self, runtime: Runtime) -> None:
        rules = rules_in_force(runtime, approved=False)

        with pytest.raises(GradeRulesNotInForce):
            grade_of(runtime, Rider.of(runtime), rules)

    def test_of_somebody_who_is_gone_finds_nothing(self, runtime: Runtime, app: Flask) -> None:
        rider, rules = Rider.of(runtime, rides_days_ago=[1]), rules_in_force(runtime)
        assert Desk(app, "citizen", rider.id).send("DELETE", "/me").status_code == 204

        found = grade_of(runtime, rider, rules)

        assert (found.grade, found.facts["reduction_g"]) == (None, 0)


class TestTotals:
    def test_are_by_behavior_and_of_all(self, runtime: Runtime) -> None:
        rider = Rider.of(runtime, rides_days_ago=[1, 2])
        ends = start_of(clock.today())

        with runtime.database.raw_transaction() as connection:
            found = totals_from(
                ask_certified_totals(connection, rider.id, ends - timedelta(days=2), ends)
            )

        assert found[:3] == (2 * RIDE_G, 2, 2)
        assert found.behaviors == (BehaviorTotal("metro_ride", 2 * RIDE_G, 2, 2),)

    def test_of_nothing_are_nothing(self, runtime: Runtime) -> None:
        with runtime.database.pipelined_transaction() as connection:
            now = clock.now()
            found = totals_from(ask_certified_totals(connection, uuid4(), now, now))

        assert found == (0, 0, 0, ())


class TestHerOwnGrade:
    def test_comes_with_reasons_in_her_language(self, runtime: Runtime, app: Flask) -> None:
        rider, rules = Rider.of(runtime, rides_days_ago=[1]), rules_in_force(runtime)

        answer = Desk(app, "citizen", rider.id, language="zh").get(f"/me/grade?rules={rules}")

        assert answer.status_code == 200
        grade = answer.get_json()
        assert (grade["grade"], grade["next_grade"]) == ("light_green", "medium_green")
        assert grade["rules"] == {"name": rules, "version": 1}
        window = window_of(3, clock.today())
        assert grade["period"] == {
            "from": window.first.isoformat(),
            "to": window.last.isoformat(),
        }
        assert [each["detail"] for each in grade["conditions"][:2]] == [
            f"浅绿：评定期内需已核证减排量 {LIGHT[1]} 克。现有 {RIDE_G} 克。",
            "浅绿：评定期内需有 1 种不同的低碳行为。现有 1 种。",
        ]

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("", 422, "validation-failed"),
            ("?rules=nobody-has-entered", 404, "grade-rules-not-in-force"),
            ("?rules=A%20B", 422, "validation-failed"),
            ("?rules=a&on=2026-01-01", 400, "unknown-field"),
        ],
    )
    def test_is_refused(self, app: Flask, query: str, status: int, code: str) -> None:
        response = Desk(app, "citizen").get(f"/me/grade{query}")

        assert (response.status_code, response.get_json()["code"]) == (status, code)
