"""One record of a source that counts for two people: the one recorded first stays.

Intake does not look across citizens (docs/decisions/0008 says what that would cost), so what slips
through when an account changes hands is found here, once a day.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.activities.audit import COUNTED_RECORDS
from service.activities.certification.pending import NextVerdict
from service.activities.corrections.taking_back import Standing, take_back
from service.activities.intake.candidates import activity_id
from service.bulk import array_of
from service.db import Database
from service.ledger.accounts import lock_accounts
from service.retries import retried

CHUNK_RECORDS: Final = 500
"""Records of one transaction, so that none lasts long."""

COUNTS: Final = ("certified", "pending")

DOUBLE: Final = NextVerdict("refused", None, "double-record")
"""On what waited; what was certified becomes invalidated with the same code."""

FIND: Final = f"""{COUNTED_RECORDS}
SELECT counted.source_id, counted.external_id,
       replace(counted.citizen_id::text, '-', ''), replace(counted.id::text, '-', '')
FROM suspect JOIN counted USING (source_id, digest)
"""

READ_RECEIVED_AT: Final = """
SELECT replace(a.id::text, '-', ''), a.recorded_at
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, id)
JOIN activity a ON a.citizen_id = asked.citizen_id AND a.id = asked.id
"""

READ_STANDINGS: Final = """
SELECT DISTINCT ON (a.citizen_id, a.id)
       replace(a.id::text, '-', ''), coalesce(v.verdict, a.verdict)
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, id)
JOIN activity a ON a.citizen_id = asked.citizen_id AND a.id = asked.id
LEFT JOIN verdict v ON v.citizen_id = a.citizen_id AND v.activity_id = a.id
ORDER BY a.citizen_id, a.id, v.seq DESC
"""


class Counting(NamedTuple):
    """An activity that counts; ids in hexadecimal."""

    citizen_id: str
    activity_id: str


Record = tuple[Counting, ...]
"""The activities of one record, that which was recorded first at first."""


@dataclass(slots=True)
class Tidied:
    """What a run found and did."""

    records: int = 0
    invalidated: int = 0
    """Activities that counted and count no more."""


def invalidate_double_records(
    database: Database, *, dry_run: bool = False, chunk_records: int = CHUNK_RECORDS
) -> Tidied:
    """Take back every activity whose record counts for somebody else since before.

    A run that was stopped is run again; doing it twice, or twice at once, changes nothing.

    Args:
        database: as the application.
        dry_run: count what would be taken back, and change nothing.
        chunk_records: records dealt with in one transaction.
    """
    with database.raw_transaction() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        records = _double_records(connection)
    if dry_run:
        return Tidied(len(records), sum(len(record) - 1 for record in records))
    tidied = Tidied(len(records))
    for start in range(0, len(records), chunk_records):
        chunk = records[start : start + chunk_records]
        tidied.invalidated += retried(partial(_tidy, database, chunk))
    return tidied


def _double_records(connection: psycopg.Connection[Any]) -> list[Record]:
    """Return every record that counts more than once, in the order in which its acts came."""
    found: defaultdict[tuple[UUID, str], list[Counting]] = defaultdict(list)
    firsts: dict[Counting, str] = {}
    for source_id, external_id, *ids in connection.execute(FIND):
        act = Counting(*ids)
        found[source_id, external_id].append(act)
        firsts[act] = activity_id(act.citizen_id, source_id.bytes, external_id)
    came_at = _received_at(connection, firsts)
    return [
        tuple(sorted(acts, key=lambda act: (came_at[firsts[act]], act.activity_id)))
        for acts in found.values()
        if len(acts) > 1
    ]


def _received_at(
    connection: psycopg.Connection[Any], firsts: Mapping[Counting, str]
) -> dict[str, datetime]:
    """Return when the first revision of each came."""
    citizens = array_of(act.citizen_id for act in firsts)
    return dict(connection.execute(READ_RECEIVED_AT, (citizens, array_of(firsts.values()))))


def _tidy(database: Database, records: Sequence[Record]) -> int:
    """Take back all but the first of each record, in a transaction that may meet a feed's."""
    with database.raw_transaction() as connection:
        return _take_back_doubles(connection, records)


def _take_back_doubles(connection: psycopg.Connection[Any], records: Sequence[Record]) -> int:
    """Take back all but the first of each record, as they stand under the locks."""
    acts = [act for record in records for act in record]
    accounts = lock_accounts(connection, [act.citizen_id for act in acts])
    rows = connection.execute(
        READ_STANDINGS,
        (array_of(act.citizen_id for act in acts), array_of(act.activity_id for act in acts)),
    )
    doubles = list(_doubles(records, dict(rows.fetchall())))
    take_back(connection, accounts, doubles, DOUBLE)
    return len(doubles)


def _doubles(records: Sequence[Record], standings: Mapping[str, str]) -> Iterator[Standing]:
    for record in records:
        counting = [act for act in record if standings[act.activity_id] in COUNTS]
        for act in counting[1:]:
            yield Standing(*act, standings[act.activity_id])
