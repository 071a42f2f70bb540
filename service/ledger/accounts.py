"""The lock under which a citizen's points move."""

from collections.abc import Iterable
from typing import Any

import psycopg

from service.bulk import array_of

LOCK_ACCOUNTS = """
INSERT INTO account (citizen_id)
SELECT id FROM unnest(%s::uuid[]) AS citizen (id) ORDER BY id
ON CONFLICT (citizen_id) DO UPDATE SET version = account.version + 1
"""


def lock_accounts(connection: psycopg.Connection[Any], citizen_ids: Iterable[str]) -> None:
    """Open the accounts that are missing and lock all of them until the transaction ends.

    Taken in id order with an ordered upsert, so that two callers with the same citizens wait for
    each other and never form a circle. What is read in later statements is true until commit.

    Args:
        connection: inside the caller's transaction.
        citizen_ids: as hexadecimal text; repeated ones are taken once.
    """
    connection.execute(LOCK_ACCOUNTS, (array_of(sorted(set(citizen_ids))),))
