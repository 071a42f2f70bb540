"""What waits for certification, and how it leaves: with its next verdict, once, under her lock.

Plain statements, one for each table, and none that reads a table for each row of another: so each
of them goes to the citizens' shards where the tables are distributed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import msgspec

from service.bulk import NULL, Table, array_of, insert_rows
from service.pipelining import Connection

VERDICTS = Table(
    "verdict", *("citizen_id", "activity_id", "seq", "verdict", "code", "params", "cause_id")
)

TAKE_OUT = """
DELETE FROM pending_activity p
USING unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, activity_id)
WHERE p.citizen_id = asked.citizen_id AND p.activity_id = asked.activity_id
  AND (%s::uuid IS NULL OR p.batch_id = %s)
RETURNING replace(p.citizen_id::text, '-', ''), replace(p.activity_id::text, '-', ''),
          p.expires_on::text
"""

# Points and grams are the activity's, which nobody can rewrite, not the work table's.
READ_WORTH = """
SELECT replace(a.id::text, '-', ''), a.points, a.reduction_g
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, activity_id)
JOIN activity a ON a.citizen_id = asked.citizen_id AND a.id = asked.activity_id
"""

COUNT_VERDICTS = """
SELECT replace(v.activity_id::text, '-', ''), count(*)
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, activity_id)
JOIN verdict v ON v.citizen_id = asked.citizen_id AND v.activity_id = asked.activity_id
GROUP BY v.citizen_id, v.activity_id
"""

FREE_CLAIMS = """
DELETE FROM once_claim c
USING unnest(%s::uuid[], %s::uuid[]) AS gone (citizen_id, activity_id)
WHERE c.citizen_id = gone.citizen_id AND c.activity_id = gone.activity_id
"""


class Waiting(NamedTuple):
    """An activity that waits."""

    citizen_id: str
    activity_id: str


class Left(NamedTuple):
    """An activity that waits no more, and what it would give or gives."""

    citizen_id: str
    activity_id: str
    expires_on: str
    points: int
    reduction_g: int


@dataclass(frozen=True, slots=True)
class NextVerdict:
    """With what an activity leaves."""

    verdict: str
    cause_id: UUID | None
    code: str | None = None
    params: dict[str, str] | None = None


def leave(
    connection: Connection,
    waiting: Sequence[Waiting],
    verdict: NextVerdict,
    *,
    batch_id: UUID | None = None,
) -> list[Left]:
    """Give a verdict to those that still wait, and let them wait no more.

    Args:
        connection: in a transaction that holds the citizens' locks.
        waiting: some may have left in the meantime; they get no verdict here.
        verdict: the same for all.
        batch_id: only those that this batch holds; None: wherever they are.

    Returns:
        Those that left now, in order of citizen and activity.
    """
    gone = take_out(connection, waiting, batch_id)
    tell(connection, ((each, verdict) for each in gone))
    worth = {row[0]: row[1:] for row in connection.execute(READ_WORTH, _arrays_of(gone))}
    return [Left(*each, expires_on, *worth[each.activity_id]) for each, expires_on in gone.items()]


def take_out(
    connection: Connection, waiting: Iterable[Waiting], batch_id: UUID | None = None
) -> dict[Waiting, str]:
    """Let activities wait no more, and return those that did, in order, with their last day."""
    terms = (*_arrays_of(waiting), batch_id, batch_id)
    rows = connection.execute(TAKE_OUT, terms).fetchall()
    return {Waiting(*row[:2]): row[2] for row in sorted(rows)}


def tell(connection: Connection, verdicts: Iterable[tuple[Waiting, NextVerdict]]) -> None:
    """Write the next verdict on each activity, under the citizens' locks."""
    told = list(verdicts)
    if not told:
        return
    arrays = _arrays_of(each for each, _ in told)
    before = dict(connection.execute(COUNT_VERDICTS, arrays).fetchall())
    rows = [
        (
            *each,
            str(before.get(each.activity_id, 0) + 1),
            verdict.verdict,
            verdict.code or NULL,
            msgspec.json.encode(verdict.params).decode() if verdict.params else NULL,
            verdict.cause_id.hex if verdict.cause_id else NULL,
        )
        for each, verdict in told
    ]
    insert_rows(connection, VERDICTS, rows)


def _arrays_of(activities: Iterable[Waiting]) -> tuple[str, str]:
    # In order: whoever changes the same rows comes to them in the same order.
    several = sorted(activities)
    return (
        array_of(each.citizen_id for each in several),
        array_of(each.activity_id for each in several),
    )


def free_claims(connection: Connection, gone: Sequence[Left]) -> None:
    """Give back what may count only once, because these activities do not count."""
    connection.execute(FREE_CLAIMS, _arrays_of(Waiting(*each[:2]) for each in gone))
