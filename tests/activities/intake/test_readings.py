"""A meter's readings: no kilowatt-hour counts twice, and the operator's word goes first."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.activities.audit import CHECKS
from service.activities.intake.candidates import Source
from service.activities.intake.outcomes import Outcome
from service.activities.withdrawal import CONSEQUENCES
from service.identity.consequences import EndedLink
from service.identity.source_links import account_digest
from service.ledger.audit import run_audit
from service.runtime import Runtime
from tests.activities.factories import (
    a_citizen,
    a_reading,
    a_source,
    activity_ids,
    an_act,
    citizens,
    noon,
    points_of,
    record,
    record_own,
    rows,
    verdicts_of,
)

SHANGHAI_CITY = "310000"
PANELS_5400_WH_G = 2268
"""tests/methodologies/household.yaml: 5.4 kWh × 0.42 kg/kWh."""
DAY = timedelta(days=1)


def a_grid_company(runtime: Runtime, *, delay_days: int = 0) -> Source:
    return a_source(runtime, region=SHANGHAI_CITY, delay_days=delay_days)


def codes(runtime: Runtime, source: Source, *lines: bytes) -> list[str | None]:
    return [outcome.code for outcome in record(runtime, source, *lines).outcomes]


def own(runtime: Runtime, citizen: UUID, line: bytes) -> Outcome:
    return record_own(runtime, citizen, line, region=SHANGHAI_CITY)


class TestTwoReadingsOfOneMeter:
    @pytest.mark.parametrize(("hour", "hours"), [(0, 1), (0.5, 1), (-0.5, 1), (0.2, 0.1), (-5, 9)])
    def test_of_the_same_time_count_once_across_feeds(
        self, runtime: Runtime, hour: float, hours: float
    ) -> None:
        source = a_grid_company(runtime)
        citizen = a_citizen(runtime, source)
        record(runtime, source, a_reading())

        assert codes(runtime, source, a_reading(hour=hour, hours=hours)) == ["reading-overlap"]
        assert points_of(runtime, citizen) == PANELS_5400_WH_G

    def test_inside_one_feed_count_in_line_order(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime)
        a_citizen(runtime, source)

        feed = [a_reading(), a_reading(hour=0.5), a_reading(hour=1), a_reading(hour=-24, hours=72)]

        assert codes(runtime, source, *feed) == [None, "reading-overlap", None, "in-the-future"]

    @pytest.mark.parametrize("hour", [-1, 1])
    def test_that_touch_both_count(self, runtime: Runtime, hour: float) -> None:
        source = a_grid_company(runtime)
        a_citizen(runtime, source)
        record(runtime, source, a_reading())

        assert codes(runtime, source, a_reading(hour=hour)) == [None]

    def test_without_a_period_are_more_power_than_a_home_has(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime)
        a_citizen(runtime, source)

        assert codes(runtime, source, a_reading(hours=0)) == ["power-impossible"]

    def test_see_the_longest_one_that_began_two_months_ago(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime)
        a_citizen(runtime, source)
        energy = {"energy_wh": 5400}
        longest = an_act("household_pv", energy, at=noon(2) - 61 * DAY, lasting=62 * DAY)
        too_long = an_act("household_pv", energy, at=noon(2) - 62 * DAY, lasting=62.1 * DAY)

        assert codes(runtime, source, too_long, longest) == ["duration-impossible", None]
        assert codes(runtime, source, a_reading(hour=-48), a_reading(hour=-23)) == [
            "reading-overlap",
            "reading-overlap",
        ]

    def test_of_which_the_first_was_refused_or_withdrawn_count(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime, delay_days=1)
        citizen = a_citizen(runtime, source)
        (first,) = activity_ids(record(runtime, source, a_reading()))
        assert source.id is not None
        digest = account_digest(runtime.keys, source.id, "card-1")
        with runtime.database.transaction() as session:
            for follow in CONSEQUENCES.link_ended:
                follow(session, EndedLink(citizen, first, source.id, digest))
        assert verdicts_of(runtime, first) == [("withdrawn", "source-link-ended")]

        assert codes(runtime, source, a_reading()) == [None]

    def test_are_not_those_of_two_meters_or_two_citizens(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime)
        citizens(runtime, source, ["roof-1", "roof-2"])
        other = a_grid_company(runtime)
        a_citizen(runtime, other, "roof-1")

        feed = [a_reading("roof-1"), a_reading("roof-2")]

        assert codes(runtime, source, *feed) == [None, None]
        assert codes(runtime, other, a_reading("roof-1")) == [None]


class TestHerOwnReading:
    def test_waits(self, runtime: Runtime) -> None:
        citizen = a_citizen(runtime, a_source(runtime))

        outcome = own(runtime, citizen, a_reading())

        assert (outcome.verdict, outcome.reduction_g) == ("pending", PANELS_5400_WH_G)
        assert points_of(runtime, citizen) == 0

    def test_of_a_time_that_she_has_read_is_refused(self, runtime: Runtime) -> None:
        citizen = a_citizen(runtime, a_source(runtime))
        own(runtime, citizen, a_reading())

        again = own(runtime, citizen, a_reading(hour=0.5))

        assert (again.verdict, again.code) == ("refused", "reading-overlap")

    @pytest.mark.parametrize("delay_days", [0, 1])
    def test_beside_the_operators_is_refused(self, runtime: Runtime, delay_days: int) -> None:
        source = a_grid_company(runtime, delay_days=delay_days)
        citizen = a_citizen(runtime, source)
        record(runtime, source, a_reading())

        outcome = own(runtime, citizen, a_reading(hour=0.5))

        assert (outcome.verdict, outcome.code) == ("refused", "reading-overlap")

    def test_gives_its_place_to_the_operators(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime)
        citizen = a_citizen(runtime, source)
        mine = own(runtime, citizen, a_reading())
        beside = own(runtime, citizen, a_reading(hour=1))
        later = own(runtime, citizen, a_reading(hour=2))

        feed = record(runtime, source, a_reading(hour=0.5))

        assert feed.outcomes[0].verdict == "certified"
        for gone in (mine, beside):
            assert verdicts_of(runtime, UUID(gone.activity_id)) == [("superseded", "superseded")]
        waiting = rows(
            runtime, "SELECT activity_id FROM pending_activity WHERE citizen_id = %s", citizen
        )
        assert waiting == [(UUID(later.activity_id),)]
        assert points_of(runtime, citizen) == PANELS_5400_WH_G

    def test_stays_superseded_when_it_is_sent_again(self, runtime: Runtime) -> None:
        source = a_grid_company(runtime)
        citizen = a_citizen(runtime, source)
        own(runtime, citizen, mine := a_reading())
        record(runtime, source, a_reading())

        again = own(runtime, citizen, mine)

        assert (again.verdict, again.first_verdict) == ("duplicate", "pending")
        assert points_of(runtime, citizen) == PANELS_5400_WH_G


class TestTheAudit:
    def test_finds_nothing_in_what_intake_let_in(self, fresh_runtime: Runtime) -> None:
        source = a_grid_company(fresh_runtime)
        citizen = a_citizen(fresh_runtime, source)
        own(fresh_runtime, citizen, a_reading(hour=-3))
        record(fresh_runtime, source, *(a_reading(hour=n / 2) for n in range(-8, 4)))

        assert broken(fresh_runtime) == []

    @pytest.mark.parametrize("account", ["account_digest", "NULL"])
    def test_finds_two_that_overlap(self, fresh_runtime: Runtime, account: str) -> None:
        source = a_grid_company(fresh_runtime)
        a_citizen(fresh_runtime, source)
        record(fresh_runtime, source, a_reading(), a_reading(hour=1))
        smuggle_in_a_longer_one(fresh_runtime, account)

        assert "readings-do-not-overlap" in broken(fresh_runtime)


def broken(runtime: Runtime) -> list[str]:
    """Return the names of the invariants that do not hold."""
    findings = run_audit(runtime.database, CHECKS)
    return [finding.name for finding in findings if finding.differences]


def smuggle_in_a_longer_one(runtime: Runtime, account: str) -> None:
    tier = "self_recorded" if account == "NULL" else "signed"
    rows(
        runtime,
        "WITH a AS (INSERT INTO activity SELECT citizen_id, gen_random_uuid(), source_id, batch_id,"
        f" 'again', 0, behavior, '{tier}', basis_id, rules_version, evidence_digest, verdict, code,"
        " params, reduction_g, points, simulated FROM activity LIMIT 1 RETURNING *)"
        " INSERT INTO activity_detail SELECT a.citizen_id, d.started_at - interval '1 hour', a.id,"
        f" d.ended_at, d.behavior, d.counted, d.is_trip, {account}, d.activity_data"
        " FROM activity_detail d JOIN a USING (citizen_id) LIMIT 1 RETURNING 1",
    )
