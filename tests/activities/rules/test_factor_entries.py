"""Factors and rules that an authority enters: two people, a source, and no surprises."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from service import clock
from service.activities.rules.commands import factors_group, rules_group
from service.app import create_app
from service.errors import DomainError
from service.runtime import Runtime
from tests.ledger.town import Town, hours_ago, ride

TODAY = clock.today()
TOMORROW = TODAY + timedelta(days=1)
FACTOR = {
    "--key": "bus_default_distance",
    "--region": "440300",
    "--value": "4100",
    "--unit": "m/ride",
    "--in-force-from": TODAY.isoformat(),
    "--source": "Passenger survey 2026, table 3",
    "--grade": "B",
    "--by": "ann",
}
RULES = {
    "--in-force-from": TOMORROW.isoformat(),
    "--source": "Decision 7 of 2026-11-01",
    "--by": "ann",
    "--approved-by": "bea",
}


@pytest.fixture
def office(fresh_runtime: Runtime) -> Runtime:
    """Ann and Bea work here; Cleo did. None of them signs in, so none needs a password."""
    with fresh_runtime.database.raw_transaction() as connection:
        connection.execute(
            "INSERT INTO staff (id, name, role, password_hash, state)"
            " SELECT gen_random_uuid(), name, 'operator', '', state FROM (VALUES"
            " ('ann', 'active'), ('bea', 'active'), ('cleo', 'suspended')) AS new (name, state)"
        )
    return fresh_runtime


def run(office: Runtime, group: Any, *words: str, **changes: str) -> Any:
    """Run a command and return the JSON it prints, or raise its refusal."""
    options = {"add": FACTOR if group is factors_group else RULES}.get(words[0], {})
    named = options | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    arguments = [*words, *(word for option in named.items() for word in option)]
    result = CliRunner().invoke(group, arguments, obj=office)
    if isinstance(result.exception, DomainError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def refusal(office: Runtime, group: Any, *words: str, **changes: str) -> str:
    with pytest.raises(DomainError) as refused:
        run(office, group, *words, **changes)
    return refused.value.code


class TestEnteringAFactor:
    def test_prints_its_id_and_that_it_waits(self, office: Runtime) -> None:
        [entry] = run(office, factors_group, "add")

        assert entry["status"] == "awaiting-approval"
        assert run(office, factors_group, "list") == [entry]

    def test_has_no_effect_before_a_second_person_approves(self, office: Runtime) -> None:
        town = Town.founded(office, "card")
        run(office, factors_group, "add")

        [outcome] = town.report([bus_ride("card")])

        assert outcome.code == "parameter-missing"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"by": "nobody"}, "staff-unknown"),
            ({"by": "cleo"}, "staff-unknown"),
            ({"source": "a paper"}, "source-not-named"),
            ({"in_force_from": (TODAY - timedelta(days=1)).isoformat()}, "in-force-too-early"),
            ({"key": "no_such_factor"}, "factor-entry-invalid"),
            ({"region": "999999"}, "factor-entry-invalid"),
            ({"unit": "km"}, "factor-entry-invalid"),
            ({"value": "-1"}, "factor-entry-invalid"),
            ({"value": "1e3"}, "factor-entry-invalid"),
        ],
    )
    def test_is_refused_with_a_reason(
        self, office: Runtime, changes: dict[str, str], code: str
    ) -> None:
        assert refusal(office, factors_group, "add", **changes) == code


class TestApprovingAFactor:
    def test_lets_it_count_from_its_first_day(self, office: Runtime) -> None:
        town = Town.founded(office, "card")
        [entry] = run(office, factors_group, "add")

        run(office, factors_group, "approve", entry["id"], by="bea")
        [outcome] = town.report([bus_ride("card")])

        assert (outcome.verdict, outcome.reduction_g) == ("certified", 4100 * 269 // 10_000)

    def test_shows_and_keeps_the_impact(self, office: Runtime) -> None:
        Town.founded(office, "card").report([bus_ride("card"), ride("card")])
        [entry] = run(office, factors_group, "add")

        [approved] = run(office, factors_group, "approve", entry["id"], by="bea")

        [bus] = approved["impact"]["behaviors"]
        assert (bus["behavior"], bus["activities"], bus["gained"]) == ("bus_ride", 1, 1)
        assert (bus["before_g"], bus["after_g"]) == (0, 110)
        with office.database.raw_transaction() as connection:
            kept = connection.execute("SELECT impact FROM factor_approval").fetchone()
        assert kept == (approved["impact"],)

    def test_by_its_proposer_is_refused(self, office: Runtime) -> None:
        [entry] = run(office, factors_group, "add")

        code = refusal(office, factors_group, "approve", entry["id"], by="ann")

        assert code == "second-person-needed"

    def test_twice_is_refused(self, office: Runtime) -> None:
        [entry] = run(office, factors_group, "add")
        run(office, factors_group, "approve", entry["id"], by="bea")

        code = refusal(office, factors_group, "approve", entry["id"], by="bea")

        assert code == "factor-already-approved"

    def test_of_an_unknown_entry_is_refused(self, office: Runtime) -> None:
        code = refusal(office, factors_group, "approve", str(uuid4()), by="bea")

        assert code == "factor-entry-unknown"

    def test_when_its_first_day_has_passed_is_refused(self, office: Runtime) -> None:
        [entry] = run(office, factors_group, "add")

        with clock.shifted(timedelta(days=1)):
            code = refusal(office, factors_group, "approve", entry["id"], by="bea")

        assert code == "in-force-too-early"

    def test_of_a_second_value_for_one_place_and_day_is_refused(self, office: Runtime) -> None:
        [first] = run(office, factors_group, "add")
        [second] = run(office, factors_group, "add", value="3900")
        run(office, factors_group, "approve", first["id"], by="bea")

        code = refusal(office, factors_group, "approve", second["id"], by="bea")

        assert code == "factor-entry-invalid"

    def test_shows_it_in_the_public_library(self, office: Runtime) -> None:
        [entry] = run(office, factors_group, "add")
        run(office, factors_group, "approve", entry["id"], by="bea")

        answer = create_app(office).test_client().get("/v1/factors?key=bus_default_distance")

        [item] = answer.get_json()["items"]
        assert (item["entered"], item["status"]) == (entry["id"], "in-force")


class TestTheImpact:
    def test_can_be_asked_before_anybody_approves(self, office: Runtime) -> None:
        Town.founded(office, "card").report([bus_ride("card")])
        [entry] = run(office, factors_group, "add")

        [report] = run(office, factors_group, "impact", entry["id"])

        assert report["as_if_on"] == TODAY.isoformat()
        assert report["activities"] == 1

    def test_without_records_is_empty(self, office: Runtime) -> None:
        [entry] = run(office, factors_group, "add")

        [report] = run(office, factors_group, "impact", entry["id"])

        assert (report["activities"], report["behaviors"]) == (0, [])


class TestNewRules:
    def test_change_what_they_name_and_keep_the_rest(self, office: Runtime) -> None:
        [added] = run(office, rules_group, "add", lateness_days="40", points_per_g="0.1")

        founding, new = run(office, rules_group, "list")
        assert added["version"] == new["version"] == 2
        assert (new["lateness_days"], new["points_per_g"]) == (40, "0.1")
        assert new["expiry_years"] == founding["expiry_years"]

    def test_decide_about_the_acts_of_their_days(self, office: Runtime) -> None:
        town = Town.founded(office, "card")
        run(office, rules_group, "add", points_per_g="0.1", in_force_from="2021-12-31")

        [outcome] = town.report([ride("card")])

        assert (outcome.reduction_g, outcome.points) == (383, 38)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"by": "nobody"}, "staff-unknown"),
            ({"approved_by": "cleo"}, "staff-unknown"),
            ({"approved_by": "ann"}, "second-person-needed"),
            ({"source": "we say"}, "source-not-named"),
            ({"in_force_from": "2019-12-31"}, "rules-invalid"),
            ({"expiry_years": "10"}, "rules-invalid"),
            ({"lateness_days": "-1"}, "rules-invalid"),
            ({"points_per_g": "0.1e1"}, "rules-invalid"),
            ({"points_per_g": "1."}, "rules-invalid"),
            ({"points_per_g": "10000000"}, "rules-invalid"),
        ],
    )
    def test_are_refused_with_a_reason(
        self, office: Runtime, changes: dict[str, str], code: str
    ) -> None:
        assert refusal(office, rules_group, "add", **changes) == code


def bus_ride(account: str) -> dict[str, Any]:
    """Return the line of a ride of today, however young the day is in Shanghai."""
    start = max(hours_ago(6), clock.start_of(clock.today()))
    end = min(start + timedelta(minutes=20), hours_ago(0))
    line = {**ride(account, start=start), "ended_at": end.isoformat()}
    return {**line, "behavior": "bus_ride", "activity_data": {}}
