"""Dock-less bike rides as Mobike exports them: two ends of a ride, rounded to a thousandth degree.

Local times are Asia/Shanghai, to the minute. A rider who has two bikes at once, or locks one bike
hours late, is no matter of reading: the checks of the intake decide about overlap and speed.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.activities.feeds import fields
from service.activities.feeds.distances import MAP_DATUM_SHARE, between_cells_m
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts, one_line_per_row
from service.activities.feeds.tables import (
    Row,
    Table,
    UnusableRowError,
    recognised,
    required,
    rows_of,
)
from service.clock import SHANGHAI

RIDES = Table(
    "bike rides",
    (
        "orderid",
        "userid",
        "start_time",
        "end_time",
        "start_lng",
        "start_lat",
        "end_lng",
        "end_lat",
    ),
)

CELL_DEGREES = 0.001
"""The grid of the file's coordinates: about a hundred metres."""


def read(paths: Sequence[Path], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield one ride a row, with the shortest distance that its rounded ends allow."""
    files = required(recognised(paths, (RIDES,)), RIDES)
    return one_line_per_row(rows_of(files, RIDES, counts), _ride, counts)


def _ride(row: Row) -> ActivityLine:
    order, rider, unlocked, locked, *ends = row
    started_at, ended_at = fields.period(unlocked, locked, SHANGHAI)
    return ActivityLine(
        external_id=fields.identifier(order, "record"),
        account_ref=fields.identifier(rider, "account"),
        behavior="shared_bike_ride",
        started_at=started_at,
        ended_at=ended_at,
        activity_data={"distance_m": _distance_m(*ends)},
    )


def _distance_m(start_lng: str, start_lat: str, end_lng: str, end_lat: str) -> int:
    start, end = fields.position(start_lng, start_lat), fields.position(end_lng, end_lat)
    distance_m = math.floor(between_cells_m(start, end, CELL_DEGREES) * MAP_DATUM_SHARE)
    if distance_m == 0:
        raise UnusableRowError("distance-zero")
    return distance_m


FEED = Feed(
    name="mobike",
    description="Dock-less shared-bike rides (Mobike), one row a ride",
    behaviors=("shared_bike_ride",),
    files=(RIDES,),
    read=read,
)
