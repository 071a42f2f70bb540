"""A feed's body, cut into lines without trusting anything about it.

Whatever is wrong is wrong from some line on: the lines before it are kept, and the bad place
becomes one line that says what is wrong.
"""

import zlib
from collections.abc import Iterator
from typing import IO

from service.activities.errors import FeedEmpty, FeedNotGzip, FeedTooManyLines
from service.activities.lines import LINE_BYTES_MAX, Unreadable

LINES_MAX = 10_000
FEED_BYTES_MAX = 16 * 1024 * 1024
"""Unpacked. Ten thousand honest lines are two million bytes."""

FEED_BODY_BYTES_MAX = 64 * 1024 * 1024
"""A body that says it is longer is refused unread; of a shorter one the good lines are answered."""

CHUNK_BYTES = 256 * 1024
GZIP_WINDOW = 31
"""zlib's number for: a gzip header, and the largest window."""

BOM = b"\xef\xbb\xbf"


def read_feed(stream: IO[bytes], *, is_gzip: bool) -> list[bytes | Unreadable]:
    """Read a feed and cut it into lines, without their ends; blank ones are empty.

    Raises:
        FeedEmpty: there is not one line.
        FeedTooManyLines: there are more than `LINES_MAX`; nothing of it is recorded.
        FeedNotGzip: it is said to be gzip and is not.
    """
    body, flaw = _unpacked(stream) if is_gzip else _plain(stream)
    lines: list[bytes | Unreadable] = list(_cut(body.removeprefix(BOM)))
    if flaw is not None:
        # What stands behind the last line end is the beginning of a line whose end was not read.
        lines[-1:] = [flaw]
    count = sum(1 for line in lines if line)
    if count == 0:
        raise FeedEmpty("The feed holds no line. Please send at least one activity.")
    if count > LINES_MAX:
        raise FeedTooManyLines(
            "The feed holds {count} lines; please send at most {limit} at once.",
            count=count,
            limit=LINES_MAX,
        )
    return lines


def _cut(body: bytes) -> Iterator[bytes]:
    for line in body.split(b"\n"):
        yield line.strip(b" \t\r")


def _plain(stream: IO[bytes]) -> tuple[bytes, Unreadable | None]:
    body = bytearray()
    while len(body) <= FEED_BYTES_MAX:
        chunk = stream.read(CHUNK_BYTES)
        if not chunk:
            return bytes(body), None
        body += chunk
    return _within_limit(body)


def _unpacked(stream: IO[bytes]) -> tuple[bytes, Unreadable | None]:
    """Unpack no further than the limit: a small bomb is never let off."""
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    body = bytearray()
    try:
        while chunk := unpacker.unconsumed_tail or stream.read(CHUNK_BYTES):
            body += unpacker.decompress(chunk, FEED_BYTES_MAX + 1 - len(body))
            if len(body) > FEED_BYTES_MAX:
                return _within_limit(body)
            if unpacker.eof:
                return bytes(body), None
    except zlib.error:
        pass
    if not body:
        raise FeedNotGzip("The feed is said to be gzip and cannot be unpacked.")
    return bytes(body), Unreadable("gzip-broken", {})


def _within_limit(body: bytearray) -> tuple[bytes, Unreadable]:
    last_line = len(body) - (body.rfind(b"\n") + 1)
    if last_line > LINE_BYTES_MAX:
        return bytes(body), Unreadable("line-too-long", {"limit": LINE_BYTES_MAX})
    return bytes(body), Unreadable("feed-too-large", {"limit": FEED_BYTES_MAX})
