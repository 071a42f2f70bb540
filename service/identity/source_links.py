"""Whose account it is: the look-up that every line of a feed goes through.

A link holds an account from when it is made until it ends, and covers acts before it was made as
far back as nobody else's link did. An account is known here only by a keyed digest.
"""

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.keys import KeyRing
from service.pipelining import Connection

VISIBLE_END = 4
"""Characters of an account reference that its owner is shown again."""


class LinkSpan(NamedTuple):
    """The time during which an account was one citizen's."""

    citizen_id: UUID
    linked_at: datetime
    ended_at: datetime | None
    frozen: bool
    simulated: bool
    link_id: UUID
    covers_from: datetime | None
    """Acts before this moment were under another link of the account; None: under nobody's.
    It also remembers holders who have left and of whom nothing else is known."""

    def holds_at(self, moment: datetime) -> bool:
        """Say whether an act at this moment belongs to this link, however late it is reported."""
        return (self.covers_from is None or moment >= self.covers_from) and (
            self.ended_at is None or moment < self.ended_at
        )


def account_digest(keys: KeyRing, source_id: UUID, account_ref: str) -> bytes:
    """Return the keyed digest under which a source's account is stored.

    Args:
        keys: the ring; its newest account key is used, whose version is stored beside the digest.
        source_id: the same card number means another account at another source.
        account_ref: well-formed Unicode, exactly as the source and the citizen write it.
    """
    return account_digester(keys, source_id)(account_ref)


def account_digester(keys: KeyRing, source_id: UUID) -> Callable[[str], bytes]:
    """Return `account_digest` for one source, made ready for thousands of accounts."""
    secret, salt = keys.account_key.secret, source_id.bytes

    def digest(account_ref: str) -> bytes:
        return hmac.digest(secret, salt + account_ref.encode(), "sha256")

    return digest


def masked_account(account_ref: str) -> str:
    """Return what a citizen is shown of her account: its end."""
    shown = account_ref[-VISIBLE_END:] if len(account_ref) > 2 * VISIBLE_END else account_ref[-1:]
    return "****" + shown


_HOLDERS = """
SELECT account_digest, citizen_id, linked_at, ended_at, holder_state = 'frozen', simulated,
       id, covers_from
FROM unnest(%b::bytea[]) AS asked CROSS JOIN LATERAL (
    SELECT * FROM source_link
    WHERE source_id = %b AND account_digest = asked
      AND linked_at IS NOT NULL AND holder_state <> 'erased'
    OFFSET 0) AS link
ORDER BY linked_at
"""
# OFFSET 0 keeps the planner from reading the whole table when it takes 2,500 accounts for many.


def holders_of(
    connection: Connection, source_id: UUID, digests: Sequence[bytes]
) -> dict[bytes, tuple[LinkSpan, ...]]:
    """Return who holds and held each account, oldest first, with one statement.

    Accounts that nobody linked are missing from the answer. Ended links are in it, those of
    citizens who have left are not.
    """
    found: dict[bytes, tuple[LinkSpan, ...]] = {}
    # All at once: psycopg hands rows over one by one at eight times the price.
    rows = connection.execute(_HOLDERS, [list(digests), source_id], binary=True).fetchall()
    for row in rows:
        digest, span = row[0], LinkSpan._make(row[1:])
        earlier = found.get(digest)
        found[digest] = (span,) if earlier is None else (*earlier, span)
    return found


def holder_at(spans: Sequence[LinkSpan], moment: datetime) -> LinkSpan | None:
    """Return the link that held the account when an act happened, ended since or not."""
    for span in reversed(spans):
        if span.holds_at(moment):
            return span
    return None
