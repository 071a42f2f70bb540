"""Deliveries as a partner sees them: which event went where, and once more if it wishes."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service import clock
from service.db import Database
from service.partners.webhooks.endpoints import endpoint_named, endpoints_of, require_active
from service.partners.webhooks.feed import event_named

STATES: Final = ("waiting", "delivered", "failed")
KEPT_FOR: Final = timedelta(days=30)
FORGOTTEN_AT_ONCE: Final = 5000

COLUMNS: Final = (
    "id, event_id, endpoint_id, seq, state, attempts, next_attempt_at, last_status, last_error,"
    " ended_at, recorded_at"
)

# A few rows of each state, along the index, and then the newest of those.
READ_PAGE: Final = f"""
SELECT found.* FROM unnest(%(states)s::text[]) AS wanted (state)
CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM webhook_delivery
    WHERE partner_id = %(partner_id)s AND state = wanted.state
      AND (seq, endpoint_id) < (%(seq)s, %(last_endpoint_id)s)
      AND (%(endpoint_id)s::uuid IS NULL OR endpoint_id = %(endpoint_id)s)
    ORDER BY seq DESC, endpoint_id DESC LIMIT %(rows)s
) AS found
ORDER BY seq DESC, endpoint_id DESC LIMIT %(rows)s
"""

MAKE_DUE: Final = f"""
INSERT INTO webhook_delivery (endpoint_id, event_id, partner_id, seq, next_attempt_at)
SELECT endpoint_id, %(event_id)s, %(partner_id)s, %(seq)s, %(now)s
FROM unnest(%(endpoint_ids)s::uuid[]) AS endpoint_id
ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'waiting', attempts = 0,
    next_attempt_at = excluded.next_attempt_at, ended_at = NULL
RETURNING {COLUMNS}
"""

FORGET: Final = """
DELETE FROM webhook_delivery WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_delivery WHERE state = 'delivered' AND ended_at < %s LIMIT %s
))
"""

LAST_ID: Final = UUID(int=2**128 - 1)
LAST_SEQ: Final = 2**63 - 1


class Delivery(NamedTuple):
    """One event on its way to one endpoint."""

    id: UUID
    event_id: UUID
    endpoint_id: UUID
    seq: int
    state: str
    attempts: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str | None
    ended_at: datetime | None
    recorded_at: datetime


class Asked(NamedTuple):
    """Which deliveries a partner asks for."""

    state: str | None
    endpoint_id: UUID | None
    after: tuple[int, UUID] | None
    """Place and endpoint of the last one seen."""


def deliveries_of(
    connection: psycopg.Connection[Any], partner_id: UUID, asked: Asked, *, rows: int
) -> list[Delivery]:
    """Return a partner's deliveries, those of the newest events first."""
    seq, last_endpoint_id = asked.after or (LAST_SEQ, LAST_ID)
    values = {
        "partner_id": partner_id,
        "states": [asked.state] if asked.state else list(STATES),
        "endpoint_id": asked.endpoint_id,
        "seq": seq,
        "last_endpoint_id": last_endpoint_id,
        "rows": rows,
    }
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(READ_PAGE, values).fetchall()


def redeliver(
    connection: psycopg.Connection[Any],
    partner_id: UUID,
    event_id: UUID,
    endpoint_id: UUID | None,
) -> list[Delivery]:
    """Send an event once more, now, to one endpoint or to all active ones, and return the ways.

    Raises:
        IdUnknown: the partner has no such event or endpoint.
        EndpointNotActive: the named endpoint is disabled.
    """
    event = event_named(connection, partner_id, event_id)
    values = {
        "event_id": event_id,
        "partner_id": partner_id,
        "seq": event.seq,
        "now": clock.now(),
        "endpoint_ids": _active(connection, partner_id, endpoint_id),
    }
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(MAKE_DUE, values).fetchall()


def forget_delivered(database: Database) -> int:
    """Delete what was delivered more than thirty days ago and return how many there were."""
    forgotten = 0
    while True:
        with database.raw_transaction() as connection:
            before = clock.now() - KEPT_FOR
            some = connection.execute(FORGET, (before, FORGOTTEN_AT_ONCE)).rowcount
        forgotten += some
        if some < FORGOTTEN_AT_ONCE:
            return forgotten


def _active(
    connection: psycopg.Connection[Any], partner_id: UUID, endpoint_id: UUID | None
) -> list[UUID]:
    if endpoint_id is None:
        every = endpoints_of(connection, partner_id)
        return [endpoint.id for endpoint in every if endpoint.state == "active"]
    endpoint = endpoint_named(connection, partner_id, endpoint_id)
    require_active(endpoint)
    return [endpoint.id]
