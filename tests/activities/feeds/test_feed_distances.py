import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.activities.feeds.distances import (
    MAP_DATUM_SHARE,
    Position,
    between_cells_m,
    straight_line_m,
)

MAJOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563  # WGS-84
KRASOVSKY_M, KRASOVSKY_E2 = 6_378_245.0, 0.00669342162296594323


def ellipsoid_metres_per_degree(latitude: float) -> tuple[float, float]:
    """North and east, on WGS-84."""
    e2 = FLATTENING * (2 - FLATTENING)
    w2 = 1 - e2 * math.sin(math.radians(latitude)) ** 2
    north = MAJOR_M * (1 - e2) / w2**1.5
    east = MAJOR_M / math.sqrt(w2) * math.cos(math.radians(latitude))
    return math.radians(north), math.radians(east)


def on_a_chinese_map(point: Position) -> Position:
    """WGS-84 as GCJ-02 shows it; the public form of the transformation."""
    y, x = point.latitude - 35, point.longitude - 105
    waves = (20 * math.sin(6 * x * math.pi) + 20 * math.sin(2 * x * math.pi)) * 2 / 3
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x)) + waves
    north += (20 * math.sin(y * math.pi) + 40 * math.sin(y / 3 * math.pi)) * 2 / 3
    north += (160 * math.sin(y / 12 * math.pi) + 320 * math.sin(y * math.pi / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x)) + waves
    east += (20 * math.sin(x * math.pi) + 40 * math.sin(x / 3 * math.pi)) * 2 / 3
    east += (150 * math.sin(x / 12 * math.pi) + 300 * math.sin(x / 30 * math.pi)) * 2 / 3
    w2 = 1 - KRASOVSKY_E2 * math.sin(math.radians(point.latitude)) ** 2
    meridian_m = KRASOVSKY_M * (1 - KRASOVSKY_E2) / w2**1.5
    parallel_m = KRASOVSKY_M / math.sqrt(w2) * math.cos(math.radians(point.latitude))
    return Position(
        point.latitude + math.degrees(north / meridian_m),
        point.longitude + math.degrees(east / parallel_m),
    )


in_china = st.builds(Position, st.floats(18, 54), st.floats(73, 135))
steps = st.floats(-0.02, 0.02)


def ground_m(start: Position, north: float, east: float) -> float:
    """What a surveyor measures between two points some kilometres apart, nearly."""
    per_north, per_east = ellipsoid_metres_per_degree(start.latitude + north / 2)
    return math.hypot(north * per_north, east * per_east)


@given(in_china, steps, steps)
def test_a_straight_line_is_never_longer_than_the_ground(
    start: Position, north: float, east: float
) -> None:
    end = Position(start.latitude + north, start.longitude + east)

    measured_m = straight_line_m(start, end)

    assert measured_m <= ground_m(start, north, east) * (1 + 1e-6) + 1e-6
    assert measured_m >= ground_m(start, north, east) * 0.99 - 1e-6


@given(in_china, steps, steps)
def test_the_map_datum_cannot_stretch_a_distance_beyond_its_share(
    start: Position, north: float, east: float
) -> None:
    end = Position(start.latitude + north, start.longitude + east)

    on_map_m = straight_line_m(on_a_chinese_map(start), on_a_chinese_map(end))

    assert on_map_m * MAP_DATUM_SHARE <= ground_m(start, north, east) * (1 + 1e-6) + 1e-6


def rounded(point: Position) -> Position:
    return Position(round(point.latitude, 3), round(point.longitude, 3))


@given(in_china, steps, steps)
def test_rounded_ends_never_make_a_ride_longer(start: Position, north: float, east: float) -> None:
    end = Position(start.latitude + north, start.longitude + east)

    written_m = between_cells_m(rounded(start), rounded(end), 0.001)

    assert written_m <= straight_line_m(start, end) + 1e-6


@pytest.mark.parametrize("there", [Position(-42.0, -108.0), Position(42.0, 72.0)])
def test_the_far_side_of_the_earth_is_a_number(there: Position) -> None:
    assert 0 < straight_line_m(Position(42.0, 72.0001), there) <= 6_335_439 * math.pi
