"""What a citizen had at a moment that has passed: the fold of her transfers up to it, for ever.

A writer takes `recorded_at` under the lock of her account, and it only grows. A reader takes that
lock too, so it has waited for the writer under way, and leaves there the moment it asks for. So
nobody who comes later can record anything up to that moment: the answer never changes.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from service.ledger.balances import LotLine
from service.ledger.chart import fold_in_sql
from service.ledger.errors import AsOfInFuture

SETTLE: Final = """
UPDATE account SET moved_at = greatest(moved_at, %(as_of)s)
WHERE citizen_id = %(citizen_id)s AND %(as_of)s <= moved_after(moved_at)
"""
"""By the database's clock, which is the writers'; should it be set back, `moved_at` is not."""

OPEN_ACCOUNT: Final = "INSERT INTO account (citizen_id) VALUES (%s) ON CONFLICT DO NOTHING"

OWED_AS_OF: Final = """
SELECT coalesce(sum(points), 0)::bigint, coalesce(sum(reduction_g), 0)::bigint
FROM (
    SELECT points, reduction_g FROM posting
    WHERE citizen_id = %(citizen_id)s AND recorded_at <= %(as_of)s AND kind = 'invalidate'
    UNION ALL
    SELECT -points, -reduction_g FROM transfer
    WHERE citizen_id = %(citizen_id)s AND recorded_at <= %(as_of)s
      AND kind IN ('invalidate', 'recover')) AS owing
"""


def _folded(field: str) -> str:
    """Return the SQL for a column of a lot."""
    place, _, unit = field.rpartition("_")
    return f"({fold_in_sql(place, 'points' if unit == 'points' else 'reduction_g')})::bigint"


LOTS_AS_OF: Final = f"""
SELECT expires_on, {", ".join(map(_folded, LotLine._fields[1:]))}
FROM transfer WHERE citizen_id = %s AND recorded_at <= %s
GROUP BY expires_on
"""
"""Rows as `LotLine`, like those of the present."""


def settle_history(connection: psycopg.Connection[Any], citizen_id: UUID, as_of: datetime) -> None:
    """Wait until everything up to a moment is written; before anything is read of it.

    Args:
        connection: inside the caller's transaction, which keeps writers waiting until it ends.
        citizen_id: whose; an account that nobody has opened is opened, or there were no lock.
        as_of: aware.

    Raises:
        AsOfInFuture: the moment has not come yet.
    """
    asked = {"as_of": as_of, "citizen_id": citizen_id}
    if connection.execute(SETTLE, asked).rowcount:
        return
    connection.execute(OPEN_ACCOUNT, (citizen_id,))
    if not connection.execute(SETTLE, asked).rowcount:
        raise AsOfInFuture("Please ask for a moment that has passed.")


def lots_as_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, as_of: datetime
) -> list[tuple[Any, ...]]:
    """Return a citizen's lots after all her transfers up to a moment, each as a `LotLine`."""
    return connection.execute(LOTS_AS_OF, (citizen_id, as_of)).fetchall()


def owed_as_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, as_of: datetime
) -> tuple[int, int]:
    """Return the points and grams of claw-backs that were not yet recovered at a moment."""
    asked = {"citizen_id": citizen_id, "as_of": as_of}
    row = connection.execute(OWED_AS_OF, asked).fetchone()
    return (row[0], row[1]) if row else (0, 0)
