from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
Read = Callable[..., Any]

HEADER = "sessionId,kwhTotal,created,ended,userId"


def session(
    *,
    record: str = "7",
    kwh: str = "6.78",
    created: str = "0014-03-02 08:15:00",
    ended: str = "0014-03-02 10:15:00",
    user: str = "u-1",
) -> str:
    return f"{record},{kwh},{created},{ended},{user}"


class TestAChargingSession:
    def test_becomes_energy_driven(self, a_file: Write, read: Read) -> None:
        (line,), _ = read("ev-sessions", a_file(HEADER, session(record="007", kwh="6.7899")))

        assert (line.external_id, line.account_ref, line.behavior) == ("007", "u-1", "ev_drive")
        assert line.activity_data == {"energy_wh": 6789}

    def test_of_the_year_14_is_of_2014_and_read_as_utc(self, a_file: Write, read: Read) -> None:
        (line,), _ = read("ev-sessions", a_file(HEADER, session()))

        assert line.started_at == datetime(2014, 3, 2, 8, 15, tzinfo=UTC)
        assert line.ended_at == datetime(2014, 3, 2, 10, 15, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (session(kwh="0"), "energy-zero"),
            (session(kwh="0.0004"), "energy-zero"),
            (session(kwh=""), "energy-missing"),
            (session(kwh="NA"), "energy-missing"),
            (session(kwh="NaN"), "energy-broken"),
            (session(kwh="inf"), "energy-broken"),
            (session(kwh="1_0"), "energy-broken"),
            (session(kwh="٣"), "energy-broken"),
            (session(kwh='"1,5"'), "energy-broken"),
            (session(kwh="-3"), "energy-negative"),
            (session(kwh="1001"), "energy-implausible"),
            (session(kwh="9e99"), "energy-implausible"),
            (session(kwh="9e999999999"), "energy-broken"),
            (session(created="yesterday"), "time-broken"),
            (session(created="2014-02-30 08:00:00"), "time-broken"),
            (session(created="2014-02-03 25:00:00"), "time-broken"),
            (session(created="9999-12-31 23:59:59"), "time-broken"),
            (session(created="1899-12-31 23:59:59"), "time-broken"),
            (session(created="2014-02-03"), "time-broken"),
            (session(ended=""), "time-broken"),
            (session(ended="0014-03-02 08:00:00"), "times-reversed"),
            (session(ended="0014-03-02 08:15:00"), "duration-zero"),
            (session(record=""), "record-missing"),
            (session(record="r" * 101), "record-broken"),
            (session(record="r\t7"), "record-broken"),
            (session(user="NULL"), "account-missing"),
        ],
    )
    def test_that_cannot_be_used_is_counted(
        self, a_file: Write, read: Read, row: str, reason: str
    ) -> None:
        lines, counts = read("ev-sessions", a_file(HEADER, row))

        assert lines == []
        assert counts.dropped == {reason: 1}
