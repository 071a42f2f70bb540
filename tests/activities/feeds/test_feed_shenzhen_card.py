import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
Read = Callable[..., Any]
Ride = Callable[..., Any]

TAPS = "card_no,deal_date,deal_type,equ_no,station"
STATIONS = (
    "line,station,longitude_gcj02,latitude_gcj02",
    "1,甲,114.000,22.500",
    "1,乙,114.000,22.520",
    "1,深大,114.000,22.540",
    "9,丙,114.000,22.520",
    "9,丙,114.000,22.510",
    "9,丁,114.000,22.520",
    "9,无,nan,22.530",
)


def enter(time: str, station: str = "甲", *, card: str = "AAB", gate: str = "g1") -> str:
    return f"{card},2024-05-01 {time},地铁入站,{gate},{station}"


def leave(time: str, station: str = "乙", *, card: str = "AAB", gate: str = "g2") -> str:
    return f"{card},2024-05-01 {time},地铁出站,{gate},{station}"


def bus(time: str, *, card: str = "AAB", terminal: str = "b1") -> str:
    return f"{card},2024-05-01 {time},巴士,{terminal},M5"


@pytest.fixture
def rides(a_file: Write, read: Read) -> Ride:
    def rides(*taps: str, stations: Sequence[str] = STATIONS) -> Any:
        taps_file = a_file(TAPS, *taps, name="taps.csv")
        return read("shenzhen-card", a_file(*stations, name="stations.csv"), taps_file)

    return rides


class TestAMetroRide:
    def test_is_an_entry_and_the_next_exit_of_a_card(self, rides: Ride) -> None:
        (line,), counts = rides(leave("08:20:00"), enter("08:00:00"))  # rows in no order

        assert (line.behavior, line.account_ref) == ("metro_ride", "AAB")
        assert line.started_at == datetime(2024, 5, 1, 0, 0, tzinfo=UTC)
        assert line.ended_at == datetime(2024, 5, 1, 0, 20, tzinfo=UTC)
        assert counts.used == 2

    def test_is_never_longer_than_the_straight_line(self, rides: Ride) -> None:
        (line,), _ = rides(enter("08:00:00"), leave("08:20:00"))

        assert line.activity_data == {"distance_m": 2189}  # 0.02 degrees are 2,215 m on the ground

    def test_takes_the_nearest_points_of_a_name_with_several(self, rides: Ride) -> None:
        (line,), _ = rides(enter("08:00:00"), leave("08:20:00", "丙"))

        assert line.activity_data == {"distance_m": 1094}

    @pytest.mark.parametrize("spelling", ["深大", "深大站", "深圳大学", "深圳大学站"])
    def test_knows_a_station_by_its_other_spellings(self, rides: Ride, spelling: str) -> None:
        (line,), _ = rides(enter("08:00:00"), leave("08:20:00", spelling))

        assert line.activity_data == {"distance_m": 4378}

    def test_of_each_card_is_its_own(self, rides: Ride) -> None:
        lines, counts = rides(
            enter("08:00:00"),
            enter("08:01:00", card="BBA"),
            leave("08:20:00", card="BBA"),
            leave("08:21:00"),
        )

        assert [line.account_ref for line in lines] == ["AAB", "BBA"]
        assert counts.used == 4

    def test_ends_before_the_next_begins_in_the_same_second(self, rides: Ride) -> None:
        taps = (enter("08:00:00"), enter("08:20:00", "乙"), leave("08:20:00"))

        lines, counts = rides(*taps, leave("08:40:00", "甲"))

        assert len(lines) == 2
        assert not counts.dropped

    @pytest.mark.parametrize(
        ("taps", "dropped"),
        [
            ([enter("08:00:00")], {"entry-without-exit": 1}),
            ([leave("08:00:00")], {"exit-without-entry": 1}),
            (
                [enter("08:00:00"), leave("12:00:01")],
                {"entry-without-exit": 1, "exit-without-entry": 1},
            ),
            ([enter("08:00:00", "甲站"), leave("08:09:00", "甲")], {"same-station": 2}),
            ([enter("08:00:00", "乙"), leave("08:09:00", "丁")], {"same-station": 2}),
            ([enter("08:00:00", ""), leave("08:09:00")], {"station-unknown": 2}),
            ([enter("08:00:00", "站"), leave("08:09:00")], {"station-unknown": 2}),
            ([enter("08:00:00", "?丁"), leave("08:09:00")], {"station-unknown": 2}),
            ([enter("08:00:00", "无"), leave("08:09:00")], {"station-unknown": 2}),
            ([enter("08:00:00", card="")], {"account-missing": 1}),
            ([enter("8 o'clock")], {"time-broken": 1}),
            (["AAB,2024-05-01 08:00:00,轮渡,f1,甲"], {"tap-kind-unknown": 1}),
        ],
    )
    def test_that_cannot_be_made_is_counted(
        self, rides: Ride, taps: list[str], dropped: dict[str, int]
    ) -> None:
        lines, counts = rides(*taps)

        assert lines == []
        assert counts.dropped == dropped

    def test_takes_the_second_of_two_entries(self, rides: Ride) -> None:
        (line,), counts = rides(enter("08:00:00"), enter("08:10:00"), leave("08:20:00"))

        assert line.started_at == datetime(2024, 5, 1, 0, 10, tzinfo=UTC)
        assert counts.dropped == {"entry-without-exit": 1}

    def test_does_not_join_what_a_tap_without_station_parts(self, rides: Ride) -> None:
        lines, counts = rides(
            enter("08:00:00"), leave("08:10:00", ""), enter("08:20:00", ""), leave("08:30:00")
        )

        assert lines == []
        assert counts.dropped == {"station-unknown": 4}

    def test_row_twice_counts_once(self, rides: Ride) -> None:
        lines, counts = rides(enter("08:00:00"), enter("08:00:00"), leave("08:20:00"))

        assert len(lines) == 1
        assert counts.dropped == {"duplicate-row": 1}


