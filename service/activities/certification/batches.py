"""Certification batches: a day's pending activities are closed, frozen, and decided by a verifier.

A batch is of one source, methodology and day, and of at most `BATCH_ACTIVITIES_MAX` activities, so
that no transaction lasts long; what comes late goes into a further batch of the same day. What the
decision brings about is in `carrying_out.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from service import clock
from service.activities.errors import (
    BatchAlreadyDecided,
    BatchDigestMismatch,
    BatchUnknown,
    VerifierNotIndependent,
)
from service.bulk import Table, array_of, insert_rows
from service.db import Database
from service.identity.staff import partner_of_staff
from service.jobs.queue import enqueue

BATCH_ACTIVITIES_MAX = 10_000
"""Closing that many takes about 0.35 s on two cores; no write transaction may exceed one second."""
CARRY_OUT = "certification.carry_out"
"""The task that issues, or refuses, what a batch holds."""

Decided = Literal["approved", "rejected"]

DUE = "p.batch_id IS NULL AND p.due_on <= %(today)s AND p.citizen_id <> ALL(%(resting)s::uuid[])"

# A frozen citizen's activities wait outside every batch until she is released.
READ_RESTING = "SELECT citizen_id FROM citizen WHERE state <> 'active'"

READ_DUE = f"""
SELECT p.source_id, p.methodology_code, p.happened_on FROM pending_activity p WHERE {DUE}
GROUP BY p.happened_on, p.methodology_code, p.source_id
ORDER BY p.happened_on, p.methodology_code, p.source_id
"""

ONE_CLOSER_AT_A_TIME = "SELECT pg_advisory_xact_lock(7305809)"

CHOOSE = f"""
SELECT encode(uuid_send(p.citizen_id), 'hex'), encode(uuid_send(p.activity_id), 'hex')
FROM pending_activity p
WHERE {DUE} AND p.source_id IS NOT DISTINCT FROM %(source_id)s
  AND p.methodology_code = %(methodology_code)s AND p.happened_on = %(happened_on)s
ORDER BY p.citizen_id, p.activity_id LIMIT %(most)s
"""

# Those withdrawn since they were chosen are not there any more.
TAKE = """
UPDATE pending_activity p SET batch_id = %s
FROM unnest(%s::uuid[], %s::uuid[]) AS chosen (citizen_id, activity_id)
WHERE p.citizen_id = chosen.citizen_id AND p.activity_id = chosen.activity_id
  AND p.batch_id IS NULL
RETURNING encode(uuid_send(p.citizen_id), 'hex'), encode(uuid_send(p.activity_id), 'hex')
"""

ITEMS = Table("certification_batch_item", "citizen_id", "activity_id", "batch_id")

DIGEST = """sha256(string_agg(
    uuid_send(a.id) || a.evidence_digest || int8send(a.reduction_g) || int8send(a.points),
    ''::bytea ORDER BY a.id))
"""
"""Fields of fixed length, so no two different batches are written the same way."""

TOTALS = f"""
SELECT count(a.id), sum(a.reduction_g)::bigint, sum(a.points)::bigint, {DIGEST}
FROM certification_batch_item i
LEFT JOIN activity a ON a.citizen_id = i.citizen_id AND a.id = i.activity_id
WHERE i.batch_id = %s
"""

STORE = """
INSERT INTO certification_batch
    (id, source_id, methodology_code, happened_on, activities, reduction_g, points, digest)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

READ_CLOSED = "SELECT activities, digest FROM certification_batch WHERE id = %s"

DECIDE = """
INSERT INTO certification_decision (batch_id, decision, statement, verifier_id)
VALUES (%s, %s, %s, %s) ON CONFLICT (batch_id) DO NOTHING RETURNING batch_id
"""

READ_DECISION = """
SELECT batch_id, decision, statement, verifier_id, recorded_at AS decided_at
FROM certification_decision WHERE batch_id = %s
"""


class DueGroup(NamedTuple):
    """What goes into batches together."""

    source_id: UUID | None
    methodology_code: str
    happened_on: date


@dataclass(frozen=True, slots=True)
class Decision:
    """A verifier's word on a batch."""

    batch_id: UUID
    decision: Decided
    statement: str
    verifier_id: UUID
    decided_at: datetime


