"""The lock under which a citizen's points move."""

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

from service.bulk import array_of
from service.pipelining import Connection, Rows

# In an upsert's SET, `moved_after` reads the clock after the lock is held. That, and growing by a
# microsecond where the clock does not, makes `moved_at` the order of a citizen's transfers.
_TAKE: Final = """
ON CONFLICT (citizen_id) DO UPDATE SET
    version = account.version + 1,
    moved_at = moved_after(account.moved_at)
RETURNING encode(uuid_send(citizen_id), 'hex'), secret, moved_at::text,
          timestamptz_send(moved_at), owed_points, owed_g
"""

LOCK_ACCOUNTS: Final = f"""
INSERT INTO account (citizen_id)
SELECT id FROM unnest(%s::uuid[]) AS citizen (id) ORDER BY id
{_TAKE}"""

LOCK_ACCOUNT: Final = f"INSERT INTO account (citizen_id) VALUES (%s) {_TAKE}"


class LockedAccount(NamedTuple):
    """A citizen's account, locked until the transaction ends."""

    citizen_id: str
    """In hexadecimal."""
    secret: bytes | None
    """None: she was erased."""
    moved_at: str
    """What transfers of this transaction are recorded at, as PostgreSQL reads it."""
    moved_at_sent: bytes
    """The same in 8 bytes, as it is committed to."""
    owed_points: int
    owed_g: int


class Accounts:
    """The accounts that a transaction has locked, asked for when they are first needed.

    In a pipeline the lock is thus on its way together with the questions that follow it.
    """

    def __init__(self, *taken: Rows) -> None:
        """Keep the answers to be read."""
        self._taken = taken
        self._by_citizen: dict[str, LockedAccount] | None = None

    def __getitem__(self, citizen_id: str) -> LockedAccount:
        """Return a locked account by the citizen's id in hexadecimal."""
        return self._read()[citizen_id]

    def erased(self) -> set[str]:
        """Return the citizens among them who were erased."""
        accounts = self._read().values()
        return {account.citizen_id for account in accounts if account.secret is None}

    def _read(self) -> dict[str, LockedAccount]:
        if self._by_citizen is None:
            rows = (row for cursor in self._taken for row in cursor.fetchall())
            self._by_citizen = {row[0]: LockedAccount._make(row) for row in rows}
        return self._by_citizen

    def owe(self, citizen_id: str, points: int, reduction_g: int) -> None:
        """Keep up with a change of what she owes, for what follows under the same lock."""
        accounts = self._read()
        account = accounts[citizen_id]
        accounts[citizen_id] = account._replace(
            owed_points=account.owed_points + points, owed_g=account.owed_g + reduction_g
        )


def lock_accounts(connection: Connection, citizen_ids: Iterable[str]) -> Accounts:
    """Open the accounts that are missing and lock all of them until the transaction ends.

    Taken in id order with an ordered upsert, so that two callers with the same citizens wait for
    each other and never form a circle. What is read in later statements is true until commit.

    Args:
        connection: inside the caller's transaction.
        citizen_ids: as hexadecimal text; repeated ones are taken once.
    """
    wanted = sorted(set(citizen_ids))
    if len(wanted) == 1:
        return Accounts(connection.execute(LOCK_ACCOUNT, wanted))
    return Accounts(connection.execute(LOCK_ACCOUNTS, (array_of(wanted),)))


def lock_account(connection: Connection, citizen_id: UUID) -> Accounts:
    """Lock one citizen's account, opening it if it is missing."""
    return Accounts(connection.execute(LOCK_ACCOUNT, (citizen_id.hex,)))
