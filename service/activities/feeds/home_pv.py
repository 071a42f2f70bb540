"""Hourly output of household PV as CityLearn publishes it: the hours of a home's day become a line.

A line is one home's day, because its hours add up to one reading and nobody produces twice. The
generation is written in W per installed kW, so a second file says how large each roof is. The
file has no date and no zone; `hour_clock` finds the dates, and a day here is the civil day that
the whole service means, Asia/Shanghai.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

from service.activities.feeds import fields
from service.activities.feeds.hour_clock import Hour, HourClock
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts, digest_id
from service.activities.feeds.tables import (
    Row,
    RowTally,
    Table,
    UnusableRowError,
    recognised,
    required,
    rows_of,
)
from service.clock import start_of

HOURS = Table("hours", ("building", "month", "hour", "day_type", "solar_generation"))
BUILDINGS = Table("buildings", ("building", "pv_nominal_power_kw"))

HIGHEST_W_PER_KW = 1_500
"""Nominal power is output under 1,000 W/m2; clouds' edges focus more, but never by half."""
HIGHEST_KW = 1_000
"""Above 1 MW it is a power station and no home (Shanghai's household PV method ends there)."""


@dataclass
class Home:
    """One building: its roof, its clock and the day being added up."""

    name: str
    power_kw: Fraction
    clock: HourClock = field(default_factory=HourClock)
    day: date = date.min
    hours: int = 0
    energy_wh: Fraction = Fraction(0)


def read(paths: Sequence[Path], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield one line for each home and day with any output; homes may be mixed."""
    found = recognised(paths, (HOURS, BUILDINGS))
    hour_files, building_files = required(found, HOURS), required(found, BUILDINGS)
    homes = _read_homes(building_files, counts.reference)
    for row in rows_of(hour_files, HOURS, counts):
        try:
            home = _home_of(row, homes)
            day, energy_wh = _hour(row, home)
        except UnusableRowError as unusable:
            counts.drop(unusable.reason)
            continue
        if day != home.day:
            yield from _closed(home, counts)
            home.day = day
        home.hours += 1
        home.energy_wh += energy_wh
    for home in homes.values():
        yield from _closed(home, counts)


def _read_homes(paths: Sequence[Path], tally: RowTally) -> dict[str, Home]:
    homes: dict[str, Home] = {}
    for name, power in rows_of(paths, BUILDINGS, tally):
        try:
            home = Home(
                fields.identifier(name, "building"), fields.amount(power, "power", HIGHEST_KW)
            )
        except UnusableRowError as unusable:
            tally.drop(unusable.reason)
            continue
        if homes.setdefault(name, home) is not home:
            tally.drop("building-repeated")
    return homes


def _home_of(row: Row, homes: dict[str, Home]) -> Home:
    if row[0] not in homes:
        raise UnusableRowError("building-unknown")
    return homes[row[0]]


def _hour(row: Row, home: Home) -> tuple[date, Fraction]:
    """Return the day and the energy (Wh) of an hour; its clock advances even if it is unusable."""
    _, month, hour, weekday, generation = row
    day = home.clock.day_of(
        Hour(
            fields.whole(month, "hour", range(1, 13)),
            fields.whole(weekday, "hour", range(1, 8)),
            fields.whole(hour, "hour", range(1, 25)),
        )
    )
    if day is None:
        raise UnusableRowError("hour-out-of-order")
    return day, fields.amount(generation, "generation", HIGHEST_W_PER_KW) * home.power_kw


def _closed(home: Home, counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield the line of the home's day, rounded down once, here, and make room for the next."""
    energy_wh = math.floor(home.energy_wh)
    if energy_wh:
        counts.use(rows=home.hours)
        yield ActivityLine(
            external_id=digest_id("pv", home.name, home.day.isoformat()),
            account_ref=home.name,
            behavior="household_pv",
            started_at=start_of(home.day),
            ended_at=start_of(home.day + timedelta(days=1)),
            activity_data={"energy_wh": energy_wh},
        )
    elif home.hours:
        counts.drop("generation-zero", rows=home.hours)
    home.hours, home.energy_wh = 0, Fraction(0)


FEED = Feed(
    name="home-pv",
    description="Hourly output of household PV (CityLearn), with the size of each roof",
    behaviors=("household_pv",),
    files=(HOURS, BUILDINGS),
    read=read,
)
