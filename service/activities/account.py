"""A citizen's account: what the ledger holds for her, and what her waiting activities would give.

The ledger does not know what waits for certification, so the two are read together here: as they
are, with one statement, or as they were at a moment that has passed.

Activities and verdicts carry the database's own time, which, unlike `moved_at`, goes back when that
clock is set back: what is recorded after such a step may still change how much was pending then.
"""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from service import clock
from service.ledger.balances import LOTS_OF, Balance, balance_from
from service.ledger.history import lots_as_of, owed_as_of, settle_history
from service.pipelining import Reader

READ_ACCOUNT = f"""{LOTS_OF}
UNION ALL
SELECT NULL, waiting.points, waiting.reduction_g, owed_points, owed_g,
       NULL, NULL, NULL, NULL, NULL, NULL
FROM (
    SELECT coalesce(sum(points), 0)::bigint AS points,
           coalesce(sum(reduction_g), 0)::bigint AS reduction_g
    FROM pending_activity WHERE citizen_id = %(citizen_id)s) AS waiting
LEFT JOIN account ON account.citizen_id = %(citizen_id)s
"""

# Whichever verdict was the last one then; the first is the activity's own.
PENDING_AS_OF = """
SELECT coalesce(sum(points), 0)::bigint, coalesce(sum(reduction_g), 0)::bigint
FROM activity
WHERE citizen_id = %(citizen_id)s AND recorded_at <= %(as_of)s
  AND coalesce(
      (SELECT later.verdict FROM verdict AS later
       WHERE later.citizen_id = %(citizen_id)s AND later.activity_id = activity.id
         AND later.recorded_at <= %(as_of)s
       ORDER BY later.seq DESC LIMIT 1),
      activity.verdict) = 'pending'
"""

_encode = msgspec.json.Encoder().encode


class Expiring(msgspec.Struct):
    """Points and the last day on which they can be spent."""

    date: date
    points: int


class AccountPoints(msgspec.Struct):
    """A citizen's points."""

    available: int
    held: int
    pending: int
    owed: int
    expiring: list[Expiring]


class AccountGrams(msgspec.Struct):
    """A citizen's grams; what was certified has one fate, gram by gram."""

    certified: int
    pending: int
    available: int
    held: int
    redeemed: int
    pooled: int
    expired: int
    invalidated: int
    retired: int
    owed: int


class Account(msgspec.Struct):
    """A citizen's account on one day."""

    points: AccountPoints
    reduction_g: AccountGrams

    def as_json(self) -> bytes:
        """Return the account as the contract writes it."""
        return _encode(self)


class Beside(NamedTuple):
    """What a citizen has beside her lots."""

    pending_points: int
    pending_g: int
    owed_points: int | None
    """None: she has no account yet."""
    owed_g: int | None


def account_of(reader: psycopg.Connection[Any] | Reader, citizen_id: UUID, today: date) -> Account:
    """Return a citizen's account on a day (Asia/Shanghai), with one statement."""
    asked = {"citizen_id": citizen_id}
    *lots, beside = reader.execute(READ_ACCOUNT, asked).fetchall()
    return _account(balance_from(lots, today), Beside._make(beside[1:5]))


def account_as_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, as_of: datetime
) -> Account:
    """Return a citizen's account as it was after everything recorded up to a moment.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        as_of: aware; lots count as expired by its Asia/Shanghai day.

    Raises:
        AsOfInFuture: the moment has not come yet.
    """
    settle_history(connection, citizen_id, as_of)
    lots = lots_as_of(connection, citizen_id, as_of)
    owed = owed_as_of(connection, citizen_id, as_of)
    asked = {"citizen_id": citizen_id, "as_of": as_of}
    points, grams = connection.execute(PENDING_AS_OF, asked).fetchall()[0]
    return _account(balance_from(lots, clock.day_of(as_of)), Beside(points, grams, *owed))


def _account(balance: Balance, beside: Beside) -> Account:
    return Account(
        AccountPoints(
            balance.available_points,
            balance.held_points,
            beside.pending_points,
            beside.owed_points or 0,
            [Expiring(day, points) for day, points in balance.expiring],
        ),
        AccountGrams(
            balance.certified_g,
            beside.pending_g,
            balance.available_g,
            balance.held_g,
            balance.redeemed_g,
            balance.pooled_g,
            balance.expired_g,
            balance.invalidated_g,
            balance.retired_g,
            beside.owed_g or 0,
        ),
    )
