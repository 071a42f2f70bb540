"""Carrying out a verifier's decision: chunk by chunk, each once, whatever stops it in between.

A chunk is a transaction of its own under the citizens' locks. An activity that waits in the batch
has not been dealt with, one that waits no more has: so a run that was killed is simply run again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row

from service.activities.certification.batches import Decision, decision_on
from service.activities.certification.pending import Left, NextVerdict, Waiting, free_claims, leave
from service.activities.errors import BatchUndecided
from service.bulk import array_of
from service.db import Database
from service.ledger.accounts import Accounts, lock_accounts
from service.ledger.issuing import Issue, issue_lots

CHUNK_ACTIVITIES = 2_500

READ_WAITING = """
SELECT replace(citizen_id::text, '-', ''), replace(activity_id::text, '-', '')
FROM pending_activity WHERE batch_id = %s ORDER BY citizen_id, activity_id LIMIT %s
"""

READ_NOT_ACTIVE = """
SELECT citizen_id FROM citizen WHERE citizen_id = ANY(%s::uuid[]) AND state <> 'active'
"""

SET_ASIDE = """
UPDATE pending_activity SET batch_id = NULL
WHERE batch_id = %s AND citizen_id = ANY(%s)
"""

# Whoever has no later verdict was set aside: only a freeze lets an activity leave a batch without.
READ_FATES = """
SELECT is_issued, reason, count(*), sum(reduction_g), sum(points)
FROM (
    SELECT a.citizen_id, a.id, a.reduction_g, a.points,
           coalesce(bool_or(v.verdict = 'certified' AND v.cause_id = i.batch_id), false)
               AS is_issued,
           coalesce((array_agg(v.code ORDER BY v.seq DESC))[1], 'account-frozen') AS reason
    FROM certification_batch_item i
    JOIN activity a ON a.citizen_id = i.citizen_id AND a.id = i.activity_id
    LEFT JOIN verdict v ON v.citizen_id = i.citizen_id AND v.activity_id = i.activity_id
    WHERE i.batch_id = %s
    GROUP BY a.citizen_id, a.id, a.reduction_g, a.points) AS fate
GROUP BY is_issued, reason
"""

CONCLUDE = """
INSERT INTO certification_outcome (batch_id, approved, issued, reduction_g, points, skipped)
SELECT id, CASE WHEN %(is_approved)s THEN activities ELSE 0 END,
       %(issued)s, %(reduction_g)s, %(points)s, %(skipped)s
FROM certification_batch WHERE id = %(batch_id)s
ON CONFLICT (batch_id) DO NOTHING
"""

READ_OUTCOME = """
SELECT batch_id, approved, issued, reduction_g, points, skipped, recorded_at
FROM certification_outcome WHERE batch_id = %s
"""


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """What a decision has brought about."""

    batch_id: UUID
    approved: int
    issued: int
    reduction_g: int
    points: int
    skipped: dict[str, int]
    """Reason to activities that were in the batch and were not issued."""
    recorded_at: datetime


def carry_out(
    database: Database, batch_id: UUID, *, chunk_activities: int = CHUNK_ACTIVITIES
) -> CarriedOut:
    """Issue everything that still waits in an approved batch, or refuse it in a rejected one.

    Doing it twice, at once or after a crash, changes nothing.

    Raises:
        BatchUndecided: no verifier has decided it, or there is no such batch.
    """
    with database.raw_transaction() as connection:
        decision = decision_on(connection, batch_id)
        if decision is None:
            raise BatchUndecided("No verifier has decided this batch yet.")
    more = True
    while more:
        with database.raw_transaction() as connection:
            more = carry_out_chunk(connection, decision, chunk_activities)
    with database.raw_transaction() as connection:
        return _conclude(connection, decision)


def carry_out_chunk(
    connection: psycopg.Connection[Any], decision: Decision, most: int = CHUNK_ACTIVITIES
) -> bool:
    """Deal with the next activities of a decided batch; return whether there were any."""
    rows = connection.execute(READ_WAITING, (decision.batch_id, most))
    waiting = [Waiting(*row) for row in rows]
    if not waiting:
        return False
    accounts = lock_accounts(connection, [each.citizen_id for each in waiting])
    if decision.decision == "approved":
        _certify(connection, accounts, decision, waiting)
    else:
        _refuse(connection, decision, waiting)
    return True


def _certify(
    connection: psycopg.Connection[Any],
    accounts: Accounts,
    decision: Decision,
    waiting: list[Waiting],
) -> None:
    citizens = array_of({each.citizen_id for each in waiting})
    frozen = [row[0] for row in connection.execute(READ_NOT_ACTIVE, [citizens])]
    if frozen:
        connection.execute(SET_ASIDE, (decision.batch_id, frozen))
    verdict = NextVerdict("certified", decision.batch_id)
    certified = leave(connection, waiting, verdict, batch_id=decision.batch_id)
    issue_lots(connection, accounts, [_issue(each) for each in certified])


def _refuse(
    connection: psycopg.Connection[Any], decision: Decision, waiting: list[Waiting]
) -> None:
    reason = {"statement": decision.statement}
    verdict = NextVerdict("refused", decision.batch_id, "batch-rejected", reason)
    refused = leave(connection, waiting, verdict, batch_id=decision.batch_id)
    free_claims(connection, refused)


def _issue(certified: Left) -> Issue:
    return Issue(
        certified.citizen_id,
        certified.activity_id,
        certified.expires_on,
        certified.points,
        certified.reduction_g,
    )


def _conclude(connection: psycopg.Connection[Any], decision: Decision) -> CarriedOut:
    """Count what became of the batch, from its verdicts, and write it down."""
    issued = grams = points = 0
    skipped: dict[str, int] = {}
    for is_issued, reason, count, its_grams, its_points in connection.execute(
        READ_FATES, [decision.batch_id]
    ):
        if is_issued:
            issued, grams, points = issued + count, grams + int(its_grams), points + int(its_points)
        else:
            skipped[reason] = count
    connection.execute(
        CONCLUDE,
        {
            "batch_id": decision.batch_id,
            "is_approved": decision.decision == "approved",
            "issued": issued,
            "reduction_g": grams,
            "points": points,
            "skipped": msgspec.json.encode(skipped).decode(),
        },
    )
    with connection.cursor(row_factory=class_row(CarriedOut)) as cursor:
        found = cursor.execute(READ_OUTCOME, [decision.batch_id]).fetchone()
    assert found is not None  # noqa: S101  written above, now or before
    return found
