from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.clock import day_of

Write = Callable[..., Path]
Read = Callable[..., Any]
Days = Callable[..., Any]

HEADER = "building,month,hour,day_type,solar_generation"
BUILDINGS = ("building,pv_nominal_power_kw", "Home,4.0", "Other,0.5")


def hours_from(
    day: date, *, days: int, home: str = "Home", w_per_kw: str = "10.01"
) -> Iterator[str]:
    for after in range(days):
        today = day + timedelta(days=after)
        for hour in range(1, 25):
            yield f"{home},{today.month},{hour},{today.isoweekday()},{w_per_kw}"


FIRST = "Home,7,24,7,0.0"
"""The hour that ends with 2016-07-31."""


@pytest.fixture
def output(a_file: Write, read: Read) -> Days:
    def output(*rows: str, buildings: Sequence[str] = BUILDINGS) -> Any:
        homes = a_file(*buildings, name="buildings.csv")
        return read("home-pv", a_file(HEADER, *rows, name="hours.csv"), homes)

    return output


class TestTheHoursOfAHome:
    def test_of_one_day_are_one_line(self, output: Days) -> None:
        (line,), counts = output(FIRST, *hours_from(date(2016, 8, 1), days=1))

        assert (line.behavior, line.account_ref) == ("household_pv", "Home")
        assert line.started_at == datetime(2016, 7, 31, 16, tzinfo=UTC)  # midnight in Shanghai
        assert line.ended_at == datetime(2016, 8, 1, 16, tzinfo=UTC)
        assert line.activity_data == {"energy_wh": 960}  # 24 h x 10.01 W/kW x 4 kW = 960.96 Wh
        assert (counts.used, counts.dropped) == (24, {"generation-zero": 1})

    def test_of_a_year_are_its_days(self, output: Days) -> None:
        lines, counts = output(FIRST, *hours_from(date(2016, 8, 1), days=365))

        days = [day_of(line.started_at) for line in lines]
        assert days == [date(2016, 8, 1) + timedelta(days=n) for n in range(365)]
        assert counts.used == 365 * 24
        assert len({line.external_id for line in lines}) == 365

    def test_mixed_with_those_of_another_are_kept_apart(self, output: Days) -> None:
        one = [FIRST, *hours_from(date(2016, 8, 1), days=2)]
        other = [row.replace("Home", "Other") for row in one]

        lines, _ = output(*(row for pair in zip(one, other, strict=True) for row in pair))

        assert sorted((line.account_ref, line.activity_data["energy_wh"]) for line in lines) == [
            ("Home", 960),
            ("Home", 960),
            ("Other", 120),
            ("Other", 120),
        ]

    def test_of_a_dark_day_are_counted_and_no_line(self, output: Days) -> None:
        lines, counts = output(FIRST, *hours_from(date(2016, 8, 1), days=1, w_per_kw="0"))

        assert lines == []
        assert counts.dropped == {"generation-zero": 25}

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("Home,8,3,1,", "generation-missing"),
            ("Home,8,3,1,NaN", "generation-broken"),
            ("Home,8,3,1,sunny", "generation-broken"),
            ("Home,8,3,1,-0.5", "generation-negative"),
            ("Home,8,3,1,1e15", "generation-implausible"),
            ("Home,8,3,2,10.01", "hour-out-of-order"),
            ("Home,9,3,1,10.01", "hour-out-of-order"),
            ("Home,8,7,1,10.01", "hour-out-of-order"),
            ("Home,8,25,1,10.01", "hour-broken"),
            ("Home,8,three,1,10.01", "hour-broken"),
            ("Home,8,3,0,10.01", "hour-broken"),
            ("Home,8,²,1,10.01", "hour-broken"),
            ("Hut,8,3,1,10.01", "building-unknown"),
            ("Home,8,3", "columns-wrong"),
        ],
    )
    def test_lose_an_unusable_one_and_no_other_day(
        self, output: Days, row: str, reason: str
    ) -> None:
        rows = [FIRST, *hours_from(date(2016, 8, 1), days=20)]
        rows[3] = row

        lines, counts = output(*rows)

        assert [day_of(line.started_at).day for line in lines] == list(range(1, 21))
        assert lines[0].activity_data["energy_wh"] < lines[1].activity_data["energy_wh"] == 960
        assert counts.dropped[reason] >= 1
        assert counts.used >= 20 * 24 - 2

    def test_may_have_a_hole_of_days(self, output: Days) -> None:
        rows = list(hours_from(date(2016, 8, 1), days=40))

        lines, counts = output(FIRST, *rows[: 5 * 24], *rows[10 * 24 + 7 :])

        days = [day_of(line.started_at) for line in lines]
        assert days[4:6] == [date(2016, 8, 5), date(2016, 8, 11)]
        assert days[-1] == date(2016, 9, 9)
        assert counts.dropped == {"generation-zero": 1, "hour-out-of-order": 1}

    def test_may_have_a_hole_before_midnight(self, output: Days) -> None:
        rows = list(hours_from(date(2016, 8, 1), days=3))

        lines, counts = output(FIRST, *rows[:20], *rows[23:])

        assert [day_of(line.started_at).day for line in lines] == [1, 2, 3]
        assert counts.used == 20 + 24 + 24

    def test_after_a_hole_of_weeks_are_dated_right_again_from_the_next_month(
        self, output: Days
    ) -> None:
        rows = list(hours_from(date(2016, 8, 1), days=40))

        lines, _ = output(FIRST, *rows[: 5 * 24], *rows[25 * 24 :])

        days = [day_of(line.started_at) for line in lines]
        assert days == sorted(set(days))
        assert days[-9:] == [date(2016, 9, 1) + timedelta(days=n) for n in range(9)]

    def test_repeated_once_count_once(self, output: Days) -> None:
        rows = [FIRST, *hours_from(date(2016, 8, 1), days=3)]

        lines, counts = output(*rows[:40], rows[39], *rows[40:])

        assert counts.dropped == {"generation-zero": 1, "hour-out-of-order": 1}
        assert [day_of(line.started_at).day for line in lines] == [1, 2, 3]

    def test_that_begin_in_another_season_are_dated_from_the_first_fitting_day(
        self, output: Days
    ) -> None:
        lines, counts = output(*hours_from(date(2020, 1, 1), days=2))  # a Wednesday

        assert [day_of(line.started_at) for line in lines] == [date(2017, 1, 4), date(2017, 1, 5)]
        assert counts.dropped == {"hour-out-of-order": 1}


def test_roofs_that_cannot_be_used_are_counted_apart(output: Days) -> None:
    roofs = [*BUILDINGS, "Home,9.0", "Shed,NaN", "Barn,-1", "Plant,2000", ",4"]

    (line,), counts = output(FIRST, *hours_from(date(2016, 8, 1), days=1), buildings=roofs)

    assert line.activity_data == {"energy_wh": 960}
    assert counts.rows_read == 25
    assert counts.reference.dropped == {
        "building-repeated": 1,
        "power-broken": 1,
        "power-negative": 1,
        "power-implausible": 1,
        "building-missing": 1,
    }
