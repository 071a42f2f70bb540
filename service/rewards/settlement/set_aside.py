"""What becomes of files and exceptions about a batch that counts no more."""

from typing import Any, Final
from uuid import UUID

import psycopg

from service import clock

OVERTAKE: Final = """
UPDATE reconciliation_run SET state = 'overtaken', ended_at = %s
WHERE batch_id = %s AND state = 'queued'
"""

CLEAR: Final = """
WITH cleared AS (
    UPDATE reconciliation_exception SET state = 'cleared', version = version + 1, ended_at = %s
    WHERE batch_id = %s AND state IN ('open', 'proposed') RETURNING id, version
)
INSERT INTO exception_step (exception_id, no, kind, state, actor_kind)
SELECT id, version, 'cleared', 'cleared', 'service' FROM cleared
"""


def set_aside(connection: psycopg.Connection[Any], batch_id: UUID) -> None:
    """End what is open about a batch that is superseded, in the caller's transaction."""
    now = clock.now()
    connection.execute(OVERTAKE, [now, batch_id])
    connection.execute(CLEAR, [now, batch_id])
