from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.activities.feeds import ReadCounts
from service.activities.feeds.recycling_loads import WeighedLoad, weighed_loads

Write = Callable[..., Path]
Read = Callable[..., Any]

LOADS = "load_id,report_date,load_type,load_time,load_weight"
TONNAGE = (
    "MONTH,BOROUGH,COMMUNITYDISTRICT,REFUSETONSCOLLECTED,PAPERTONSCOLLECTED,MGPTONSCOLLECTED,"
    "RESORGANICSTONS"
)


class TestALoadWithoutAccount:
    def test_is_counted_and_left(self, a_file: Write, read: Read) -> None:
        loads = a_file(LOADS, "9,2024-05-01,GLASS,2024-05-01 02:00:00,10", name="loads.csv")
        months = a_file(TONNAGE, "2024 / 05,East,07,9,1,2,", name="months.csv")

        lines, counts = read("recycling-loads", months, loads)

        assert lines == []
        assert counts.parsed_without_account == counts.rows_read == 2

    def test_is_weighed_in_whole_grams(self, a_file: Write) -> None:
        path = a_file(LOADS, "9,2024-05-01,GLASS,2024-05-01 02:00:00,10")

        (load,) = weighed_loads([path], ReadCounts())

        assert load == WeighedLoad("9", "2024-05-01", "GLASS", 4535)  # 4,535.9237 g

    def test_of_a_month_is_one_for_each_material_collected(self, a_file: Write) -> None:
        path = a_file(TONNAGE, "2024 / 05,East,07,9,1,0,")

        loads = list(weighed_loads([path], ReadCounts()))

        assert loads == [
            WeighedLoad("2024-05 East 07", "2024-05", "paper", 907_184),  # a short ton
            WeighedLoad("2024-05 East 07", "2024-05", "metal-glass-plastic", 0),
        ]

    @pytest.mark.parametrize(
        ("header", "row", "reason"),
        [
            (LOADS, "9,2024-05-01,GLASS,,", "weight-missing"),
            (LOADS, "9,2024-05-01,GLASS,,0", "weight-zero"),
            (LOADS, "9,2024-05-01,GLASS,,-5", "weight-negative"),
            (LOADS, "9,2024-05-01,GLASS,,NaN", "weight-broken"),
            (LOADS, '9,2024-05-01,GLASS,,"1,240"', "weight-broken"),
            (LOADS, "9,2024-05-01,GLASS,,80001", "weight-implausible"),
            (LOADS, "9,05/01/2024,GLASS,,5", "time-broken"),
            (LOADS, "9,2024-02-30,GLASS,,5", "time-broken"),
            (LOADS, ",2024-05-01,GLASS,,5", "record-missing"),
            (LOADS, "9,2024-05-01,,,5", "material-missing"),
            (TONNAGE, "2024 / 13,East,07,9,1,2,", "time-broken"),
            (TONNAGE, "2024 / 05,,07,9,1,2,", "district-missing"),
            (TONNAGE, "2024 / 05,East,07,9,,,", "weight-missing"),
            (TONNAGE, "2024 / 05,East,07,9,1,minus,", "weight-broken"),
        ],
    )
    def test_that_cannot_be_used_is_counted(
        self, a_file: Write, read: Read, header: str, row: str, reason: str
    ) -> None:
        _, counts = read("recycling-loads", a_file(header, row))

        assert counts.dropped == {reason: 1}

    def test_told_twice_counts_once(self, a_file: Write, read: Read) -> None:
        months = ["2024 / 05,East,07,9,1,2,", "2024 / 05,East,07,9,1,2,"]

        _, counts = read("recycling-loads", a_file(TONNAGE, *months, "2024 / 05,East,07,9,1,3,"))

        assert counts.parsed_without_account == 1
        assert counts.dropped == {"duplicate-row": 1, "restated-row": 1}