class TestABusRide:
    def test_is_one_tap_of_unknown_length(self, rides: Ride) -> None:
        (line,), _ = rides(bus("09:00:00"))

        assert (line.behavior, line.activity_data) == ("bus_ride", {})
        assert line.started_at == line.ended_at == datetime(2024, 5, 1, 1, 0, tzinfo=UTC)

    def test_paid_for_a_companion_counts_once(self, rides: Ride) -> None:
        lines, counts = rides(
            bus("09:00:00"), bus("09:00:04"), bus("09:10:00"), bus("09:10:01", terminal="b2")
        )

        assert [line.started_at.minute for line in lines] == [0, 10]
        assert counts.dropped == {"companion-tap": 2}

    def test_between_entry_and_exit_does_not_part_them(self, rides: Ride) -> None:
        lines, _ = rides(enter("08:00:00"), bus("08:10:00"), leave("08:20:00"))

        assert sorted(line.behavior for line in lines) == ["bus_ride", "metro_ride"]


class TestAnExternalId:
    def test_does_not_depend_on_the_order_of_rows(self, rides: Ride) -> None:
        taps = (enter("08:00:00"), leave("08:20:00"), bus("09:00:00"), bus("09:00:00", card="CCA"))

        first, again = rides(*taps)[0], rides(*reversed(taps))[0]

        assert {line.external_id for line in first} == {line.external_id for line in again}

    def test_is_different_for_two_cards_at_one_terminal_in_one_second(self, rides: Ride) -> None:
        lines, _ = rides(bus("09:00:00"), bus("09:00:00", card="BBA"))

        assert len({line.external_id for line in lines}) == 2

    def test_does_not_show_the_card(self, rides: Ride) -> None:
        lines, _ = rides(enter("08:00:00"), leave("08:20:00"), bus("09:00:00"))

        assert all(re.fullmatch("(metro|bus)-[0-9a-f]{32}", line.external_id) for line in lines)


def test_stations_are_counted_apart_from_taps(rides: Ride) -> None:
    _, counts = rides(enter("08:00:00"), stations=[*STATIONS, "cut in the", ",,114,22"])

    assert counts.rows_read == 1
    assert counts.reference.rows_read == 9
    assert counts.reference.dropped == {
        "coordinates-broken": 1,
        "columns-wrong": 1,
        "station-missing": 1,
    }
