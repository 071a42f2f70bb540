"""Booking what time has done: the rest of a lapsed lot becomes expired.

Balances leave lapsed lots out by themselves, so this decides nothing and may run late, twice, or
stop half-way: what is left is booked by the next run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

import psycopg

from service import clock
from service.bulk import array_of
from service.db import Database
from service.ledger.accounts import Accounts, lock_accounts
from service.ledger.errors import ExpiryInFuture
from service.ledger.transfers import NewTransfer, derived_id, write_transfers

ACCOUNTS_IN_CHUNK = 2_000
"""Accounts looked through in one transaction: more would only hold their locks for longer."""

NEXT_ACCOUNTS = """
SELECT citizen_id FROM account WHERE citizen_id > %s ORDER BY citizen_id LIMIT %s
"""

WITH_LAPSED_LOTS = """
SELECT DISTINCT encode(uuid_send(citizen_id), 'hex') FROM lot
WHERE citizen_id = ANY(%s) AND expires_on < %s AND (available_points > 0 OR available_g > 0)
"""

LAPSED_LOTS = """
SELECT encode(uuid_send(citizen_id), 'hex'), expires_on::text, available_points, available_g,
       expired_points, expired_g
FROM lot
WHERE citizen_id = ANY(%s::uuid[]) AND expires_on < %s
  AND (available_points > 0 OR available_g > 0)
ORDER BY citizen_id, expires_on
"""

FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class BookedRun:
    """What one run has booked."""

    lots: int = 0
    points: int = 0
    reduction_g: int = 0

    def __add__(self, other: "BookedRun") -> "BookedRun":
        return BookedRun(
            self.lots + other.lots,
            self.points + other.points,
            self.reduction_g + other.reduction_g,
        )


Booking = Callable[[psycopg.Connection[Any], list[UUID]], BookedRun]


def expire_lapsed_lots(
    database: Database, today: date, *, accounts_in_chunk: int = ACCOUNTS_IN_CHUNK
) -> BookedRun:
    """Book the expiry of everything that lapsed before a day, chunk after chunk.

    Args:
        database: each chunk is a transaction of its own.
        today: Asia/Shanghai; a lot lapses when its last day is over.
        accounts_in_chunk: how many accounts one transaction looks through.

    Raises:
        ExpiryInFuture: the day has not come yet.
    """
    if today > clock.today():
        raise ExpiryInFuture(
            "Points live to the end of their day, and {day} has not come yet.",
            day=today.isoformat(),
        )

    def expire_chunk(connection: psycopg.Connection[Any], citizen_ids: list[UUID]) -> BookedRun:
        citizens = [row[0] for row in connection.execute(WITH_LAPSED_LOTS, (citizen_ids, today))]
        if not citizens:
            return BookedRun()
        return expire(connection, lock_accounts(connection, citizens), citizens, today)

    return book_in_chunks(database, expire_chunk, accounts_in_chunk)


def book_in_chunks(
    database: Database, book: Booking, accounts_in_chunk: int = ACCOUNTS_IN_CHUNK
) -> BookedRun:
    """Let every account be booked, so many in a transaction, and return what that came to."""
    run, after = BookedRun(), FIRST
    while True:
        with database.raw_transaction() as connection:
            rows = connection.execute(NEXT_ACCOUNTS, (after, accounts_in_chunk))
            accounts = [row[0] for row in rows]
            run += book(connection, accounts)
        if len(accounts) < accounts_in_chunk:
            return run
        after = accounts[-1]


def expire(
    connection: psycopg.Connection[Any], accounts: Accounts, citizen_ids: list[str], today: date
) -> BookedRun:
    """Book the expiry of citizens' lapsed lots, set-wise, under the locks of their accounts."""
    # Read under the locks: somebody else may have booked them in the meantime.
    lapsed = connection.execute(LAPSED_LOTS, (array_of(citizen_ids), today)).fetchall()
    write_transfers(connection, accounts, [_expiry(*lot) for lot in lapsed])
    return BookedRun(len(lapsed), sum(lot[2] for lot in lapsed), sum(lot[3] for lot in lapsed))


def _expiry(
    citizen_id: str, expires_on: str, points: int, grams: int, points_before: int, g_before: int
) -> NewTransfer:
    # A lot can lapse again, when something comes back into it: the id is made of what was expired
    # before, so each booking has its own, and the same one whoever books it.
    named = f"{citizen_id} {expires_on} {points_before} {g_before}"
    transfer_id = derived_id(b"expire", named.encode()).hex
    return NewTransfer(citizen_id, transfer_id, "expire", expires_on, points, grams)
