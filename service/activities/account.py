"""A citizen's account: what the ledger holds for her, and what her waiting activities would give.

The ledger does not know what waits for certification, so the two are read together here, with one
statement.
"""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from service.ledger.balances import LOTS_OF, Balance, LotLine, balance_from

READ_ACCOUNT = f"""{LOTS_OF}
UNION ALL
SELECT NULL, NULL, coalesce(sum(points), 0)::bigint, coalesce(sum(reduction_g), 0)::bigint,
       NULL, NULL, NULL, NULL
FROM pending_activity WHERE citizen_id = %s
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
    expiring: list[Expiring]


class AccountGrams(msgspec.Struct):
    """A citizen's grams; `certified = available + held + expired + retired`."""

    certified: int
    pending: int
    available: int
    held: int
    expired: int
    retired: int


class Account(msgspec.Struct):
    """A citizen's account on one day."""

    points: AccountPoints
    reduction_g: AccountGrams

    def as_json(self) -> bytes:
        """Return the account as the contract writes it."""
        return _encode(self)


def account_of(
    reader: psycopg.Connection[Any] | psycopg.Cursor[Any], citizen_id: UUID, today: date
) -> Account:
    """Return a citizen's account on a day (Asia/Shanghai), with one statement."""
    rows = reader.execute(READ_ACCOUNT, (citizen_id, citizen_id), prepare=True).fetchall()
    *lots, pending = rows
    balance = balance_from(map(LotLine._make, lots), today)
    return _account(balance, pending[2], pending[3])


def _account(balance: Balance, pending_points: int, pending_g: int) -> Account:
    return Account(
        AccountPoints(
            balance.available_points,
            balance.held_points,
            pending_points,
            [Expiring(day, points) for day, points in balance.expiring],
        ),
        AccountGrams(
            balance.certified_g,
            pending_g,
            balance.available_g,
            balance.held_g,
            balance.expired_g,
            balance.retired_g,
        ),
    )
