"""How a feed's body becomes lines, whatever it is."""

import gzip
import random
import tracemalloc
import zlib
from io import BytesIO

import pytest

from service.activities.errors import FeedEmpty, FeedNotGzip, FeedTooManyLines
from service.activities.intake.feed_body import (
    FEED_BODY_BYTES_MAX,
    FEED_BYTES_MAX,
    LINES_MAX,
    MEMBERS_MAX,
    read_feed,
)
from service.activities.intake.lines import LINE_BYTES_MAX, Unreadable, read_line

MEGABYTE = 1_000_000


def lines_of(body: bytes, *, is_gzip: bool = False) -> list[bytes | Unreadable]:
    return read_feed(BytesIO(body), is_gzip=is_gzip)


def codes_of(lines: list[bytes | Unreadable]) -> list[str]:
    """Return for each line that is not blank its text, or the code of its flaw."""
    return [_shown(line) for line in lines if line]


def _shown(line: bytes | Unreadable) -> str:
    if isinstance(line, Unreadable):
        return line.code
    if len(line) > LINE_BYTES_MAX:
        flaw = read_line(line)
        assert isinstance(flaw, Unreadable)
        return flaw.code
    return line.decode()


def noisy_lines() -> bytes:
    """Return lines that hardly get smaller, the same ones every time."""
    source = random.Random(7)  # noqa: S311  nothing secret
    return b"".join(b"%d-%s\n" % (n, source.randbytes(50).hex().encode()) for n in range(200))


class TestAPlainFeed:
    @pytest.mark.parametrize(
        "body",
        [
            b"a\nb\n",
            b"a\nb",
            b"a\r\nb\r\n",
            b"\xef\xbb\xbfa\nb",
            b"  a \n\tb\t\n\n",
        ],
    )
    def test_is_cut_at_its_line_ends(self, body: bytes) -> None:
        assert codes_of(lines_of(body)) == ["a", "b"]

    def test_counts_blank_lines_as_lines(self) -> None:
        assert lines_of(b"a\n\n\r\nb") == [b"a", b"", b"", b"b"]

    def test_is_one_line_where_only_carriage_returns_stand(self) -> None:
        assert lines_of(b"a\rb") == [b"a\rb"]

    @pytest.mark.parametrize("body", [b"", b"\n\n", b" \t\r\n ", b"\xef\xbb\xbf"])
    def test_without_a_line_is_refused(self, body: bytes) -> None:
        with pytest.raises(FeedEmpty):
            lines_of(body)

    def test_has_ten_thousand_lines_at_most(self) -> None:
        assert len(codes_of(lines_of(b"a\n" * LINES_MAX))) == LINES_MAX

        with pytest.raises(FeedTooManyLines):
            lines_of(b"a\n" * (LINES_MAX + 1))

    @pytest.mark.parametrize("size", [LINE_BYTES_MAX + 1, 300_000, 50 * MEGABYTE])
    def test_goes_on_behind_a_line_that_is_too_long(self, size: int) -> None:
        body = b"a\n" + b"[" * size + b"\nb\n"

        assert codes_of(lines_of(body)) == ["a", "line-too-long", "b"]

    def test_keeps_a_line_of_the_greatest_length(self) -> None:
        longest = b"y" * LINE_BYTES_MAX

        assert codes_of(lines_of(b"a\n" + longest + b"\nb")) == ["a", longest.decode(), "b"]

    def test_is_read_to_its_limit_and_says_so(self) -> None:
        line = b"z" * 60_000 + b"\n"
        body = line * (FEED_BYTES_MAX // len(line) + 20)

        lines = codes_of(lines_of(body))

        assert lines[-1] == "feed-too-large"
        assert set(lines[:-1]) == {"z" * 60_000}
        assert len(lines) * len(line) > FEED_BYTES_MAX

    def test_is_not_read_for_ever(self) -> None:
        stream = BytesIO(b"a\n" + b"[" * (FEED_BODY_BYTES_MAX + MEGABYTE))

        assert codes_of(read_feed(stream, is_gzip=False)) == ["a", "feed-too-large"]
        assert stream.tell() == FEED_BODY_BYTES_MAX


class TestAPackedFeed:
    def test_is_unpacked(self) -> None:
        assert codes_of(lines_of(gzip.compress(b"a\nb\n"), is_gzip=True)) == ["a", "b"]

    def test_may_consist_of_several_members(self) -> None:
        body = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + gzip.compress(b"d\n")

        assert codes_of(lines_of(body, is_gzip=True)) == ["a", "bc", "d"]

    def test_may_be_padded_with_zeros(self) -> None:
        body = gzip.compress(b"a\n") + b"\0" * 100_000

        assert codes_of(lines_of(body, is_gzip=True)) == ["a"]

    def test_is_answered_up_to_what_is_no_gzip(self) -> None:
        body = gzip.compress(b"a\nb\n") + b"garbage"

        assert codes_of(lines_of(body, is_gzip=True)) == ["a", "b", "gzip-broken"]

    def test_has_no_more_members_than_lines(self) -> None:
        body = gzip.compress(b"a\n") + gzip.compress(b"") * MEMBERS_MAX

        assert codes_of(lines_of(body, is_gzip=True)) == ["a", "gzip-broken"]

    @pytest.mark.parametrize("body", [b"", b"a\nb\n", b"\x1f\x8b", zlib.compress(b"a\n")])
    def test_that_is_none_is_refused(self, body: bytes) -> None:
        with pytest.raises(FeedNotGzip):
            lines_of(body, is_gzip=True)

    def test_without_a_line_is_refused(self) -> None:
        with pytest.raises(FeedEmpty):
            lines_of(gzip.compress(b""), is_gzip=True)

    def test_that_is_cut_keeps_its_whole_lines(self) -> None:
        text = noisy_lines()
        packed = gzip.compress(text)

        lines = codes_of(lines_of(packed[: len(packed) // 2], is_gzip=True))

        assert lines[-1] == "gzip-broken"
        assert len(lines) > 50
        assert text.decode().startswith("\n".join(lines[:-1]))

    def test_that_is_damaged_keeps_the_lines_before(self) -> None:
        text = noisy_lines()
        damaged = gzip.compress(text)[:-8] + bytes(8)  # checksum and length

        lines = codes_of(lines_of(damaged, is_gzip=True))

        assert lines == [*text.decode().split(), "gzip-broken"]

    def test_that_is_a_bomb_is_never_let_off(self) -> None:
        bomb = gzip.compress(b"a\n" + bytes(200 * MEGABYTE), compresslevel=1)
        assert len(bomb) < MEGABYTE

        tracemalloc.start()
        lines = codes_of(lines_of(bomb, is_gzip=True))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert lines == ["a", "feed-too-large"]
        assert most < FEED_BODY_BYTES_MAX

    def test_that_is_a_bomb_of_lines_is_never_let_off(self) -> None:
        bomb = gzip.compress(b"\n" * 70 * MEGABYTE + b"a")

        with pytest.raises(FeedTooManyLines):
            lines_of(bomb, is_gzip=True)
