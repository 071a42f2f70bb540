"""A partner's events in their order: what a webhook says, to be read again at any time."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.ids import EVENT, IdUnknown, public_id
from service.partners.webhooks.sequencing import sequence

API_VERSION: Final = "v1"

LOOKED_THROUGH: Final = 20_000
"""Places that one page looks through at most: a rare type must not cost a walk through all."""

COLUMNS: Final = "id, type, object, object_id, state, object_version, occurred_at, seq"

READ_LAST: Final = "SELECT last_seq FROM event_sequencer WHERE partner_id = %s"

READ_ONE: Final = f"SELECT {COLUMNS} FROM partner_event WHERE partner_id = %s AND id = %s"

READ_PAGE: Final = f"""
SELECT {COLUMNS} FROM partner_event
WHERE partner_id = %(partner_id)s AND seq > %(after_seq)s AND seq <= %(until)s
  AND (%(type)s::text IS NULL OR type = %(type)s)
ORDER BY seq LIMIT %(rows)s
"""


class Event(NamedTuple):
    """One change that a partner is told of."""

    id: UUID
    type: str
    object: str
    object_id: str
    state: str
    object_version: int
    occurred_at: datetime
    seq: int | None
    """Its place among the partner's events; None for a moment after the commit."""

    @property
    def public_id(self) -> str:
        """Its name at the edge, and the `webhook-id`."""
        return public_id(EVENT, self.id)

    @property
    def message(self) -> dict[str, Any]:
        """What a webhook's body says: thin, so that nothing personal travels, and never stale."""
        return {
            "type": self.type,
            "timestamp": self.occurred_at.astimezone(UTC).isoformat(),
            "api_version": API_VERSION,
            "seq": self.seq,
            "data": {
                "id": self.object_id,
                "object": self.object,
                "state": self.state,
                "version": self.object_version,
            },
        }

    @property
    def body(self) -> bytes:
        """The webhook's body; the same bytes at each attempt."""
        return json.dumps(self.message, separators=(",", ":"), ensure_ascii=False).encode()


class FeedPage(NamedTuple):
    """Events in order, and where to go on."""

    events: Sequence[Event]
    next_after_seq: int
    """Whatever was asked for up to this place has been shown."""
    has_more: bool
    """Whether there is something to look through now; a page may have more and show nothing."""


def events_after(
    connection: psycopg.Connection[Any],
    partner_id: UUID,
    *,
    after_seq: int,
    limit: int,
    event_type: str | None = None,
) -> FeedPage:
    """Return a partner's events after a place; what has committed by now gets its place first.

    Args:
        connection: inside the caller's transaction.
        partner_id: whose.
        after_seq: the last place that was seen; 0 from the beginning.
        limit: at most so many.
        event_type: only events of this type; None: all.
    """
    sequence(connection, partner_id)
    last_seq = last_seq_of(connection, partner_id)
    until = min(last_seq, after_seq + LOOKED_THROUGH)
    asked = {
        "partner_id": partner_id,
        "after_seq": after_seq,
        "until": until,
        "type": event_type,
        "rows": limit + 1,
    }
    found = [Event(*row) for row in connection.execute(READ_PAGE, asked)]
    if len(found) > limit:
        return FeedPage(found[:limit], found[limit - 1].seq or 0, has_more=True)
    return FeedPage(found, max(after_seq, until), has_more=until < last_seq)


def event_named(connection: psycopg.Connection[Any], partner_id: UUID, event_id: UUID) -> Event:
    """Return one of a partner's events, with its place.

    Raises:
        IdUnknown: the partner has no such event.
    """
    event = _read(connection, partner_id, event_id)
    while event.seq is None and sequence(connection, partner_id):
        event = _read(connection, partner_id, event_id)
    return event


def last_seq_of(connection: psycopg.Connection[Any], partner_id: UUID) -> int:
    """Return the last place that a partner's events have got; 0 when there is none."""
    row = connection.execute(READ_LAST, (partner_id,)).fetchone()
    return int(row[0]) if row else 0


def _read(connection: psycopg.Connection[Any], partner_id: UUID, event_id: UUID) -> Event:
    row = connection.execute(READ_ONE, (partner_id, event_id)).fetchone()
    if row is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return Event(*row)
