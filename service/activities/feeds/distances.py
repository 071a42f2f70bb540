"""Distances between points, always on the short side: nobody is credited for a metre too many."""

import math
from typing import NamedTuple

SMALLEST_RADIUS_M = 6_335_439.0
"""Smallest radius of curvature of the Earth: a(1 − e²) of WGS-84 (NGA.STND.0036, a = 6,378,137 m,
1/f = 298.257223563), so that no arc comes out longer than on the ellipsoid."""

MAP_DATUM_SHARE = 0.99
"""What may be believed of a distance on a Chinese map (GCJ-02). Its offset of some hundred metres
is nearly the same at both ends and cancels; what does not cancel stretches a distance by up to
8 ‰ between 18–54° N and 73–135° E, as the transformation's derivative shows (see the test)."""


class Position(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


def straight_line_m(here: Position, there: Position) -> float:
    """Return the great-circle distance, metres."""
    north = math.radians(there.latitude - here.latitude)
    east = math.radians(there.longitude - here.longitude)
    cosines = math.cos(math.radians(here.latitude)) * math.cos(math.radians(there.latitude))
    return _arc_m(north, east, cosines)


def between_cells_m(here: Position, there: Position, cell_degrees: float) -> float:
    """Return the shortest distance between two positions that were rounded to a grid, metres.

    The true ends lie anywhere within half a cell of the written ones, so each difference may be
    a whole cell smaller, and the meridians closer by half a cell's latitude.
    """
    north = max(0.0, abs(there.latitude - here.latitude) - cell_degrees)
    east = max(0.0, abs(there.longitude - here.longitude) - cell_degrees)
    polewards = min(90.0, max(abs(here.latitude), abs(there.latitude)) + cell_degrees / 2)
    cosines = math.cos(math.radians(polewards)) ** 2
    return _arc_m(math.radians(north), math.radians(east), cosines)


def _arc_m(north: float, east: float, cosines: float) -> float:
    haversine = math.sin(north / 2) ** 2 + cosines * math.sin(east / 2) ** 2
    return 2 * SMALLEST_RADIUS_M * math.asin(math.sqrt(min(1.0, haversine)))
