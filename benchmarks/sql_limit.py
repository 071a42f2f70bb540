"""How fast PostgreSQL takes the same rows, already decoded and decided, through the same tables."""

import multiprocessing
import time
from typing import Any
from uuid import UUID, uuid4

import psycopg

from service.activities.intake.recording import ACTIVITIES, DETAILS
from service.bulk import NULL, Row, insert_rows
from service.db import libpq_url
from service.ledger.accounts import lock_accounts
from service.ledger.issuing import Issue, issue_lots

ROWS_IN_A_TRANSACTION = 2_500

Rows = tuple[list[str], list[Row], list[Row], list[Issue]]


def measure(
    url: str, citizen_ids: list[UUID], source_id: UUID, *, parts: int, callers: int
) -> float:
    """Return rows a second that `callers` connections put through the tables together."""
    context = multiprocessing.get_context("fork")
    ready, go = context.Barrier(callers + 1), context.Barrier(callers + 1)
    processes = [
        context.Process(
            target=_write, args=(url, citizen_ids[n::callers], source_id, parts, ready, go)
        )
        for n in range(callers)
    ]
    for process in processes:
        process.start()
    ready.wait()
    started = time.perf_counter()
    go.wait()
    for process in processes:
        process.join()
    return callers * parts * ROWS_IN_A_TRANSACTION / (time.perf_counter() - started)


def _write(
    url: str, citizen_ids: list[UUID], source_id: UUID, parts: int, ready: Any, go: Any
) -> None:
    prepared = [_rows(citizen_ids, source_id, part) for part in range(parts)]
    with psycopg.connect(libpq_url(url)) as connection:
        ready.wait()
        go.wait()
        for citizens, activities, details, issues in prepared:
            with connection.transaction():
                accounts = lock_accounts(connection, citizens)
                insert_rows(connection, ACTIVITIES, activities)
                insert_rows(connection, DETAILS, details)
                issue_lots(connection, accounts, issues)


def _rows(citizen_ids: list[UUID], source_id: UUID, part: int) -> Rows:
    chosen = sorted(
        citizen_ids[(part * 7919 + n * 104_729) % len(citizen_ids)].hex
        for n in range(ROWS_IN_A_TRANSACTION)
    )
    basis, batch = uuid4().hex, uuid4().hex
    activities: list[Row] = []
    details: list[Row] = []
    issues: list[Issue] = []
    for number, citizen in enumerate(chosen):
        activity = uuid4().hex
        digest = "\\x" + uuid4().hex * 2
        activities.append(
            (
                *(citizen, activity, source_id.hex, batch, f"limit-{part}-{number}", "0"),
                *(
                    "metro_ride",
                    "signed",
                    basis,
                    "1",
                    digest,
                    "certified",
                    NULL,
                    NULL,
                    "383",
                    "383",
                    "f",
                ),
            )
        )
        started, ended = "2026-01-01T08:00:00+00:00", "2026-01-01T08:20:00+00:00"
        details.append(
            (
                *(citizen, started, activity, ended, "metro_ride", "t", "t", digest),
                '{"distance_m":8200}',
            )
        )
        issues.append(Issue(citizen, activity, "2029-03-31", 383, 383))
    return chosen, activities, details, issues
