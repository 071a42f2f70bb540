"""What waits for certification, and how it leaves: with its next verdict, once, under her lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from service.bulk import array_of

LEAVE = """
WITH gone AS (
    DELETE FROM pending_activity p
    USING unnest(%(citizens)s::uuid[], %(activities)s::uuid[]) AS asked (citizen_id, activity_id)
    WHERE p.citizen_id = asked.citizen_id AND p.activity_id = asked.activity_id
      AND (%(batch_id)s::uuid IS NULL OR p.batch_id = %(batch_id)s)
    RETURNING p.citizen_id, p.activity_id, p.expires_on),
told AS (
    INSERT INTO verdict (citizen_id, activity_id, seq, verdict, code, params, cause_id)
    SELECT gone.citizen_id, gone.activity_id,
           1 + (SELECT count(*) FROM verdict v
                WHERE v.citizen_id = gone.citizen_id AND v.activity_id = gone.activity_id),
           %(verdict)s, %(code)s, %(params)s::json, %(cause_id)s
    FROM gone ORDER BY gone.citizen_id, gone.activity_id)
SELECT replace(gone.citizen_id::text, '-', ''), replace(gone.activity_id::text, '-', ''),
       gone.expires_on::text, a.points, a.reduction_g
FROM gone JOIN activity a ON a.citizen_id = gone.citizen_id AND a.id = gone.activity_id
ORDER BY gone.citizen_id, gone.activity_id
"""
# Points and grams are the activity's, which nobody can rewrite, not the work table's.

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
    connection: psycopg.Connection[Any],
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
    rows = connection.execute(
        LEAVE,
        {
            "citizens": array_of(each.citizen_id for each in waiting),
            "activities": array_of(each.activity_id for each in waiting),
            "batch_id": batch_id,
            "verdict": verdict.verdict,
            "code": verdict.code,
            "params": msgspec.json.encode(verdict.params).decode() if verdict.params else None,
            "cause_id": verdict.cause_id,
        },
    )
    return [Left(*row) for row in rows]


def free_claims(connection: psycopg.Connection[Any], gone: Sequence[Left]) -> None:
    """Give back what may count only once, because these activities do not count."""
    connection.execute(
        FREE_CLAIMS,
        (
            array_of(each.citizen_id for each in gone),
            array_of(each.activity_id for each in gone),
        ),
    )
