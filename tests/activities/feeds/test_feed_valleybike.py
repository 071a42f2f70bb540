from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
Read = Callable[..., Any]

HEADER = "route_id,user_id,bike,time,longitude,latitude"
STARTED = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
HUNDRED_M = 0.0009044
"""Degrees of latitude that the adapter's radius makes 100.003 m of."""


def point(after_s: float, north_m: float, *, route: str = "r1", user: str = "u1") -> str:
    time = (STARTED + timedelta(seconds=after_s)).replace(tzinfo=None).isoformat(sep=" ")
    return f"{route},{user},12,{time},-72.5,{42 + north_m / 100 * HUNDRED_M:.9f}"


def along(*north_m: float) -> list[str]:
    """Return one point every twenty seconds."""
    return [point(20 * index, metres) for index, metres in enumerate(north_m)]


class TestATrack:
    def test_becomes_a_ride_in_utc(self, a_file: Write, read: Read) -> None:
        (line,), counts = read("valleybike", a_file(HEADER, *along(0, 100, 200)))

        assert (line.external_id, line.account_ref) == ("r1", "u1")
        assert line.behavior == "shared_ebike_ride"
        assert (line.started_at, line.ended_at) == (STARTED, STARTED + timedelta(seconds=40))
        assert line.activity_data == {"distance_m": 200}
        assert counts.used == 3

    def test_is_the_same_in_any_order_of_rows(self, a_file: Write, read: Read) -> None:
        points = [*along(0, 100, 200), *(point(s, s * 5, route="r2") for s in (1.5, 30, 60))]

        straight, _ = read("valleybike", a_file(HEADER, *points))
        mixed, _ = read("valleybike", a_file(HEADER, *points[::-2], *points[-2::-2]))

        assert mixed == straight
        assert [line.external_id for line in straight] == ["r1", "r2"]

    @pytest.mark.parametrize(
        ("north_m", "distance_m"),
        [
            pytest.param([0, 100, 0], 200, id="there and back is ridden twice"),
            pytest.param([0, 100, 5100, 200], 100, id="a jump and the way back are not ridden"),
            pytest.param([0, 100, 5100, 5200], 200, id="nor is a jump that stays"),
            pytest.param([0, 100, 104, 98, 103, 97, 200], 200, id="standing still is no distance"),
            pytest.param([0, *[0] * 60, 5000, 5100, 5200], 200, id="a jump after a rest is one"),
            pytest.param([*range(0, 205, 5)], 200, id="small steps add up"),
        ],
    )
    def test_counts_only_metres_that_were_ridden(
        self, a_file: Write, read: Read, north_m: list[float], distance_m: int
    ) -> None:
        (line,), _ = read("valleybike", a_file(HEADER, *along(*north_m)))

        assert line.activity_data == {"distance_m": distance_m}

    def test_with_two_places_in_one_second_is_not_longer_for_it(
        self, a_file: Write, read: Read
    ) -> None:
        points = [point(0, 0), point(20, 100), point(20, 130), point(40, 230)]

        (line,), _ = read("valleybike", a_file(HEADER, *points))

        assert line.activity_data == {"distance_m": 200}

    @pytest.mark.parametrize(
        ("points", "dropped"),
        [
            ([point(0, 0)], {"single-point": 1}),
            ([point(0, 0), point(0, 500)], {"single-point": 2}),
            (along(0, 50, 99), {"false-start": 3}),
            ([*along(0, 200), point(40, 300, user="u2")], {"rider-ambiguous": 3}),
            ([point(0, 0, route="")], {"record-missing": 1}),
            ([point(0, 0, user="NA")], {"account-missing": 1}),
            (["r1,u1,1,2024-05-01 12:00:00,NaN,42"], {"coordinates-broken": 1}),
            (["r1,u1,1,noon,-72,42"], {"time-broken": 1}),
        ],
    )
    def test_that_is_no_ride_is_counted_with_all_its_points(
        self, a_file: Write, read: Read, points: list[str], dropped: dict[str, int]
    ) -> None:
        lines, counts = read("valleybike", a_file(HEADER, *points))

        assert lines == []
        assert counts.dropped == dropped
