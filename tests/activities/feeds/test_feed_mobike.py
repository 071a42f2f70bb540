from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
Read = Callable[..., Any]

HEADER = "orderid,userid,start_time,end_time,start_lng,start_lat,end_lng,end_lat"


def ride(
    *,
    order: str = "1",
    user: str = "9",
    times: str = "2024/5/1 23:50,2024/5/2 0:05",
    start: str = "121.400,31.200",
    end: str = "121.400,31.220",
) -> str:
    return f"{order},{user},{times},{start},{end}"


class TestABikeRide:
    def test_is_read_in_local_time(self, a_file: Write, read: Read) -> None:
        (line,), _ = read("mobike", a_file(HEADER, ride(order="0041", user="007")))

        assert (line.external_id, line.account_ref) == ("0041", "007")
        assert line.behavior == "shared_bike_ride"
        assert line.started_at == datetime(2024, 5, 1, 15, 50, tzinfo=UTC)
        assert line.ended_at == datetime(2024, 5, 1, 16, 5, tzinfo=UTC)

    def test_is_as_long_as_its_rounded_ends_allow_at_least(self, a_file: Write, read: Read) -> None:
        (line,), _ = read("mobike", a_file(HEADER, ride()))

        # 0.019 degrees of a meridian are left of 0.020, and a hundredth goes to the map datum
        assert line.activity_data == {"distance_m": 2079}

    def test_may_carry_binary_noise(self, a_file: Write, read: Read) -> None:
        noisy = ride(start="121.40000000000001,31.2", end="121.4,31.220000000000002")

        (line,), _ = read("mobike", a_file(HEADER, noisy))

        assert line.activity_data == {"distance_m": 2079}

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (ride(end="121.400,31.200"), "distance-zero"),
            (ride(end="121.401,31.201"), "distance-zero"),
            (ride(end="nan,31.2"), "coordinates-broken"),
            (ride(end=",31.2"), "coordinates-broken"),
            (ride(end="31.2,121.4"), "coordinates-broken"),
            (ride(end="0,0"), "coordinates-broken"),
            (ride(end="1e99,31.2"), "coordinates-broken"),
            (ride(end="181,31.2"), "coordinates-broken"),
            (ride(times="2024/5/1 9:10,2024/5/1 9:00"), "times-reversed"),
            (ride(times="2024/5/1 9:10,2024/5/1 9:10"), "duration-zero"),
            (ride(times="2024/13/1 9:10,2024/5/1 9:10"), "time-broken"),
            (ride(user=""), "account-missing"),
        ],
    )
    def test_that_cannot_be_used_is_counted(
        self, a_file: Write, read: Read, row: str, reason: str
    ) -> None:
        lines, counts = read("mobike", a_file(HEADER, row))

        assert lines == []
        assert counts.dropped == {reason: 1}
