"""A citizen's statement: every transfer of hers, for ever."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from service.ids import TRANSFER, IdUnknown, uuid_of

_COLUMNS = "id, kind, points, reduction_g, expires_on, recorded_at"

# No index serves this order: every issue would pay for it, and one citizen's transfers are few.
STATEMENT = f"""
SELECT {_COLUMNS} FROM transfer
WHERE citizen_id = %s
ORDER BY recorded_at DESC, id DESC LIMIT %s
"""

STATEMENT_AFTER = f"""
SELECT {_COLUMNS} FROM transfer
WHERE citizen_id = %s AND (recorded_at, id) < (%s, %s)
ORDER BY recorded_at DESC, id DESC LIMIT %s
"""

ONE_TRANSFER = f"SELECT {_COLUMNS} FROM transfer WHERE citizen_id = %s AND id = %s"


class TransferLine(NamedTuple):
    """One line of a statement."""

    id: UUID
    kind: str
    points: int
    reduction_g: int
    expires_on: date
    recorded_at: datetime


def statement_of(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    *,
    rows: int,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[TransferLine]:
    """Return a citizen's transfers, the newest first.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        rows: at most so many.
        after: `recorded_at` and `id` of the last line seen; None: from the newest.
    """
    if after is None:
        found = connection.execute(STATEMENT, (citizen_id, rows))
    else:
        found = connection.execute(STATEMENT_AFTER, (citizen_id, *after, rows))
    return [TransferLine._make(row) for row in found.fetchall()]


def transfer_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, transfer_id: UUID
) -> TransferLine:
    """Return one of a citizen's transfers.

    Raises:
        IdUnknown: she has no such transfer; whether somebody else has is never said.
    """
    row = connection.execute(ONE_TRANSFER, (citizen_id, transfer_id)).fetchone()
    if row is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return TransferLine._make(row)


def named_transfer(
    connection: psycopg.Connection[Any], citizen_id: UUID, public_transfer_id: str
) -> TransferLine:
    """Return the transfer that a caller names as ``trf_…``.

    Raises:
        IdUnknown: as `transfer_of`.
    """
    return transfer_of(connection, citizen_id, uuid_of(TRANSFER, public_transfer_id))
