"""Positions of shared e-bikes as ValleyBike publishes them: the points of a trip become a ride.

The times carry no offset and are read as UTC. The scheme's manual says Eastern daylight time, but
then its riders would be busiest from 18 to 22 h and rest from 4 to 8 h; as UTC the same hours are
the Massachusetts afternoon and night. All points are held in memory, 24 bytes each, because
nothing promises that the points of a trip stand together or in order.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.activities.feeds import fields
from service.activities.feeds.distances import Position, straight_line_m
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts
from service.activities.feeds.tables import (
    Row,
    Table,
    UnusableRowError,
    recognised,
    required,
    rows_of,
)

POINTS = Table("e-bike positions", ("route_id", "user_id", "time", "longitude", "latitude"))

Point = tuple[int, float, float]
"""Microseconds since the epoch, degrees north, degrees east."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

FASTEST_M_PER_S = 60 / 3.6
"""A pedal-assist bike does not go 60 km/h: what does is a jump of the receiver, not a metre."""
STEP_M = 10
"""Closer points are the same place: a receiver at rest wanders, and must not collect metres."""
FALSE_START_M = 100
"""A bike taken and put back is no ride."""


class Track:
    """The points of one trip, in whatever order they come."""

    def __init__(self, rider: str) -> None:
        self.riders = {rider}
        self._microseconds = array("q")
        self._latitudes = array("d")
        self._longitudes = array("d")

    def add(self, rider: str, at: datetime, where: Position) -> None:
        """Take one more point."""
        self.riders.add(rider)
        self._microseconds.append((at - EPOCH) // MICROSECOND)
        self._latitudes.append(where.latitude)
        self._longitudes.append(where.longitude)

    def __len__(self) -> int:
        return len(self._microseconds)

    def started_at(self) -> datetime:
        """Return the moment of the first point."""
        return EPOCH + min(self._microseconds) * MICROSECOND

    def ended_at(self) -> datetime:
        """Return the moment of the last point."""
        return EPOCH + max(self._microseconds) * MICROSECOND

    def distance_m(self) -> int:
        """Return the metres along the track, rounded down, without jumps and wandering."""
        points = sorted(zip(self._microseconds, self._latitudes, self._longitudes, strict=True))
        travelled_m = 0.0
        place = before = points[0]
        for point in points[1:]:
            if _is_jump(before, point):
                place = point
            elif (step_m := _apart_m(place, point)) >= STEP_M:
                travelled_m += step_m
                place = point
            before = point
        return math.floor(travelled_m)


def _apart_m(here: Point, there: Point) -> float:
    return straight_line_m(Position(*here[1:]), Position(*there[1:]))


def _is_jump(here: Point, there: Point) -> bool:
    return _apart_m(here, there) * 1_000_000 > FASTEST_M_PER_S * (there[0] - here[0])


def read(paths: Sequence[Path], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield one ride a trip, in order of time."""
    files = required(recognised(paths, (POINTS,)), POINTS)
    tracks = _tracks(rows_of(files, POINTS, counts), counts)
    for route, track in sorted(tracks.items(), key=lambda item: (item[1].started_at(), item[0])):
        try:
            line = _ride(route, track)
        except UnusableRowError as unusable:
            counts.drop(unusable.reason, rows=len(track))
        else:
            counts.use(rows=len(track))
            yield line


def _tracks(rows: Iterable[Row], counts: ReadCounts) -> dict[str, Track]:
    tracks: dict[str, Track] = {}
    for row in rows:
        try:
            route, rider = fields.identifier(row[0], "record"), fields.identifier(row[1], "account")
            at, where = fields.moment(row[2], UTC), fields.position(*row[3:])
        except UnusableRowError as unusable:
            counts.drop(unusable.reason)
        else:
            tracks.setdefault(route, Track(rider)).add(rider, at, where)
    return tracks


def _ride(route: str, track: Track) -> ActivityLine:
    if len(track.riders) > 1:
        raise UnusableRowError("rider-ambiguous")
    if track.started_at() == track.ended_at():
        raise UnusableRowError("single-point")
    distance_m = track.distance_m()
    if distance_m < FALSE_START_M:
        raise UnusableRowError("false-start")
    (rider,) = track.riders
    return ActivityLine(
        external_id=route,
        account_ref=rider,
        behavior="shared_ebike_ride",
        started_at=track.started_at(),
        ended_at=track.ended_at(),
        activity_data={"distance_m": distance_m},
    )


FEED = Feed(
    name="valleybike",
    description="GPS positions of shared e-bikes (ValleyBike), many rows a ride",
    behaviors=("shared_ebike_ride",),
    files=(POINTS,),
    read=read,
)
