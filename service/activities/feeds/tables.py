"""Dirty CSV files, plain or gzipped, as rows of named columns: every line is given or counted."""

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from operator import itemgetter
from pathlib import Path

from service.errors import Malformed

Row = tuple[str, ...]
"""The values of a table's columns, stripped, in the order the table names them."""

GZIP_MAGIC = b"\x1f\x8b"
LINE_BYTES_MAX = 65_536
NOT_TEXT = re.compile("[\x00-\x08\x0a-\x1f\x7f\ufffd]")


class FeedColumnsMissing(Malformed):
    """The file lacks columns that its format needs."""

    code = "feed-columns-missing"


class FeedFileMissing(Malformed):
    """The format needs another file."""

    code = "feed-file-missing"


class FeedUnreadable(Malformed):
    """The file cannot be opened."""

    code = "feed-unreadable"


class UnusableRowError(Exception):
    """A row that cannot become part of a line; carries the reason code it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Table:
    """A kind of file, recognised by its columns (lower case), which may stand in any order."""

    name: str
    columns: tuple[str, ...]

    def lacks(self, header: Sequence[str]) -> list[str]:
        """Return the columns that do not stand exactly once in the header."""
        return [column for column in self.columns if header.count(column) != 1]


@dataclass
class RowTally:
    """Rows read, and rows dropped by reason."""

    rows_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, rows: int = 1) -> None:
        """Count rows that are not used."""
        self.dropped[reason] += rows


def recognised(paths: Sequence[Path], tables: Sequence[Table]) -> dict[Table, list[Path]]:
    """Sort files by the table whose columns they have.

    Raises:
        FeedColumnsMissing: a file is none of the tables; names what the nearest one misses.
        FeedUnreadable: a file is not there, not a file, or broken before its first line ends.
    """
    found: dict[Table, list[Path]] = {table: [] for table in tables}
    for path in paths:
        found[_table_of(path, tables)].append(path)
    return found


def required(found: dict[Table, list[Path]], table: Table) -> list[Path]:
    """Return the files of a table without which the format cannot be read.

    Raises:
        FeedFileMissing: no file of that table was given.
    """
    if not found[table]:
        raise FeedFileMissing(
            "This format also needs the file of {table}, with the columns {columns}.",
            table=table.name,
            columns=", ".join(table.columns),
        )
    return found[table]


def rows_of(paths: Sequence[Path], table: Table, tally: RowTally) -> Iterator[Row]:
    """Yield the readable rows of one table's files and count all the others.

    Every line after the header is one row. A quoted field may hold commas but no line break, so
    that a quote which is never closed spoils its own line and not the rest of the file.
    """
    for path in paths:
        yield from _rows_of_file(path, table, tally)


def _rows_of_file(path: Path, table: Table, tally: RowTally) -> Iterator[Row]:
    lines = _lines(path)
    header = _header(next(lines, None))
    columns = itemgetter(*(header.index(column) for column in table.columns))
    for line in lines:
        tally.rows_read += 1
        try:
            yield columns(_values(line, header))
        except UnusableRowError as unusable:
            tally.drop(unusable.reason)


def _table_of(path: Path, tables: Sequence[Table]) -> Table:
    header = _header(_first_line(path))  # an empty file has no columns
    nearest = min(tables, key=lambda table: len(table.lacks(header)))
    if missing := nearest.lacks(header):
        raise FeedColumnsMissing(
            "{file} must have each of these columns once to be read as {table}: {columns}.",
            file=path.name,
            table=nearest.name,
            columns=", ".join(missing),
        )
    return nearest


def _first_line(path: Path) -> bytes:
    if not path.is_file():
        raise FeedUnreadable("{file} is not a file that can be read.", file=path.name)
    try:
        line = next(_lines(path), b"")
    except OSError as error:
        raise FeedUnreadable("{file} cannot be opened.", file=path.name) from error
    if line is None:
        raise FeedUnreadable("{file} is damaged in its first line.", file=path.name)
    return line


def _lines(path: Path) -> Iterator[bytes | None]:
    """Yield physical lines; None, once and last, stands for whatever a broken file hides."""
    with path.open("rb") as raw, _unpacked(raw) as stream:
        try:
            while line := stream.readline(LINE_BYTES_MAX + 1):
                _skip_rest_of(line, stream)
                yield line
        except (EOFError, OSError, zlib.error):
            yield None


def _unpacked(raw: BufferedReader) -> BufferedReader | gzip.GzipFile:
    packed = raw.peek(2)[:2] == GZIP_MAGIC
    return gzip.GzipFile(fileobj=raw) if packed else raw


def _skip_rest_of(line: bytes, stream: BufferedReader | gzip.GzipFile) -> None:
    """Move behind the end of a line longer than any record, without holding it."""
    while len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
        line = stream.readline(LINE_BYTES_MAX + 1)


def _header(line: bytes | None) -> list[str]:
    """Return the column names, lower case; none where the first line is not a CSV line."""
    text = (line or b"")[:LINE_BYTES_MAX].decode("utf-8-sig", errors="replace")
    try:
        return [name.strip().lower() for name in _split(text.rstrip("\r\n"))]
    except csv.Error:
        return []


def _values(line: bytes | None, header: list[str]) -> list[str]:
    values = [value.strip() for value in _fields(line)]
    if not any(values):
        raise UnusableRowError("row-blank")
    if len(values) != len(header):
        raise UnusableRowError("columns-wrong")
    if [value.lower() for value in values] == header:
        raise UnusableRowError("header-repeated")
    return values


def _fields(line: bytes | None) -> list[str]:
    if line is None:
        raise UnusableRowError("file-cut")
    if len(line) > LINE_BYTES_MAX:
        raise UnusableRowError("row-too-long")
    try:
        text = line.rstrip(b"\r\n").decode()
        if NOT_TEXT.search(text):
            raise UnusableRowError("text-broken")
        return _split(text)
    except UnicodeDecodeError as error:
        raise UnusableRowError("text-broken") from error
    except csv.Error as error:
        raise UnusableRowError("row-broken") from error


def _split(text: str) -> list[str]:
    return next(csv.reader([text], strict=True), [])
