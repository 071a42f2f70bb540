"""A settlement batch and the states through which it goes, each change written down."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.ids import SETTLEMENT_BATCH, public_id
from service.partners.events import record_event
from service.rewards.redemptions.steps import Actor
from service.rewards.settlement.errors import SettlementBatchClosed, SettlementBatchUnknown

MOVES: Final[Mapping[str, frozenset[str]]] = {
    "open": frozenset({"sent", "superseded"}),
    "sent": frozenset({"partner_received", "superseded"}),
    "partner_received": frozenset({"matched", "exceptions", "superseded"}),
    "exceptions": frozenset({"matched", "exceptions", "accepted", "superseded"}),
    "matched": frozenset({"accepted", "exceptions", "superseded"}),
    "accepted": frozenset(),
    "superseded": frozenset(),
}
"""From each state to the next ones. An accepted batch stays as it is."""

EVENT_OF: Final[Mapping[str, str]] = {
    "open": "settlement_batch.opened",
    "sent": "settlement_batch.sent",
    "partner_received": "settlement_batch.received",
    "matched": "settlement_batch.matched",
    "exceptions": "settlement_batch.exceptions_found",
    "accepted": "settlement_batch.accepted",
    "superseded": "settlement_batch.superseded",
}

COMPARABLE: Final = frozenset({"sent", "partner_received", "exceptions", "matched"})
"""A partner's file about a batch in these states is matched."""

_SELECT: Final = """
SELECT batch.id, batch.partner_id, partner.name, batch.business_date, batch.no, batch.state,
       batch.version, batch.lines, batch.totals, batch.recorded_at
FROM settlement_batch batch JOIN partner ON partner.id = batch.partner_id
"""

READ: Final = f"{_SELECT} WHERE batch.id = %s"
LOCK: Final = f"{READ} FOR UPDATE OF batch"

READ_OF_DAY: Final = f"""{_SELECT}
WHERE batch.partner_id = %s AND batch.business_date = %s AND batch.state <> 'superseded'
"""

READ_PAGE: Final = f"""{_SELECT}
WHERE (%(partner_id)s::uuid IS NULL OR batch.partner_id = %(partner_id)s)
  AND (%(state)s::text IS NULL OR batch.state = %(state)s)
  AND (%(business_date)s::date IS NULL OR batch.business_date = %(business_date)s)
  AND (%(day)s::date IS NULL OR (batch.business_date, batch.no, batch.id)
       < (%(day)s, %(no)s, %(id)s))
ORDER BY batch.business_date DESC, batch.no DESC, batch.id DESC LIMIT %(rows)s
"""

CREATE: Final = """
INSERT INTO settlement_batch (id, partner_id, business_date, no, state, version, lines, totals)
VALUES (%s, %s, %s, %s, 'open', 1, %s, %s)
"""

MOVE: Final = "UPDATE settlement_batch SET state = %s, version = %s WHERE id = %s AND version = %s"

WRITE_CHANGE: Final = """
INSERT INTO settlement_batch_change (batch_id, version, state, actor_kind, actor_id, reason)
VALUES (%s, %s, %s, %s, %s, %s)
"""

READ_CHANGES: Final = """
SELECT version, state, actor_kind, actor_id, reason, recorded_at FROM settlement_batch_change
WHERE batch_id = %s ORDER BY version
"""


class Batch(NamedTuple):
    """A batch as it stands."""

    id: UUID
    partner_id: UUID
    partner: str
    """Its slug."""
    business_date: date
    no: int
    state: str
    version: int
    lines: int
    totals: dict[str, Any]
    recorded_at: datetime

    @property
    def public_id(self) -> str:
        """The name that callers know."""
        return public_id(SETTLEMENT_BATCH, self.id)


class Change(NamedTuple):
    """One change of a batch's state."""

    version: int
    state: str
    actor_kind: str
    actor_id: UUID | None
    reason: str | None
    recorded_at: datetime


PATIENCE: Final = (
    "SET LOCAL statement_timeout = 0",  # a day may have a hundred thousand lines
    "SET LOCAL idle_in_transaction_session_timeout = 0",  # and is computed with in between
)


def be_patient(connection: psycopg.Connection[Any]) -> None:
    """Let the caller's transaction take as long as a whole day's lines need."""
    for term in PATIENCE:
        connection.execute(term)


def batch_by_id(
    connection: psycopg.Connection[Any],
    batch_id: UUID,
    partner_id: UUID | None = None,
    *,
    locked: bool = False,
) -> Batch:
    """Return a batch.

    Args:
        connection: inside the caller's transaction.
        batch_id: which.
        partner_id: who asks and sees its own only; None: staff.
        locked: keep everybody else from moving it until the transaction ends.

    Raises:
        SettlementBatchUnknown: there is none, or it is another partner's.
    """
    row = connection.execute(LOCK if locked else READ, [batch_id]).fetchone()
    if row is None or (partner_id is not None and row[1] != partner_id):
        raise SettlementBatchUnknown("There is no such batch, or it is not yours to see.")
    return Batch._make(row)


def batch_of_day(
    connection: psycopg.Connection[Any], partner_id: UUID, business_date: date
) -> Batch | None:
    """Return the batch that counts for a partner's day, or None."""
    row = connection.execute(READ_OF_DAY, [partner_id, business_date]).fetchone()
    return row and Batch._make(row)


def move(
    connection: psycopg.Connection[Any],
    batch: Batch,
    state: str,
    actor: Actor,
    reason: str | None = None,
) -> Batch:
    """Lead a batch, which the caller has locked, into its next state, and tell the partner.

    Raises:
        SettlementBatchClosed: the present state does not lead there.
    """
    if state not in MOVES[batch.state]:
        raise closed(batch)
    after = batch._replace(state=state, version=batch.version + 1)
    connection.execute(MOVE, [state, after.version, batch.id, batch.version])
    note(connection, after, actor, reason)
    return after


def note(
    connection: psycopg.Connection[Any], batch: Batch, actor: Actor, reason: str | None = None
) -> None:
    """Write down how a batch stands from now on, and tell the partner."""
    connection.execute(
        WRITE_CHANGE, [batch.id, batch.version, batch.state, actor.kind, actor.id, reason]
    )
    event = EVENT_OF[batch.state]
    record_event(connection, batch.partner_id, event, batch.public_id, batch.state, batch.version)


def closed(batch: Batch) -> SettlementBatchClosed:
    """Return the refusal of what a batch's state does not allow."""
    return SettlementBatchClosed(
        "The batch is {current_state}, which does not allow this.", current_state=batch.state
    )


def changes_of(connection: psycopg.Connection[Any], batch_id: UUID) -> list[Change]:
    """Return the changes of a batch, the first first."""
    return [Change._make(row) for row in connection.execute(READ_CHANGES, [batch_id])]
