"""A citizen's other acts: which take place at the same time, and which fill a cap."""

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

import pytest

from service import clock
from service.activities.intake.candidates import SELF_RECORDED, SIGNED, Candidate, Examiner, Source
from service.activities.intake.candidates import _reason as reason_by_itself
from service.activities.intake.claims import Claims
from service.activities.intake.deciding import _Desk
from service.activities.intake.lines import Line, read_line
from service.activities.intake.neighbours import Neighbour, Neighbourhood, period_of
from service.activities.intake.readings import Readings
from service.activities.intake.recording import Decided
from service.activities.rules.rulebook import Rulebook, read_rulebook
from service.runtime import Runtime
from tests.activities.factories import SHENZHEN, a_ride, an_act, noon

MINUTE_S = 60
SIGNED_SOURCE = Source(uuid4(), SHENZHEN, SIGNED, 0)


@pytest.fixture
def rulebook(runtime: Runtime) -> Rulebook:
    with runtime.database.raw_transaction() as connection:
        return read_rulebook(connection)


def a_candidate(rulebook: Rulebook, raw: bytes, source: Source = SIGNED_SOURCE) -> Candidate:
    line = read_line(raw)
    assert isinstance(line, Line)
    found = Examiner(source, rulebook, clock.now()).candidate(1, line, uuid4().hex)
    assert isinstance(found, Candidate)
    return found


def an_act_of_hers(begin_min: float, end_min: float, *, counts: bool = True) -> Neighbour:
    """Return a trip of hers, in minutes from noon yesterday."""
    noon_s = noon().timestamp()
    begin_s, end_s = noon_s + begin_min * MINUTE_S, noon_s + end_min * MINUTE_S
    return Neighbour(uuid4().hex, begin_s, end_s, "metro_ride", is_trip=True, counts=counts)


class TestTripsOverlap:
    @pytest.mark.parametrize(
        ("begin_min", "end_min", "overlaps"),
        [
            (-30, 0, False),
            (-30, 0.1, True),
            (30, 60, False),
            (29.9, 60, True),
            (10, 20, True),
            (-10, 40, True),
            (0, 30, True),
            (0, 0, True),
            (30, 30, False),
            (15, 15, True),
            (-600, -590, False),
        ],
    )
    def test_when_they_share_a_moment(
        self, rulebook: Rulebook, begin_min: float, end_min: float, *, overlaps: bool
    ) -> None:
        hood = Neighbourhood([an_act_of_hers(begin_min, end_min)])

        assert bool(hood.overlapping(a_candidate(rulebook, a_ride()))) is overlaps

    def test_even_if_both_took_no_time(self, rulebook: Rulebook) -> None:
        hood = Neighbourhood([an_act_of_hers(0, 0)])
        moment = an_act("metro_ride", {"distance_m": 8200}, lasting=timedelta(0))

        assert hood.overlapping(a_candidate(rulebook, moment))

    def test_only_if_the_other_counts_and_is_a_trip(self, rulebook: Rulebook) -> None:
        refused = an_act_of_hers(0, 30, counts=False)
        no_trip = replace(an_act_of_hers(0, 30), is_trip=False)

        assert Neighbourhood([refused, no_trip]).overlapping(a_candidate(rulebook, a_ride())) == []


class TestASignedTrip:
    """No methodology lets a citizen's own trip count yet, so the rule is asked by itself."""

    def desk(self, *others: Neighbour) -> _Desk:
        hoods: defaultdict[str, Neighbourhood] = defaultdict(lambda: Neighbourhood(list(others)))
        return _Desk(SIGNED_SOURCE, hoods, {}, Claims({}, {}), Readings(), Decided())

    def test_takes_the_place_of_her_own_that_wait(self, rulebook: Rulebook) -> None:
        others = [an_act_of_hers(-20, 10), an_act_of_hers(20, 50)]
        for other in others:
            other.is_pending = other.is_self_recorded = True
        desk = self.desk(*others)

        desk.decide(trip := a_candidate(rulebook, a_ride()))

        assert desk.decided.certified == [trip]
        assert desk.decided.superseded == [(trip, other.activity_id) for other in others]

    @pytest.mark.parametrize(
        ("is_pending", "is_self_recorded"), [(True, False), (False, True), (False, False)]
    )
    def test_is_refused_beside_any_other(
        self, rulebook: Rulebook, *, is_pending: bool, is_self_recorded: bool
    ) -> None:
        waiting, other = an_act_of_hers(-20, 10), an_act_of_hers(20, 50)
        waiting.is_pending = waiting.is_self_recorded = True
        other.is_pending, other.is_self_recorded = is_pending, is_self_recorded
        desk = self.desk(waiting, other)

        desk.decide(a_candidate(rulebook, a_ride()))

        assert [reason.code for _, reason in desk.decided.refused] == ["overlap"]
        assert desk.decided.superseded == []

    def test_of_her_own_takes_nobodys_place(self, rulebook: Rulebook) -> None:
        other = an_act_of_hers(0, 30)
        other.is_pending = other.is_self_recorded = True
        desk = self.desk(other)
        desk.source = Source(None, SHENZHEN, SELF_RECORDED, None)

        desk.decide(a_candidate(rulebook, a_ride()))

        assert [reason.code for _, reason in desk.decided.refused] == ["overlap"]


class TestACap:
    def test_is_reached_by_acts_of_the_same_kind_and_day_that_count(
        self, rulebook: Rulebook
    ) -> None:
        ride = a_candidate(rulebook, a_ride())
        today = [an_act_of_hers(-60 * n, -60 * n + 30) for n in range(1, 6)]

        assert Neighbourhood(today[:4]).cap_reached(ride) is None
        reached = Neighbourhood(today).cap_reached(ride)
        assert reached is not None
        assert reached.code == "daily-cap-reached"
        for other in (
            replace(today[4], counts=False),
            replace(today[4], behavior="bus_ride"),
            replace(today[4], start_s=today[4].start_s - 86_400),
        ):
            assert Neighbourhood([*today[:4], other]).cap_reached(ride) is None


class TestAPeriod:
    @pytest.mark.parametrize(
        ("day", "period", "days"),
        [
            (date(2026, 3, 31), "day", 1),
            (date(2026, 2, 11), "month", 28),
            (date(2028, 2, 29), "month", 29),
            (date(2026, 12, 31), "month", 31),
        ],
    )
    def test_is_a_day_or_month_of_shanghai(self, day: date, period: str, days: int) -> None:
        begin_s, end_s = period_of(day, period)

        assert end_s - begin_s == days * 86_400
        first = day.replace(day=1) if period == "month" else day
        assert begin_s == clock.start_of(first).timestamp()


class TestALimitOfAMethodology:
    def test_on_the_distance_is_kept(self, rulebook: Rulebook) -> None:
        """No published version sets one below what can be read, so the rule is asked by itself."""
        examiner = Examiner(SIGNED_SOURCE, rulebook, clock.now())
        ride = a_candidate(rulebook, a_ride())
        ground = examiner._ground("metro_ride", ride.start_s)
        assert ground is not None

        reason = reason_by_itself(
            replace(ground, farthest_m=8199), ride.data, ride.start_s, ride.end_s
        )

        assert reason is not None
        assert (reason.code, reason.params) == ("distance-impossible", {"limit_m": "8199"})
        assert reason_by_itself(ground, ride.data, ride.start_s, ride.end_s) is None
