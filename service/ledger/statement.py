"""A citizen's statement: every transfer of hers, for ever."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from service.ids import TRANSFER, IdUnknown, uuid_of
from service.ledger.history import settle_history

_COLUMNS = (
    "id, kind, points, reduction_g, expires_on, recorded_at, line, posting_id, hold_id, of_id"
)

# No index serves this order: every issue would pay for it, and one citizen's transfers are few.
STATEMENT = f"""
SELECT {_COLUMNS} FROM transfer
WHERE citizen_id = %(citizen_id)s AND recorded_at <= %(as_of)s
ORDER BY recorded_at DESC, line DESC, id DESC LIMIT %(rows)s
"""

STATEMENT_AFTER = f"""
SELECT {_COLUMNS} FROM transfer
WHERE citizen_id = %(citizen_id)s AND recorded_at <= %(as_of)s
  AND (recorded_at, line, id) < (%(recorded_at)s, %(line)s, %(id)s)
ORDER BY recorded_at DESC, line DESC, id DESC LIMIT %(rows)s
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
    line: int
    posting_id: UUID | None
    hold_id: UUID | None
    of_id: UUID | None


class Seen(NamedTuple):
    """The last line of a page, as far as the order goes by it."""

    recorded_at: datetime
    line: int
    id: UUID


def statement_of(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    *,
    rows: int,
    after: Seen | None = None,
    as_of: datetime | None = None,
) -> Sequence[TransferLine]:
    """Return a citizen's transfers, the newest first.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        rows: at most so many.
        after: the last line seen; None: from the newest.
        as_of: only what was recorded up to this moment; None: everything.

    Raises:
        AsOfInFuture: the moment has not come yet.
    """
    asked: dict[str, Any] = {"citizen_id": citizen_id, "rows": rows, "as_of": as_of or "infinity"}
    if as_of is not None:
        settle_history(connection, citizen_id, as_of)
    if after is None:
        found = connection.execute(STATEMENT, asked)
    else:
        found = connection.execute(STATEMENT_AFTER, asked | after._asdict())
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
