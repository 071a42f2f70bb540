"""A feed's body, cut into lines without trusting anything about it.

Whatever is wrong is wrong from some line on: the lines before it are kept, and the bad place
becomes one line that says what is wrong. A line that is far too long is passed over.
"""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from service.activities.errors import FeedEmpty, FeedNotGzip, FeedTooManyLines
from service.activities.intake.lines import LINE_BYTES_MAX, Unreadable

LINES_MAX = 10_000
LINE_ENDS_MAX = 10 * LINES_MAX
"""Blank lines are passed over, but not by the million: each would take memory."""

FEED_BYTES_MAX = 16 * 1024 * 1024
"""Kept, unpacked. Ten thousand honest lines are two million bytes."""

FEED_BODY_BYTES_MAX = 64 * 1024 * 1024
"""A body that says it is longer is refused unread; unpacked, too, no more is looked at."""

CHUNK_BYTES = 256 * 1024
PACKED_CHUNK_BYTES = 16 * 1024
MEMBERS_MAX = LINES_MAX
"""A gzip file may be several, one after the other (RFC 1952 §2.2); one for each line at most."""

GZIP_WINDOW = 31
"""zlib's number for: a gzip header, and the largest window."""

BOM = b"\xef\xbb\xbf"
TOO_LONG_A_LINE = b"x" * (LINE_BYTES_MAX + 1)
"""Stands for a line of which not everything was kept."""

TOO_LARGE = Unreadable("feed-too-large", {"limit": FEED_BYTES_MAX})
BROKEN = Unreadable("gzip-broken", {})


def read_feed(stream: IO[bytes], *, is_gzip: bool) -> list[bytes | Unreadable]:
    """Read a feed and cut it into lines, without their ends; blank ones are empty.

    Raises:
        FeedEmpty: there is not one line.
        FeedTooManyLines: there are more than `LINES_MAX`; nothing of it is recorded.
        FeedNotGzip: it is said to be gzip and is not.
    """
    kept = _Kept()
    flaw = _unpack(stream, kept) if is_gzip else _read(stream, kept)
    _refuse_too_many(kept.body.count(b"\n"), LINE_ENDS_MAX)
    lines: list[bytes | Unreadable] = list(_cut(kept.body.removeprefix(BOM)))
    if flaw is not None:
        # What stands behind the last line end is the beginning of a line whose end was not read.
        lines[-1:] = [flaw]
    count = sum(1 for line in lines if line)
    if count == 0:
        raise FeedEmpty("The feed holds no line. Please send at least one activity.")
    _refuse_too_many(count, LINES_MAX)
    return lines


def _refuse_too_many(count: int, most: int) -> None:
    if count > most:
        raise FeedTooManyLines(
            "The feed holds {count} lines; please send at most {limit} at once.",
            count=count,
            limit=LINES_MAX,
        )


def _cut(body: bytearray) -> Iterator[bytes]:
    for line in bytes(body).split(b"\n"):
        yield line.strip(b" \t\r")


class _Kept:
    """What is kept of a body while it is read: every line, but of an endless one only a mark."""

    def __init__(self) -> None:
        self.body = bytearray()
        self._seen = 0
        self._is_passing_over = False

    @property
    def room(self) -> int:
        """How many bytes may still come; 0 when the feed is too large."""
        if len(self.body) > FEED_BYTES_MAX:
            return 0
        return FEED_BODY_BYTES_MAX - self._seen

    def take(self, chunk: bytes) -> None:
        """Keep what comes next, unless it goes on with a line that is too long."""
        self._seen += len(chunk)
        if self._is_passing_over:
            line_end = chunk.find(b"\n")
            if line_end < 0:
                return
            chunk = chunk[line_end:]
        self.body += chunk
        line_at = self.body.rfind(b"\n") + 1
        self._is_passing_over = len(self.body) - line_at > LINE_BYTES_MAX
        if self._is_passing_over:
            self.body[line_at:] = TOO_LONG_A_LINE


def _read(stream: IO[bytes], kept: _Kept) -> Unreadable | None:
    while kept.room:
        chunk = stream.read(min(CHUNK_BYTES, kept.room))
        if not chunk:
            return None
        kept.take(chunk)
    return TOO_LARGE


def _unpack(stream: IO[bytes], kept: _Kept) -> Unreadable | None:
    """Unpack no further than the limit: a small bomb is never let off."""
    flaw = _unpack_members(stream, kept)
    if flaw is BROKEN and not kept.body:
        raise FeedNotGzip("The feed is said to be gzip and cannot be unpacked.")
    return flaw


def _unpack_members(stream: IO[bytes], kept: _Kept) -> Unreadable | None:
    packed = stream.read(PACKED_CHUNK_BYTES)
    for _ in range(MEMBERS_MAX):
        unpacker = zlib.decompressobj(GZIP_WINDOW)
        flaw = _unpack_member(unpacker, packed, stream, kept)
        if flaw is not None:
            return flaw
        packed = _next_member(unpacker.unused_data, stream)
        if not packed:
            return None
    return BROKEN


def _unpack_member(
    unpacker: "zlib._Decompress", packed: bytes, stream: IO[bytes], kept: _Kept
) -> Unreadable | None:
    while kept.room:
        if not packed or not _unpack_chunk(unpacker, packed, kept):
            return BROKEN
        if unpacker.eof:
            return None
        packed = unpacker.unconsumed_tail or stream.read(PACKED_CHUNK_BYTES)
    return TOO_LARGE


def _next_member(rest: bytes, stream: IO[bytes]) -> bytes:
    """Return the beginning of what follows a member, the zeros that some writers add left out."""
    rest = rest.lstrip(b"\0")
    while not rest and (chunk := stream.read(PACKED_CHUNK_BYTES)):
        rest = chunk.lstrip(b"\0")
    return rest


def _unpack_chunk(unpacker: "zlib._Decompress", packed: bytes, kept: _Kept) -> bool:
    before = unpacker.copy()
    try:
        kept.take(unpacker.decompress(packed, kept.room))
    except zlib.error:
        _salvage(before, packed, kept)
        return False
    return True


def _salvage(unpacker: "zlib._Decompress", packed: bytes, kept: _Kept) -> None:
    """Keep what stands before the damage.

    zlib gives nothing of a piece in which something is wrong, so it is fed byte by byte.
    """
    with suppress(zlib.error):
        for at in range(len(packed)):
            if not kept.room:
                return
            kept.take(unpacker.decompress(packed[at : at + 1], kept.room))
