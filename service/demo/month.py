"""What happens in the simulated city, day by day: honest acts and cheats, each with its verdict.

Everything follows from the seed. An honest day leaves room for the cheats: nobody rides the metro
between nine and six or after eight, so that what a cheat meets is what it was made to meet.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from service import clock
from service.demo.sources import BIKES, METRO, RECYCLER

CITIZEN = "citizen"
"""Reports by herself."""

CERTIFIED, PENDING = "certified", "pending"
METRO_RIDES_A_DAY = 5
"""The cap of metro_ride."""
GREEDY_RIDES = 8
CITIZENS_FOR_EACH_CHEAT = 8
"""Of so many people one tries each trick once in the month."""
PV_HOME_EVERY = 5
COMMUTERS, CYCLISTS, RECYCLERS = 0.6, 0.35, 0.12
"""Shares of the people who on one day take the metro, take a bike at noon, bring boxes."""
STALE_DAYS = 60


@dataclass(frozen=True, slots=True)
class Act:
    """One record, and what should come of it."""

    reporter: str
    citizen: int
    day: date
    record: dict[str, Any]
    expected: str
    """A verdict, or the code of a refusal."""
    raw: bytes = b""
    """What is sent instead, where a line is spoiled."""

    @property
    def line(self) -> bytes:
        """The record as a line of a feed."""
        return self.raw or json.dumps(self.record).encode()


class Trip(NamedTuple):
    """When and how far somebody travels."""

    minute: int
    """Of the day."""
    minutes: int
    distance_m: int


def month(seed: int, citizens: int, first_day: date, days: int) -> list[list[Act]]:
    """Return the acts of every day, in the order in which they are reported."""
    rng = Random(seed)  # noqa: S311  a game, not a secret
    calendar = [first_day + timedelta(days=n) for n in range(days)]
    acts = [
        act for day in calendar for citizen in range(citizens) for act in _honest(rng, citizen, day)
    ]
    acts += _cheats(rng, tuple(acts), citizens, calendar)
    return [[act for act in acts if act.day == day] for day in calendar]


def _honest(rng: Random, citizen: int, day: date) -> Iterator[Act]:
    """Yield what one person honestly does on one day; the first misses no day."""
    if citizen == 0 or rng.random() < COMMUTERS:
        km = rng.randint(4, 18)
        for name, earliest in (("out", 7 * 60 + 30), ("back", 18 * 60)):
            trip = Trip(earliest + rng.randint(0, 40), 8 + 2 * km, km * 1_000)
            yield _metro(citizen, day, name, trip)
    if rng.random() < CYCLISTS:
        metres = rng.randint(800, 3_000)
        trip = Trip(12 * 60 + rng.randint(0, 40), metres // 150, metres)
        yield _bike(citizen, day, "noon", trip)
    if citizen == 0 or rng.random() < RECYCLERS:
        yield _boxes(citizen, day, "takeaway_box", rng.randint(200, 1_500))
    if citizen % PV_HOME_EVERY == 0:
        yield _sunshine(citizen, day, rng.randint(3_000, 12_000))


def _cheats(
    rng: Random, honest: Sequence[Act], citizens: int, calendar: Sequence[date]
) -> Iterator[Act]:
    """Yield every trick; nobody tries the same one twice."""
    tries = max(1, citizens // CITIZENS_FOR_EACH_CHEAT)
    rides = [act for act in honest if act.record["external_id"].startswith("out-")]
    for of_a_ride in (_sent_again, _changed, _in_two_places):
        for ride in rng.sample(rides, tries):
            yield of_a_ride(ride, calendar[-1])
    for of_a_day in TRICKS:
        for citizen in rng.sample(range(citizens), tries):
            yield of_a_day(citizen, rng.choice(calendar))
    for citizen in rng.sample(range(citizens), tries):
        yield from _over_the_cap(citizen, rng.choice(calendar), honest)


def _sent_again(ride: Act, last_day: date) -> Act:
    day = min(ride.day + timedelta(days=1), last_day)
    return Act(METRO, ride.citizen, day, ride.record, "duplicate")


def _changed(ride: Act, last_day: date) -> Act:
    day = min(ride.day + timedelta(days=1), last_day)
    longer = {"distance_m": ride.record["activity_data"]["distance_m"] + 5_000}
    return Act(METRO, ride.citizen, day, {**ride.record, "activity_data": longer}, "conflict")


def _in_two_places(ride: Act, _last_day: date) -> Act:
    record = {
        **ride.record,
        "external_id": f"bike-{ride.record['external_id']}",
        "behavior": "shared_bike_ride",
        "activity_data": {"distance_m": 1_000},
    }
    return Act(BIKES, ride.citizen, ride.day, record, "overlap")


def _too_fast(citizen: int, day: date) -> Act:
    return _metro(citizen, day, "fast", Trip(15 * 60, 15, 60_000), "speed-impossible")


def _in_the_future(citizen: int, day: date) -> Act:
    to_come = clock.today() + timedelta(days=2)
    ride = _metro(citizen, to_come, "future", Trip(8 * 60, 20, 9_000), "in-the-future")
    return _sent_on(day, ride)


def _too_late(citizen: int, day: date) -> Act:
    long_ago = clock.today() - timedelta(days=STALE_DAYS)
    ride = _metro(citizen, long_ago, "late", Trip(8 * 60, 20, 9_000), "too-late")
    return _sent_on(day, ride)


def _of_nobody(citizen: int, day: date) -> Act:
    ride = _metro(citizen, day, "nobody", Trip(10 * 60, 20, 9_000), "source-link-missing")
    return Act(METRO, citizen, day, {**ride.record, "account_ref": "stolen-card"}, ride.expected)


def _unheard_of(citizen: int, day: date) -> Act:
    ride = _bike(citizen, day, "unheard", Trip(10 * 60, 20, 2_000), "behavior-unknown")
    return Act(BIKES, citizen, day, {**ride.record, "behavior": "teleport"}, ride.expected)


def _garbled(citizen: int, day: date) -> Act:
    ride = _bike(citizen, day, "garbled", Trip(10 * 60, 20, 2_000), "json-malformed")
    return Act(BIKES, citizen, day, ride.record, ride.expected, ride.line.replace(b":", b"=", 1))


def _endless(citizen: int, day: date) -> Act:
    ride = _bike(citizen, day, "endless", Trip(10 * 60, 20, 2_000), "field-missing")
    record = {name: value for name, value in ride.record.items() if name != "ended_at"}
    return Act(BIKES, citizen, day, record, ride.expected)


def _paper(citizen: int, day: date) -> Act:
    return _boxes(citizen, day, "paper", 5_000, "methodology-weak")


def _own_word(citizen: int, day: date) -> Act:
    ride = _metro(citizen, day, "own", Trip(14 * 60, 20, 9_000), "evidence-tier-too-low")
    record = {name: value for name, value in ride.record.items() if name != "account_ref"}
    return Act(CITIZEN, citizen, day, record, ride.expected)


TRICKS = (
    _too_fast,
    _in_the_future,
    _too_late,
    _of_nobody,
    _unheard_of,
    _garbled,
    _endless,
    _paper,
    _own_word,
)


def _over_the_cap(citizen: int, day: date, honest: Sequence[Act]) -> Iterator[Act]:
    """Yield short rides all evening; those above the day's cap are refused."""
    ridden = sum(
        act.reporter == METRO and act.citizen == citizen and act.day == day for act in honest
    )
    for number in range(GREEDY_RIDES):
        counts = ridden + number < METRO_RIDES_A_DAY
        trip = Trip(20 * 60 + number * 25, 10, 4_000)
        expected = CERTIFIED if counts else "daily-cap-reached"
        yield _metro(citizen, day, f"greedy{number}", trip, expected)


