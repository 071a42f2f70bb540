"""Staff find an activity false: one proposes to invalidate it, another one approves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service.activities.certification.pending import NextVerdict
from service.activities.corrections.records import Fate, fate_of, revision_of
from service.activities.corrections.taking_back import Standing, take_back
from service.activities.errors import (
    InvalidationNotProposed,
    NothingToInvalidate,
    SecondPersonNeeded,
)
from service.ledger.accounts import lock_account

READ = """
SELECT p.activity_id, p.reason, p.proposed_by, p.recorded_at AS proposed_at,
       i.approved_by, i.recorded_at AS approved_at
FROM invalidation_proposal p
LEFT JOIN invalidation i ON i.citizen_id = p.citizen_id AND i.activity_id = p.activity_id
WHERE p.citizen_id = %s AND p.activity_id = %s
"""

PROPOSE = """
INSERT INTO invalidation_proposal (citizen_id, activity_id, reason, proposed_by)
VALUES (%s, %s, %s, %s)
"""

APPROVE = """
INSERT INTO invalidation (citizen_id, activity_id, proposed_by, approved_by)
VALUES (%s, %s, %s, %s)
"""

FALSE = NextVerdict("refused", None, "found-false")
"""On what waited; what was certified becomes invalidated with the same code."""


@dataclass(frozen=True, slots=True)
class Invalidating:
    """An activity that somebody found false, and who agreed."""

    activity_id: UUID
    reason: str
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None
    approved_at: datetime | None


def propose_invalidation(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    activity_id: UUID,
    reason: str,
    proposed_by: str,
) -> tuple[Invalidating, bool]:
    """Say that an activity is false; nothing changes until somebody else agrees.

    Returns:
        The first proposal, and whether it is this one.

    Raises:
        NothingToInvalidate: it does not count.
    """
    lock_account(connection, citizen_id)
    made = _found(connection, citizen_id, activity_id)
    if made is not None:
        return made, False
    _require_counted(connection, citizen_id, activity_id)
    connection.execute(PROPOSE, (citizen_id, activity_id, reason, proposed_by))
    return _proposed(connection, citizen_id, activity_id), True


def approve_invalidation(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID, approved_by: str
) -> tuple[Invalidating, bool]:
    """Invalidate an activity that somebody else has proposed to invalidate, once.

    Args:
        connection: inside the entry point's transaction.
        citizen_id: whose activity it is.
        activity_id: certified, or waiting for it.
        approved_by: a staff member's name.

    Returns:
        What was decided, and whether now.

    Raises:
        InvalidationNotProposed
        SecondPersonNeeded: who proposed it cannot approve it.
        NothingToInvalidate: it does not count any more.
    """
    accounts = lock_account(connection, citizen_id)
    proposed = _proposed(connection, citizen_id, activity_id)
    if proposed.approved_by is not None:
        return proposed, False
    if proposed.proposed_by == approved_by:
        raise SecondPersonNeeded("Who proposed it cannot approve it. Please ask a colleague.")
    fate = _require_counted(connection, citizen_id, activity_id)
    act = Standing(citizen_id.hex, activity_id.hex, fate.verdict)
    take_back(connection, accounts, [act], FALSE)
    connection.execute(APPROVE, (citizen_id, activity_id, proposed.proposed_by, approved_by))
    return _proposed(connection, citizen_id, activity_id), True


def _require_counted(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> Fate:
    fate = fate_of(connection, revision_of(connection, citizen_id, activity_id))
    if fate.verdict not in ("certified", "pending"):
        raise NothingToInvalidate(
            "This activity is {verdict}, so it does not count.", verdict=fate.verdict
        )
    return fate


def _proposed(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> Invalidating:
    found = _found(connection, citizen_id, activity_id)
    if found is None:
        raise InvalidationNotProposed("Nobody has proposed to invalidate this activity.")
    return found


def _found(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> Invalidating | None:
    with connection.cursor(row_factory=class_row(Invalidating)) as cursor:
        return cursor.execute(READ, (citizen_id, activity_id)).fetchone()
