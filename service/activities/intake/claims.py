"""What may count only once: a bill or an invoice whoever reports it, an order of one platform.

A claim is not the citizen's but the thing's: two people cannot both be credited for one invoice.
So its key is the thing alone, kept as a keyed digest that says nothing about it.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from service.activities.intake.candidates import Candidate
from service.bulk import array_of
from service.keys import KeyRing
from service.methodologies.reasons import Reason
from service.pipelining import Connection

CLAIM = """
INSERT INTO once_claim (key_digest, citizen_id, activity_id)
SELECT key_digest, citizen_id, activity_id
FROM unnest(%s::bytea[], %s::uuid[], %s::uuid[]) AS claim (key_digest, citizen_id, activity_id)
ORDER BY key_digest
ON CONFLICT (key_digest) DO NOTHING RETURNING key_digest
"""

GIVE_BACK = "DELETE FROM once_claim WHERE key_digest = ANY(%s::bytea[])"

COUNTED_BEFORE = Reason("counted-before", {})

_SOMEBODY: Final = object()
"""Holds what was claimed before this part of the feed."""


class Claims:
    """The claims that the acts of one part of a feed make, and who has which of them."""

    def __init__(self, wanted: dict[str, bytes], first: dict[bytes, Candidate]) -> None:
        self._wanted = wanted
        """Activity id to the digest of what it claims."""
        self._booked = first
        """Digest to the act that stands in the table for it; each was free."""
        self._holders: dict[bytes, Candidate | None] = {**first}
        """The same, as the decisions go; None: it is free again."""

    @classmethod
    def taken(
        cls,
        connection: Connection,
        keys: KeyRing,
        source_id: UUID | None,
        candidates: Sequence[Candidate],
    ) -> "Claims":
        """Claim what the acts of one source need, each thing for the first act that names it."""
        wanted: dict[str, bytes] = {}
        first: dict[bytes, Candidate] = {}
        for candidate in candidates:
            digest = _digest_of(keys, source_id, candidate)
            if digest is not None:
                wanted[candidate.activity_id] = digest
                first.setdefault(digest, candidate)
        return cls(wanted, _booked(connection, first) if first else {})

    def refusal(self, candidate: Candidate) -> Reason | None:
        """Return why the act's claim fails, or None; what an act let go of is the next one's."""
        digest = self._wanted.get(candidate.activity_id)
        if digest is None:
            return None
        holder = self._holders.get(digest, _SOMEBODY)
        if holder is None:
            self._holders[digest] = candidate
        return COUNTED_BEFORE if holder is not None and holder is not candidate else None

    def let_go(self, candidate: Candidate) -> None:
        """Free what an act has claimed and that was then refused for another reason."""
        digest = self._wanted.get(candidate.activity_id)
        if digest is not None and self._holders.get(digest) is candidate:
            self._holders[digest] = None

    def settle(self, connection: Connection) -> None:
        """Write down who has what, now that everything is decided."""
        moved = {
            digest: self._holders[digest]
            for digest, candidate in self._booked.items()
            if self._holders[digest] is not candidate
        }
        if moved:
            connection.execute(GIVE_BACK, (list(moved),))
            _booked(connection, {digest: each for digest, each in moved.items() if each})


def _booked(connection: Connection, claims: Mapping[bytes, Candidate]) -> dict[bytes, Candidate]:
    """Write claims down and return those that were free."""
    rows = connection.execute(
        CLAIM,
        (
            list(claims),
            array_of(candidate.citizen_id for candidate in claims.values()),
            array_of(candidate.activity_id for candidate in claims.values()),
        ),
    )
    return {bytes(row[0]): claims[bytes(row[0])] for row in rows}


def _digest_of(keys: KeyRing, source_id: UUID | None, candidate: Candidate) -> bytes | None:
    if candidate.binding is None:
        return None
    methodology = candidate.binding.methodology
    key = methodology.once_key(candidate.data)
    if key is None:
        return None
    period = candidate.day.strftime("%Y-%m") if methodology.once_period == "month" else "ever"
    once = methodology.once
    by = source_id if once is not None and once.numbered_by == "source" else "world"
    return hmac.digest(keys.index_key, f"once|{by}|{key}|{period}".encode(), "sha256")
