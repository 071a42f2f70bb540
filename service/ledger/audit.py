"""The audit: everything derived again from what only grows, and compared with what is stored.

An invariant is data: a name, a sentence, and a query for the rows that break it. All of them are
asked of one snapshot, so that what happens meanwhile cannot look like a difference.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import dict_row

from service.db import Database

AT_ONCE: Final = 3
"""Invariants asked at a time: each keeps a core busy and may take half a gigabyte."""

ISOLATED: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

TERMS: Final = (
    "SET LOCAL statement_timeout = 0",  # an audit reads everything; it holds no lock
    "SET LOCAL idle_in_transaction_session_timeout = 0",  # and computes between two readings
    "SET LOCAL work_mem = '256MB'",
    "SET LOCAL jit = off",
)

DIFFERENCES: Final = """
SELECT count(*) OVER () AS differences, difference.* FROM ({query}) AS difference
ORDER BY difference LIMIT 1
"""


class Check(NamedTuple):
    """One invariant."""

    name: str
    says: str
    query: str
    """Returns the rows that break it, in columns that can be ordered."""


class Finding(NamedTuple):
    """What one invariant has come to."""

    name: str
    says: str
    differences: int
    first: dict[str, Any] | None
    """The first difference, in full; None: there is none."""
    seconds: float = 0.0


Examination = Callable[[psycopg.Connection[Any]], list[Finding]]
"""What SQL alone cannot compare: it is given a connection inside the audit's snapshot."""


class Part(NamedTuple):
    """What one package has to say about the truth of the books."""

    checks: tuple[Check, ...]
    examine: Examination | None = None


def run_audit(database: Database, checks: Iterable[Check]) -> list[Finding]:
    """Ask every invariant of one snapshot and return what was found."""
    return list(audited(database, [Part(tuple(checks))]))


def audited(database: Database, parts: Iterable[Part]) -> Iterator[Finding]:
    """Ask several invariants at a time of one snapshot; yield what is found, in order.

    It has connections of its own, and neither waits for requests nor keeps them waiting.
    """
    asked = list(parts)
    own = Database(database.url, role=database.role, size=1 + AT_ONCE)
    try:
        with own.raw_transaction() as connection, ThreadPoolExecutor(AT_ONCE) as pool:
            snapshot = _exported_snapshot(connection)
            # First what takes longest: hashing here, beside the sums that the server makes.
            examined = [
                pool.submit(_examined, own, snapshot, part.examine)
                for part in asked
                if part.examine
            ]
            checked = [
                pool.submit(_checked, own, snapshot, check)
                for part in asked
                for check in part.checks
            ]
            for found in (*checked, *examined):
                yield from found.result()
    finally:
        own.close()


def transfers_counted(database: Database) -> int:
    """Return how many transfers there are."""
    with database.raw_transaction() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        row = connection.execute("SELECT count(*) FROM transfer").fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return int(row[0])


def _exported_snapshot(connection: psycopg.Connection[Any]) -> str:
    """Freeze what this transaction sees, for others to see the same."""
    connection.execute(ISOLATED)
    # It does nothing itself until the last invariant has been asked.
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None  # noqa: S101  a function always has a result
    return str(row[0])


@contextmanager
def _inside(database: Database, snapshot: str) -> Iterator[psycopg.Connection[Any]]:
    with database.raw_transaction() as connection:
        for statement in (ISOLATED, f"SET TRANSACTION SNAPSHOT '{snapshot}'", *TERMS):
            connection.execute(statement)
        yield connection


def _checked(database: Database, snapshot: str, check: Check) -> list[Finding]:
    began_at = time.perf_counter()
    with (
        _inside(database, snapshot) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        row = cursor.execute(DIFFERENCES.format(query=check.query)).fetchone()
    seconds = time.perf_counter() - began_at
    differences = row.pop("differences") if row else 0
    return [Finding(check.name, check.says, differences, row, seconds)]


def _examined(database: Database, snapshot: str, examine: Examination) -> list[Finding]:
    began_at = time.perf_counter()
    with _inside(database, snapshot) as connection:
        findings = examine(connection)
    seconds = time.perf_counter() - began_at
    return [finding._replace(seconds=seconds) for finding in findings]
