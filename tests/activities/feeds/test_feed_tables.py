"""The dirt that any CSV file may carry, shown on the format with the fewest columns."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.activities.feeds import (
    FORMATS,
    FeedColumnsMissing,
    FeedFileMissing,
    FeedUnreadable,
    ReadCounts,
)

HEADER = "sessionId,kwhTotal,created,ended,userId"
GOOD = "s-1,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u-1"
ALSO_GOOD = "s-2,1.25,2024-05-02 08:00:00,2024-05-02 09:00:00,u-2"

Write = Callable[..., Path]
Read = Callable[..., Any]


class TestReadingAFile:
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(f"{HEADER}\n{GOOD}\n".encode(), id="plain"),
            pytest.param(f"{HEADER}\n{GOOD}".encode(), id="no last line end"),
            pytest.param(f"\ufeff{HEADER}\r\n{GOOD}\r\n".encode(), id="BOM and CRLF"),
            pytest.param(gzip.compress(f"{HEADER}\n{GOOD}\n".encode()), id="gzipped"),
            pytest.param(f"{HEADER.upper()}\n{GOOD}\n".encode(), id="capitals"),
            pytest.param(
                f'note,{HEADER}\n"cold, wet",{GOOD}\n'.encode(), id="another column, quoted commas"
            ),
            pytest.param(
                b"userId,ended,kwhTotal,sessionId,created\n"
                b"u-1,2024-05-01 09:00:00,3.5,s-1,2024-05-01 08:00:00\n",
                id="columns in another order",
            ),
        ],
    )
    def test_does_not_depend_on_its_dress(self, a_file: Write, read: Read, content: bytes) -> None:
        path = a_file(content=content)

        lines, counts = read("ev-sessions", path)

        assert [(line.external_id, line.activity_data) for line in lines] == [
            ("s-1", {"energy_wh": 3500})
        ]
        assert counts.rows_read == 1

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            (b"", "row-blank"),
            (b" , ,,,", "row-blank"),
            (b"s-3,3.5,2024-05-01 08:0", "columns-wrong"),
            (b"s-3,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u-1,u-2", "columns-wrong"),
            (HEADER.encode(), "header-repeated"),
            (b's-3,"3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u-1', "row-broken"),
            (b's-3,"3.5"1,2024-05-01 08:00:00,2024-05-01 09:00:00,u-1', "row-broken"),
            (b"s-3,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u\xff", "text-broken"),
            (b"s-3,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u\x00", "text-broken"),
            (b"s-3,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u\rv", "text-broken"),
            ("s-3,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u\ufffd".encode(), "text-broken"),
            (b"\xed\xa0\x80,3.5,2024-05-01 08:00:00,2024-05-01 09:00:00,u", "text-broken"),
            (b"x" * 200_000, "row-too-long"),
        ],
    )
    def test_loses_only_the_bad_row(
        self, a_file: Write, read: Read, bad: bytes, reason: str
    ) -> None:
        path = a_file(content=b"\n".join([HEADER.encode(), GOOD.encode(), bad, ALSO_GOOD.encode()]))

        lines, counts = read("ev-sessions", path)

        assert [line.external_id for line in lines] == ["s-1", "s-2"]
        assert counts.dropped == {reason: 1}

    @pytest.mark.parametrize("keep", [0.5, 0.9])
    def test_that_breaks_off_keeps_the_rows_before(
        self, a_file: Write, read: Read, keep: float
    ) -> None:
        rows = [GOOD.replace("s-1", f"s-{number}") for number in range(5000)]
        packed = gzip.compress("\n".join([HEADER, *rows]).encode())

        lines, counts = read("ev-sessions", a_file(content=packed[: int(len(packed) * keep)]))

        assert 0 < len(lines) < 5000
        assert counts.dropped == {"file-cut": 1}

    def test_with_rubbish_behind_the_packed_part_says_so(self, a_file: Write, read: Read) -> None:
        packed = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())

        lines, counts = read("ev-sessions", a_file(content=packed + b"rubbish"))

        assert len(lines) == 1
        assert counts.dropped == {"file-cut": 1}

    def test_in_two_parts_reads_both(self, a_file: Write, read: Read) -> None:
        first, second = (
            a_file(HEADER, GOOD, name="may.csv"),
            a_file(HEADER, ALSO_GOOD, name="b.csv"),
        )

        lines, _ = read("ev-sessions", first, second)

        assert [line.external_id for line in lines] == ["s-1", "s-2"]


class TestAFileOfAnotherKind:
    @pytest.mark.parametrize(
        ("content", "missing"),
        [
            pytest.param(b"", "sessionid, kwhtotal, created, ended, userid", id="empty"),
            pytest.param(b"sessionId,created,ended\n", "kwhtotal, userid", id="columns missing"),
            pytest.param(f"{HEADER},ended\n".encode(), "ended", id="a column twice"),
            pytest.param(b"\xff\xfe\x00,\xff", "sessionid, kwhtotal, created, ended, userid"),
            pytest.param(b'"open', "sessionid, kwhtotal, created, ended, userid", id="open quote"),
        ],
    )
    def test_names_the_columns_it_lacks(self, a_file: Write, content: bytes, missing: str) -> None:
        with pytest.raises(FeedColumnsMissing) as refusal:
            list(FORMATS["ev-sessions"].read([a_file(content=content)], ReadCounts()))

        assert refusal.value.code == "feed-columns-missing"
        assert refusal.value.members["columns"] == missing
        assert missing in str(refusal.value)

    def test_is_refused_before_any_line_is_given(self, a_file: Write) -> None:
        good, wrong = a_file(HEADER, GOOD, name="good.csv"), a_file("a,b", name="wrong.csv")

        with pytest.raises(FeedColumnsMissing):
            next(FORMATS["ev-sessions"].read([good, wrong], ReadCounts()))

    @pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"recycling-loads"}))
    def test_no_file_at_all_is_refused(self, name: str) -> None:
        with pytest.raises(FeedFileMissing):
            list(FORMATS[name].read([], ReadCounts()))

    def test_that_cannot_be_opened_is_refused(self, tmp_path: Path, a_file: Write) -> None:
        broken = a_file(content=gzip.compress(HEADER.encode())[:12])

        for path in (tmp_path / "nowhere.csv", tmp_path, broken):
            with pytest.raises(FeedUnreadable):
                list(FORMATS["ev-sessions"].read([path], ReadCounts()))


def test_an_account_with_a_lost_row_is_not_accepted() -> None:
    counts = ReadCounts(rows_read=3)
    counts.use(rows=2)

    with pytest.raises(RuntimeError, match="3 rows were read, 2 are explained"):
        counts.check()
