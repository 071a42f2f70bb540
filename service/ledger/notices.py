"""What a citizen is told in time: that points of hers are about to expire.

A notice is written once for each lot and lead, whoever runs the job and however often: its key is
what it is about.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.db import Database
from service.ledger.expiry import ACCOUNTS_IN_CHUNK, BookedRun, book_in_chunks
from service.ledger.transfers import derived_id

EXPIRING: Final = "points-expire-soon"

LEAD_FIRST_DAYS: Final = 30
LEAD_LAST_DAYS: Final = 7
"""The scheme's own choice, from no source: a month to plan, and a week as the last reminder."""

# Whoever was erased has no secret any more, and is told nothing. A lot that is first seen in its
# last week gets the last reminder only.
WRITE: Final = f"""
INSERT INTO notice (citizen_id, kind, expires_on, lead_days, points)
SELECT lot.citizen_id, '{EXPIRING}', lot.expires_on,
       CASE WHEN lot.expires_on > %(today)s::date + {LEAD_LAST_DAYS}
            THEN {LEAD_FIRST_DAYS} ELSE {LEAD_LAST_DAYS} END,
       lot.available_points
FROM lot JOIN account ON account.citizen_id = lot.citizen_id
WHERE lot.citizen_id = ANY(%(citizen_ids)s) AND lot.available_points > 0
  AND lot.expires_on BETWEEN %(today)s::date AND %(today)s::date + {LEAD_FIRST_DAYS}
  AND account.secret IS NOT NULL
ORDER BY lot.citizen_id, lot.expires_on
ON CONFLICT DO NOTHING
RETURNING points
"""

READ: Final = """
SELECT citizen_id, kind, expires_on, lead_days, points, recorded_at FROM notice
WHERE citizen_id = %(citizen_id)s
  AND (recorded_at, expires_on, lead_days) < (%(recorded_at)s, %(expires_on)s, %(lead_days)s)
ORDER BY recorded_at DESC, expires_on DESC, lead_days DESC LIMIT %(rows)s
"""


class Notice(NamedTuple):
    """One thing that a citizen was told."""

    citizen_id: UUID
    kind: str
    expires_on: date
    lead_days: int
    points: int
    recorded_at: datetime

    @property
    def id(self) -> UUID:
        """An id that follows from what it is about."""
        about = f"{self.citizen_id.hex} {self.kind} {self.expires_on} {self.lead_days}"
        return derived_id(b"notice", about.encode())


class Seen(NamedTuple):
    """The last notice of a page, as far as the order goes by it."""

    recorded_at: datetime | str
    expires_on: date | str
    lead_days: int


NEWEST: Final = Seen("infinity", "infinity", 0)


def write_notices(
    database: Database, today: date, *, accounts_in_chunk: int = ACCOUNTS_IN_CHUNK
) -> BookedRun:
    """Tell everybody whose points expire soon, chunk after chunk, and return how many lots.

    Args:
        database: each chunk is a transaction of its own.
        today: Asia/Shanghai.
        accounts_in_chunk: how many accounts one transaction looks through.
    """

    def tell(connection: psycopg.Connection[Any], citizen_ids: list[UUID]) -> BookedRun:
        asked = {"citizen_ids": citizen_ids, "today": today}
        told = connection.execute(WRITE, asked).fetchall()
        return BookedRun(len(told), sum(points for (points,) in told))

    return book_in_chunks(database, tell, accounts_in_chunk)


def notices_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, *, rows: int, after: Seen = NEWEST
) -> Sequence[Notice]:
    """Return what a citizen was told, the newest first.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        rows: at most so many.
        after: the last one seen.
    """
    asked = {"citizen_id": citizen_id, "rows": rows, **after._asdict()}
    return [Notice._make(row) for row in connection.execute(READ, asked).fetchall()]
