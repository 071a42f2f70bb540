"""Card taps of metro and bus as Shenzhen publishes them: entries and exits become rides.

Local times are Asia/Shanghai. The taps of all cards are held in memory (about 300 bytes each),
because the file is in no order and a ride is made of two rows.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from sys import intern
from typing import NamedTuple

from service.activities.feeds import fields
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts, digest_id
from service.activities.feeds.stations import STATIONS, StationMap, read_stations
from service.activities.feeds.tables import (
    Row,
    Table,
    UnusableRowError,
    recognised,
    required,
    rows_of,
)
from service.clock import SHANGHAI

TAPS = Table("card taps", ("card_no", "deal_date", "deal_type", "equ_no", "station"))

LONGEST_RIDE = timedelta(hours=4)
"""An exit later than this belongs to another entry that was never read."""
COMPANION_WINDOW = timedelta(minutes=10)
"""A card that pays again so soon pays for somebody else: one card, one ride."""


class Kind(IntEnum):
    """What a tap is; at the same second one leaves before one enters."""

    EXIT = 1
    ENTRY = 2
    BUS = 3


KINDS = {"地铁入站": Kind.ENTRY, "地铁出站": Kind.EXIT, "巴士": Kind.BUS}


class Tap(NamedTuple):
    """One touch of a card."""

    at: datetime
    kind: Kind
    terminal: str
    station: str


def read(paths: Sequence[Path], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield metro rides (entry and next exit of a card) and bus rides, card by card."""
    found = recognised(paths, (TAPS, STATIONS))
    tap_files, station_files = required(found, TAPS), required(found, STATIONS)
    stations = read_stations(station_files, counts.reference)
    for card, taps in _taps_by_card(rows_of(tap_files, TAPS, counts), counts).items():
        distinct = _distinct(taps, counts)
        metro = [tap for tap in distinct if tap.kind is not Kind.BUS]
        yield from _metro_rides(card, metro, stations, counts)
        yield from _bus_rides(card, (tap for tap in distinct if tap.kind is Kind.BUS), counts)


def _taps_by_card(rows: Iterable[Row], counts: ReadCounts) -> dict[str, list[Tap]]:
    cards: dict[str, list[Tap]] = defaultdict(list)
    for row in rows:
        try:
            card, tap = fields.identifier(row[0], "account"), _tap(row)
        except UnusableRowError as unusable:
            counts.drop(unusable.reason)
        else:
            cards[card].append(tap)
    return cards


def _tap(row: Row) -> Tap:
    _, at, kind, terminal, station = row
    if kind not in KINDS:
        raise UnusableRowError("tap-kind-unknown")
    return Tap(fields.moment(at, SHANGHAI), KINDS[kind], intern(terminal), intern(station))


def _distinct(taps: list[Tap], counts: ReadCounts) -> list[Tap]:
    """Put a card's taps in order of time; one card touches one terminal once in a second."""
    seen = {(tap.at, tap.kind, tap.terminal): tap for tap in sorted(taps, reverse=True)}
    if repeated := len(taps) - len(seen):
        counts.drop("duplicate-row", repeated)
    return sorted(seen.values())


def _metro_rides(
    card: str, taps: Iterable[Tap], stations: StationMap, counts: ReadCounts
) -> Iterator[ActivityLine]:
    for entry, leaving in _pairs(taps, counts):
        try:
            line = _metro_ride(card, entry, leaving, stations)
        except UnusableRowError as unusable:
            counts.drop(unusable.reason, rows=2)
        else:
            counts.use(rows=2)
            yield line


def _pairs(taps: Iterable[Tap], counts: ReadCounts) -> Iterator[tuple[Tap, Tap]]:
    """Pair each entry with the next tap, if that is an exit in time; stations do not matter yet.

    A tap without a station still ends or begins a ride: leaving it out would marry the taps
    around it, which are of different rides.
    """
    entry: Tap | None = None
    for tap in taps:
        if tap.kind is Kind.EXIT and entry and tap.at - entry.at <= LONGEST_RIDE:
            yield entry, tap
            entry = None
            continue
        if entry:
            counts.drop("entry-without-exit")
        entry = tap if tap.kind is Kind.ENTRY else None
        if entry is None:
            counts.drop("exit-without-entry")
    if entry:
        counts.drop("entry-without-exit")


def _metro_ride(card: str, entry: Tap, leaving: Tap, stations: StationMap) -> ActivityLine:
    ends = (entry.at.isoformat(), entry.terminal, leaving.at.isoformat(), leaving.terminal)
    return ActivityLine(
        external_id=digest_id("metro", card, *ends),
        account_ref=card,
        behavior="metro_ride",
        started_at=entry.at,
        ended_at=leaving.at,
        activity_data={"distance_m": stations.distance_m(entry.station, leaving.station)},
    )


def _bus_rides(card: str, taps: Iterable[Tap], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield one ride a tap; where she got off, and so the distance, nobody measured."""
    paid_at: datetime | None = None
    for tap in taps:
        if paid_at and tap.at - paid_at <= COMPANION_WINDOW:
            counts.drop("companion-tap")
            continue
        paid_at = tap.at
        counts.use()
        yield ActivityLine(
            external_id=digest_id("bus", card, tap.at.isoformat(), tap.terminal),
            account_ref=card,
            behavior="bus_ride",
            started_at=tap.at,
            ended_at=tap.at,
            activity_data={},
        )


FEED = Feed(
    name="shenzhen-card",
    description="Metro and bus card taps (Shenzhen Tong), with the list of metro stations",
    behaviors=("metro_ride", "bus_ride"),
    files=(TAPS, STATIONS),
    read=read,
)
