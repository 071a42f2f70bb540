"""Metro stations by the names on card taps, and a distance between two that no track undercuts."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from service.activities.feeds import fields
from service.activities.feeds.distances import MAP_DATUM_SHARE, Position, straight_line_m
from service.activities.feeds.tables import RowTally, Table, UnusableRowError, rows_of

STATIONS = Table("metro stations", ("station", "longitude_gcj02", "latitude_gcj02"))

SUFFIX = "站"

ALIASES = {
    "深圳大学": "深大",
    "马鞍山": "马安山",
}
"""Names on taps → names on the station list, where the list itself settles it.

深圳大学 is tapped on line 1 only, and the list translates its line 1 station 深大 as “Shenzhen
University” (深大南, on line 9, is “ShenDa South”). 马鞍山 is tapped on line 11 only, and the list
has one hill of that sound there, 马安山. A name that an encoding destroyed stays unknown."""


class StationMap:
    """Where stations are; one name may stand at several points, one for each of its lines."""

    def __init__(self, positions: dict[str, list[Position]]) -> None:
        self._positions = positions

    def distance_m(self, entered: str, left: str) -> int:
        """Return whole metres in a straight line, rounded down: a track is never shorter.

        Raises:
            UnusableRowError: station-unknown, same-station.
        """
        start, end = self._name(entered), self._name(left)
        if start == end:
            raise UnusableRowError("same-station")
        shortest_m = min(
            straight_line_m(here, there)
            for here in self._positions[start]
            for there in self._positions[end]
        )
        distance_m = math.floor(shortest_m * MAP_DATUM_SHARE)
        if distance_m == 0:
            raise UnusableRowError("same-station")
        return distance_m

    def _name(self, tapped: str) -> str:
        short = tapped.removesuffix(SUFFIX)
        for name in (tapped, short, ALIASES.get(short, "")):
            if name in self._positions:
                return name
        raise UnusableRowError("station-unknown")


def read_stations(paths: Sequence[Path], tally: RowTally) -> StationMap:
    """Read the station list; a station without usable coordinates is left out and counted."""
    positions: dict[str, list[Position]] = defaultdict(list)
    for name, longitude, latitude in rows_of(paths, STATIONS, tally):
        try:
            station = fields.identifier(name, "station")
            place = fields.position(longitude, latitude)
        except UnusableRowError as unusable:
            tally.drop(unusable.reason)
        else:
            positions[station].append(place)
    return StationMap(dict(positions))
