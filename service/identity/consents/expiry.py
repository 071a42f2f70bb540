"""Consents that run out: their partners are told seven days before, and when it has happened.

Nothing depends on these jobs but the telling: a consent past its end is refused wherever it is
used, whatever its row says.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from service import clock
from service.db import Database
from service.identity.consents.changes import RETURNING, SERVICE, Changed, end, note
from service.runtime import Runtime

TOLD_BEFORE: Final = timedelta(days=7)
AT_A_TIME: Final = 200

LAPSED: Final = """
SELECT id FROM consent WHERE state = 'authorised' AND valid_to <= %s
ORDER BY valid_to LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""

# Who gives a consent for less than that long knows.
LAPSING: Final = """
SELECT id FROM consent
WHERE state = 'authorised' AND valid_to > %(now)s AND valid_to <= %(now)s + %(before)s
  AND valid_to - valid_from > %(before)s AND expiry_told_at IS NULL
ORDER BY valid_to LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED
"""

TELL: Final = f"""
UPDATE consent SET expiry_told_at = %s, version = version + 1 WHERE id = %s {RETURNING}
"""

Some = Callable[[psycopg.Connection[Any], datetime], int]


def watch_expiry(runtime: Runtime) -> int:
    """Mark what has expired and tell of what soon will; return how many consents that were."""
    return _all(runtime.database, _expire_some) + _all(runtime.database, _tell_some)


def _all(database: Database, some: Some) -> int:
    """Work in transactions of a bounded size, so that nobody waits long for a consent."""
    done = 0
    while True:
        with database.raw_transaction() as connection:
            now_done = some(connection, clock.now())
        done += now_done
        if now_done < AT_A_TIME:
            return done


def _expire_some(connection: psycopg.Connection[Any], now: datetime) -> int:
    lapsed = _ids(connection, LAPSED, [now, AT_A_TIME])
    for consent_id in lapsed:
        end(connection, consent_id, "expired", SERVICE)
    return len(lapsed)


def _tell_some(connection: psycopg.Connection[Any], now: datetime) -> int:
    asked = {"now": now, "before": TOLD_BEFORE, "most": AT_A_TIME}
    lapsing = _ids(connection, LAPSING, asked)
    for consent_id in lapsing:
        row = connection.execute(TELL, [now, consent_id]).fetchone()
        note(connection, Changed._make(row or ()), "expiring", SERVICE)
    return len(lapsing)


def _ids(connection: psycopg.Connection[Any], query: str, asked: Any) -> list[UUID]:
    return [row[0] for row in connection.execute(query, asked)]