def _metro(citizen: int, day: date, name: str, trip: Trip, expected: str = CERTIFIED) -> Act:
    return _trip(METRO, "metro_ride", citizen, day, name, trip, expected)


def _bike(citizen: int, day: date, name: str, trip: Trip, expected: str = CERTIFIED) -> Act:
    return _trip(BIKES, "shared_bike_ride", citizen, day, name, trip, expected)


def _trip(
    reporter: str, behavior: str, citizen: int, day: date, name: str, trip: Trip, expected: str
) -> Act:
    started_at = clock.start_of(day) + timedelta(minutes=trip.minute)
    record = _record(
        f"{name}-{citizen}-{day}",
        behavior,
        started_at,
        started_at + timedelta(minutes=trip.minutes),
        {"distance_m": trip.distance_m},
    )
    return Act(reporter, citizen, day, {**record, "account_ref": account_of(citizen)}, expected)


def _boxes(citizen: int, day: date, material: str, mass_g: int, expected: str = PENDING) -> Act:
    at = clock.start_of(day) + timedelta(hours=20)
    data = {"material": material, "mass_g": mass_g}
    record = _record(f"{material}-{citizen}-{day}", "waste_recycling", at, at, data)
    return Act(RECYCLER, citizen, day, {**record, "account_ref": account_of(citizen)}, expected)


def _sunshine(citizen: int, day: date, energy_wh: int) -> Act:
    begins, ends = clock.start_of(day), clock.start_of(day + timedelta(days=1))
    record = _record(f"pv-{day}", "household_pv", begins, ends, {"energy_wh": energy_wh})
    return Act(CITIZEN, citizen, day, record, PENDING)


def _record(
    external_id: str, behavior: str, started_at: datetime, ended_at: datetime, data: dict[str, Any]
) -> dict[str, Any]:
    return {
        "external_id": external_id,
        "behavior": behavior,
        "started_at": started_at.isoformat(),
        "ended_at": ended_at.isoformat(),
        "activity_data": data,
    }


def _sent_on(day: date, act: Act) -> Act:
    return Act(act.reporter, act.citizen, day, act.record, act.expected)


def account_of(citizen: int) -> str:
    """Return a person's number at every source."""
    return f"card-{citizen:05}"
