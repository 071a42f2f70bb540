"""Places for events: after the commit, one after the other, with no gap whoever rolled back.

An event gets its place only when its transaction has committed, and under the partner's one lock:
whoever reads up to a place has read everything before it, for ever.
"""

from typing import Any, Final
from uuid import UUID

import psycopg

CHUNK: Final = 2000
"""Events that get a place in one transaction, so that none takes long."""

IS_WAITING: Final = """
SELECT EXISTS (SELECT FROM partner_event WHERE partner_id = %s AND seq IS NULL)
"""

# One step in the index of waiting events for each partner, however many wait.
PARTNERS_WAITING: Final = """
WITH RECURSIVE waiting AS (
    (SELECT partner_id FROM partner_event WHERE seq IS NULL ORDER BY partner_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT partner_id FROM partner_event
        WHERE seq IS NULL AND partner_id > waiting.partner_id ORDER BY partner_id LIMIT 1
    ) FROM waiting WHERE partner_id IS NOT NULL
)
SELECT partner_id FROM waiting WHERE partner_id IS NOT NULL
"""

LOCK: Final = """
INSERT INTO event_sequencer (partner_id) VALUES (%s)
ON CONFLICT (partner_id) DO UPDATE SET last_seq = event_sequencer.last_seq
RETURNING last_seq
"""

# Events of one object are written under its lock, so the time of writing orders them.
GIVE_PLACES: Final = """
WITH waiting AS (
    SELECT id, occurred_at, object_version FROM partner_event
    WHERE partner_id = %(partner_id)s AND seq IS NULL
    ORDER BY occurred_at, object_version, id LIMIT %(most)s
), placed AS (
    SELECT id, row_number() OVER (ORDER BY occurred_at, object_version, id) AS place FROM waiting
)
UPDATE partner_event SET seq = %(last_seq)s::bigint + placed.place
FROM placed WHERE partner_event.partner_id = %(partner_id)s AND partner_event.id = placed.id
"""

REMEMBER_LAST: Final = """
UPDATE event_sequencer SET last_seq = last_seq + %s WHERE partner_id = %s
"""


def sequence(connection: psycopg.Connection[Any], partner_id: UUID) -> int:
    """Give the partner's committed events their places and return how many got one.

    At most `CHUNK` get one; who wants all calls again, in another transaction, while that many did.

    Args:
        connection: inside the caller's transaction, which should end soon: others wait for it.
        partner_id: whose events.
    """
    if not _is_waiting(connection, partner_id):
        return 0
    last_seq = _lock(connection, partner_id)
    given = connection.execute(
        GIVE_PLACES, {"partner_id": partner_id, "last_seq": last_seq, "most": CHUNK}
    ).rowcount
    if given:
        connection.execute(REMEMBER_LAST, (given, partner_id))
    return given


def partners_waiting(connection: psycopg.Connection[Any]) -> list[UUID]:
    """Return the partners that have events without a place."""
    return [row[0] for row in connection.execute(PARTNERS_WAITING)]


def _is_waiting(connection: psycopg.Connection[Any], partner_id: UUID) -> bool:
    row = connection.execute(IS_WAITING, (partner_id,)).fetchone()
    return bool(row and row[0])


def _lock(connection: psycopg.Connection[Any], partner_id: UUID) -> int:
    """Take the partner's lock, after which everything committed is seen; return the last place."""
    row = connection.execute(LOCK, (partner_id,)).fetchone()
    return int(row[0]) if row else 0