def close_due_batches(
    database: Database, *, today: date | None = None, most: int = BATCH_ACTIVITIES_MAX
) -> int:
    """Close everything that is due into batches, each in its own transaction.

    Any number of closers may be at work: a pending activity goes into one batch only.

    Args:
        database: as the application.
        today: the Asia/Shanghai day up to which activities are due; by default the present one.
        most: activities in one batch.

    Returns:
        How many batches were closed.
    """
    day = today or clock.today()
    with database.raw_transaction() as connection:
        resting = [row[0] for row in connection.execute(READ_RESTING)]
        terms = {"today": day, "resting": resting, "most": most}
        groups = [DueGroup(*row) for row in connection.execute(READ_DUE, terms)]
    closed = 0
    for group in groups:
        while _close_one(database, group, terms):
            closed += 1
    return closed


def _close_one(database: Database, group: DueGroup, terms: Mapping[str, Any]) -> bool:
    """Put the next activities of a group into a batch; return whether there were any."""
    batch_id = uuid4()
    with database.raw_transaction() as connection:
        connection.execute(ONE_CLOSER_AT_A_TIME)
        chosen = connection.execute(CHOOSE, {**group._asdict(), **terms}).fetchall()
        arrays = (array_of(row[0] for row in chosen), array_of(row[1] for row in chosen))
        taken = connection.execute(TAKE, (batch_id, *arrays)).fetchall() if chosen else []
        if not taken:
            return False
        insert_rows(connection, ITEMS, [(*row, batch_id.hex) for row in sorted(taken)])
        totals = connection.execute(TOTALS, [batch_id]).fetchone()
        assert totals is not None  # noqa: S101  an aggregate always has a row
        connection.execute(STORE, (batch_id, *group, *totals))
        return True


READ_SOURCE = "SELECT source_id FROM certification_batch WHERE id = %s"


def decide_batch(
    connection: psycopg.Connection[Any],
    batch_id: UUID,
    decision: Decided,
    statement: str,
    verifier_id: UUID,
) -> tuple[Decision, bool]:
    """Write down a verifier's decision, once, and let a worker carry it out.

    Returns:
        The decision, and whether it is new: the same one again by the same verifier is not.

    Raises:
        BatchUnknown: there is no such batch.
        BatchAlreadyDecided: on other terms, or by somebody else.
        BatchDigestMismatch: the batch is not what it was when it was closed.
        VerifierNotIndependent: its source is the body she works for.
    """
    _require_intact(connection, batch_id)
    _require_independence(connection, batch_id, verifier_id)
    new = connection.execute(DECIDE, (batch_id, decision, statement, verifier_id)).fetchone()
    standing = decision_on(connection, batch_id)
    assert standing is not None  # noqa: S101  written above, now or before
    if new is not None:
        enqueue(connection, CARRY_OUT, lock=f"{CARRY_OUT} {batch_id.hex}", batch_id=batch_id.hex)
    elif (standing.decision, standing.statement, standing.verifier_id) != (
        decision,
        statement,
        verifier_id,
    ):
        raise BatchAlreadyDecided(
            "This batch has been {decision} before. A batch is decided once.",
            decision=standing.decision,
            decided_at=standing.decided_at.isoformat(),
        )
    return standing, new is not None


def decision_on(connection: psycopg.Connection[Any], batch_id: UUID) -> Decision | None:
    """Return the decision on a batch, or None while it is open."""
    with connection.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(READ_DECISION, [batch_id]).fetchone()


def _require_independence(
    connection: psycopg.Connection[Any], batch_id: UUID, verifier_id: UUID
) -> None:
    body = partner_of_staff(connection, verifier_id)
    row = connection.execute(READ_SOURCE, [batch_id]).fetchone()
    if body is not None and row is not None and row[0] == body:
        raise VerifierNotIndependent(
            "These acts were reported by the organisation you work for; another verifier decides."
        )


def _require_intact(connection: psycopg.Connection[Any], batch_id: UUID) -> None:
    closed = connection.execute(READ_CLOSED, [batch_id]).fetchone()
    if closed is None:
        raise BatchUnknown("There is no such certification batch.")
    totals = connection.execute(TOTALS, [batch_id]).fetchone()
    assert totals is not None  # noqa: S101  an aggregate always has a row
    if closed != (totals[0], totals[3]):
        raise BatchDigestMismatch(
            "The batch's activities are not those that were closed. Please tell the operator to run"
            " carbon audit before anything is decided."
        )
