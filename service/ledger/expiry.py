"""Booking what time has done: the rest of a lapsed lot becomes expired.

Balances leave lapsed lots out by themselves, so this decides nothing and may run late, twice, or
stop half-way: what is left is booked by the next run.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import psycopg

from service import clock
from service.db import Database
from service.ledger.accounts import lock_accounts
from service.ledger.errors import ExpiryInFuture

ACCOUNTS_IN_CHUNK = 2_000
"""Accounts looked through in one transaction: more would only hold their locks for longer."""

NEXT_ACCOUNTS = """
SELECT citizen_id FROM account WHERE citizen_id > %s ORDER BY citizen_id LIMIT %s
"""

WITH_LAPSED_LOTS = """
SELECT DISTINCT replace(citizen_id::text, '-', '') FROM lot
WHERE citizen_id = ANY(%s) AND expires_on < %s AND (available_points > 0 OR available_g > 0)
"""

# A lot can lapse again, when a late certification still falls into it: the id is made of what was
# expired before, so each booking has its own, and the same one whoever books it.
BOOK = """
WITH lapsed AS (
    SELECT citizen_id, expires_on, available_points, available_g,
           sha256(convert_to(concat_ws('|', 'expire', citizen_id, to_char(expires_on, 'YYYY-MM-DD'),
                                       expired_points, expired_g), 'UTF8')) AS digest
    FROM lot
    WHERE citizen_id = ANY(%(citizens)s::uuid[]) AND expires_on < %(today)s
      AND (available_points > 0 OR available_g > 0)
), booked AS (
    INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g)
    SELECT citizen_id,
           encode(set_byte(set_byte(substr(digest, 1, 16), 6, get_byte(digest, 6) & 15 | 128),
                           8, get_byte(digest, 8) & 63 | 128), 'hex')::uuid,
           'expire', expires_on, available_points, available_g
    FROM lapsed ORDER BY citizen_id, expires_on
    RETURNING citizen_id, expires_on, points, reduction_g
), moved AS (
    UPDATE lot SET available_points = lot.available_points - booked.points,
                   available_g = lot.available_g - booked.reduction_g,
                   expired_points = lot.expired_points + booked.points,
                   expired_g = lot.expired_g + booked.reduction_g
    FROM booked
    WHERE lot.citizen_id = booked.citizen_id AND lot.expires_on = booked.expires_on
    RETURNING booked.points, booked.reduction_g
)
SELECT count(*), coalesce(sum(points), 0)::bigint, coalesce(sum(reduction_g), 0)::bigint FROM moved
"""

FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class ExpiryRun:
    """What one run has booked."""

    lots: int = 0
    points: int = 0
    reduction_g: int = 0

    def __add__(self, other: "ExpiryRun") -> "ExpiryRun":
        return ExpiryRun(
            self.lots + other.lots,
            self.points + other.points,
            self.reduction_g + other.reduction_g,
        )


def expire_lapsed_lots(
    database: Database, today: date, *, accounts_in_chunk: int = ACCOUNTS_IN_CHUNK
) -> ExpiryRun:
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
    run, after = ExpiryRun(), FIRST
    while True:
        with database.raw_transaction() as connection:
            accounts = [
                row[0] for row in connection.execute(NEXT_ACCOUNTS, (after, accounts_in_chunk))
            ]
            run += _booked(connection, accounts, today)
        if len(accounts) < accounts_in_chunk:
            return run
        after = accounts[-1]


def _booked(connection: psycopg.Connection[Any], accounts: list[UUID], today: date) -> ExpiryRun:
    """Lock those of the accounts that have lapsed lots, and book these."""
    citizens = [row[0] for row in connection.execute(WITH_LAPSED_LOTS, (accounts, today))]
    if not citizens:
        return ExpiryRun()
    lock_accounts(connection, citizens)
    # Read once more under the locks: somebody else may have booked them in the meantime.
    row = connection.execute(BOOK, {"citizens": citizens, "today": today}).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return ExpiryRun(*row)
