"""Exceptions as they stand, and what was done about each."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from service import clock
from service.rewards.settlement.errors import (
    AssigneeUnknown,
    ExceptionResolved,
    ExceptionUnknown,
)

OPEN_STATES: Final = ("open", "proposed")

_SELECT: Final = """
SELECT id, batch_id, run_id, partner_id, code, redemption_id, record_id, ours, theirs, points,
       subsidy_minor, state, version, owner_kind, owner_id, opened_at, ended_at
FROM reconciliation_exception
"""

READ: Final = f"{_SELECT} WHERE id = %s"
LOCK: Final = f"{READ} FOR UPDATE"

READ_PAGE: Final = f"""{_SELECT}
WHERE (%(partner_id)s::uuid IS NULL OR partner_id = %(partner_id)s)
  AND (%(batch_id)s::uuid IS NULL OR batch_id = %(batch_id)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(opened_at)s::timestamptz IS NULL OR (opened_at, id) > (%(opened_at)s, %(id)s))
ORDER BY opened_at, id LIMIT %(rows)s
"""

READ_STEPS: Final = """
SELECT no, kind, state, actor_kind, actor_id, owner_kind, owner_id, resolution, reason, evidence,
       recorded_at
FROM exception_step WHERE exception_id = %s ORDER BY no
"""

CHANGE: Final = """
UPDATE reconciliation_exception SET state = %s, version = %s, owner_kind = %s, owner_id = %s,
    ended_at = %s
WHERE id = %s
"""

WRITE_STEP: Final = """
INSERT INTO exception_step (exception_id, no, kind, state, actor_kind, actor_id, owner_kind,
    owner_id, resolution, reason, evidence)
VALUES (%s, %s, %s, %s, 'staff', %s, %s, %s, %s, %s, %s)
"""

FIND_STAFF: Final = "SELECT FROM staff WHERE id = %s"


class NotedDifference(NamedTuple):
    """An exception: a difference that was found and written down, as it stands."""

    id: UUID
    batch_id: UUID
    run_id: UUID
    partner_id: UUID
    code: str
    redemption_id: UUID | None
    record_id: UUID | None
    ours: Mapping[str, Any] | None
    theirs: Mapping[str, Any] | None
    points: int
    """At risk."""
    subsidy_minor: int
    state: str
    version: int
    owner_kind: str
    owner_id: UUID | None
    opened_at: datetime
    ended_at: datetime | None

    @property
    def age_days(self) -> int:
        """Whole days since it was found, to its end or until now."""
        return ((self.ended_at or clock.now()) - self.opened_at).days

    def require_open(self) -> None:
        """Refuse what is over.

        Raises:
            ExceptionResolved
        """
        if self.state not in OPEN_STATES:
            raise ExceptionResolved("The exception is {current_state}.", current_state=self.state)


class Step(NamedTuple):
    """Something that was done about an exception."""

    no: int
    kind: str
    state: str
    actor_kind: str
    actor_id: UUID | None
    owner_kind: str | None
    owner_id: UUID | None
    resolution: str | None
    reason: str | None
    evidence: Mapping[str, Any] | None
    recorded_at: datetime


def exception_by_id(
    connection: psycopg.Connection[Any],
    exception_id: UUID,
    partner_id: UUID | None = None,
    *,
    locked: bool = False,
) -> NotedDifference:
    """Return an exception; a partner sees its own only.

    Raises:
        ExceptionUnknown: there is none, or it is another partner's.
    """
    row = connection.execute(LOCK if locked else READ, [exception_id]).fetchone()
    found = row and NotedDifference._make(row)
    if found is None or partner_id not in {None, found.partner_id}:
        raise ExceptionUnknown("There is no such exception, or it is not yours to see.")
    return found


def steps_of(connection: psycopg.Connection[Any], exception_id: UUID) -> list[Step]:
    """Return what was done about an exception, the first first."""
    return [Step._make(row) for row in connection.execute(READ_STEPS, [exception_id])]


def assign(
    connection: psycopg.Connection[Any],
    exception_id: UUID,
    owner_kind: str,
    owner_id: UUID | None,
    by: UUID,
    reason: str | None,
) -> NotedDifference:
    """Say who looks after an exception from now on.

    Args:
        connection: inside the caller's transaction.
        exception_id: which.
        owner_kind: partner, platform or staff.
        owner_id: of a member of staff; None for the others.
        by: the member of staff who says so.
        reason: why.

    Raises:
        ExceptionUnknown, ExceptionResolved, AssigneeUnknown
    """
    found = exception_by_id(connection, exception_id, locked=True)
    found.require_open()
    if owner_id and connection.execute(FIND_STAFF, [owner_id]).fetchone() is None:
        raise AssigneeUnknown("There is no member of staff by this id.")
    after = found._replace(owner_kind=owner_kind, owner_id=owner_id, version=found.version + 1)
    write_step(connection, after, "assigned", by, reason=reason)
    return after


def write_step(
    connection: psycopg.Connection[Any],
    after: NotedDifference,
    kind: str,
    by: UUID,
    *,
    resolution: str | None = None,
    reason: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Write down what a member of staff did, and how the exception stands from now on."""
    connection.execute(
        CHANGE,
        [after.state, after.version, after.owner_kind, after.owner_id, after.ended_at, after.id],
    )
    owner = [after.owner_kind, after.owner_id]
    said = [resolution, reason, Jsonb(evidence) if evidence is not None else None]
    connection.execute(WRITE_STEP, [after.id, after.version, kind, after.state, by, *owner, *said])
