"""What a feed adapter gives back: activity lines, and an account of every row it has read."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from service.activities.feeds.tables import Row, RowTally, Table, UnusableRowError


class ActivityLine(msgspec.Struct, frozen=True):
    """One act as a source reports it: a line of `POST /v1/activity-batches`."""

    external_id: str
    """The source's own number of the record, or a digest of what makes it unique."""
    account_ref: str
    """Card, user or meter as the source names it."""
    behavior: str
    started_at: datetime
    """Aware, in UTC."""
    ended_at: datetime
    """Aware, in UTC; equal to `started_at` where the file knows one moment only."""
    activity_data: dict[str, int | str]
    """Measured quantities, whole, with the unit in the name."""


@dataclass
class ReadCounts(RowTally):
    """What became of every row of an import; complete once the lines are exhausted."""

    used: int = 0
    """Rows that became part of a line."""
    parsed_without_account: int = 0
    """Rows understood, but of nobody's account: left for community projects."""
    lines: int = 0
    """Activity lines given out."""
    reference: RowTally = field(default_factory=RowTally)
    """Rows of look-up tables (stations, buildings), which are no acts."""

    def use(self, rows: int = 1) -> None:
        """Count one line and the rows it was made of."""
        self.lines += 1
        self.used += rows

    def check(self) -> None:
        """Refuse an account in which a row is missing or counted twice.

        Raises:
            RuntimeError: the rows read are not the rows used, dropped and without account.
        """
        explained = self.used + sum(self.dropped.values()) + self.parsed_without_account
        if self.rows_read != explained:
            raise RuntimeError(f"{self.rows_read} rows were read, {explained} are explained")


@dataclass(frozen=True)
class Feed:
    """One operator's file format."""

    name: str
    """As `carbon import` names it."""
    description: str
    behaviors: tuple[str, ...]
    """Behaviors of the lines it yields; none where records have no account."""
    files: tuple[Table, ...]
    """The tables it knows, each recognised by its columns."""
    read: Callable[[Sequence[Path], ReadCounts], Iterator[ActivityLine]]
    """Read the files lazily, in any order; raises the errors of `tables`."""


def one_line_per_row(
    rows: Iterable[Row], line_of: Callable[[Row], ActivityLine], counts: ReadCounts
) -> Iterator[ActivityLine]:
    """Turn each row into its line, or count the reason why not."""
    for row in rows:
        try:
            line = line_of(row)
        except UnusableRowError as unusable:
            counts.drop(unusable.reason)
        else:
            counts.use()
            yield line


def digest_id(kind: str, *parts: str) -> str:
    """Return a stable `external_id` for a record that has no number of its own.

    A digest, because the parts include the account, which is never stored in the clear; not the
    row number, because the same record must have the same id in another export.
    """
    text = "".join(f"{len(part)}:{part}" for part in parts)  # no two lists of parts read alike
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
