"""What may count only once, whoever reports it: a bill, a document, an order, a meter's reading.

A claim is not the citizen's but the thing's: two people cannot both be credited for one invoice.
So its key is the thing alone, kept as a keyed digest that says nothing about it.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from service.activities.candidates import Candidate
from service.bulk import array_of
from service.keys import KeyRing
from service.methodologies.reasons import Reason

CLAIM = """
INSERT INTO once_claim (key_digest, citizen_id, activity_id)
SELECT key_digest, citizen_id, activity_id
FROM unnest(%s::bytea[], %s::uuid[], %s::uuid[]) AS claim (key_digest, citizen_id, activity_id)
ORDER BY key_digest
ON CONFLICT (key_digest) DO NOTHING RETURNING key_digest
"""

GIVE_BACK = "DELETE FROM once_claim WHERE key_digest = ANY(%s::bytea[])"

COUNTED_BEFORE = Reason("counted-before", {})


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that the acts of one part of a feed make, and which of them were free."""

    wanted: dict[str, bytes]
    """Activity id to the digest of what it claims."""
    free: dict[bytes, str]
    """Digest to the activity that claimed it now."""

    @classmethod
    def taken(
        cls, connection: psycopg.Connection[Any], keys: KeyRing, candidates: Sequence[Candidate]
    ) -> "Claims":
        """Claim what the acts need, each thing for the first act that names it."""
        wanted = {
            candidate.activity_id: digest
            for candidate in candidates
            if (digest := _digest_of(keys, candidate)) is not None
        }
        if not wanted:
            return cls({}, {})
        first: dict[bytes, Candidate] = {}
        for candidate in candidates:
            digest = wanted.get(candidate.activity_id)
            if digest is not None:
                first.setdefault(digest, candidate)
        rows = connection.execute(
            CLAIM,
            (
                list(first),
                array_of(candidate.citizen_id for candidate in first.values()),
                array_of(candidate.activity_id for candidate in first.values()),
            ),
        )
        return cls(wanted, {bytes(row[0]): first[bytes(row[0])].activity_id for row in rows})

    def refusal(self, candidate: Candidate) -> Reason | None:
        """Return why the act's claim fails, or None."""
        digest = self.wanted.get(candidate.activity_id)
        if digest is None or self.free.get(digest) == candidate.activity_id:
            return None
        return COUNTED_BEFORE

    def give_back(self, connection: psycopg.Connection[Any], refused: Sequence[Candidate]) -> None:
        """Free what an act claimed that was then refused for another reason."""
        freed = [
            digest
            for candidate in refused
            if (digest := self.wanted.get(candidate.activity_id)) is not None
            and self.free.get(digest) == candidate.activity_id
        ]
        if freed:
            connection.execute(GIVE_BACK, (freed,))


def _digest_of(keys: KeyRing, candidate: Candidate) -> bytes | None:
    if candidate.binding is None:
        return None
    methodology = candidate.binding.methodology
    key = methodology.once_key(candidate.data)
    if key is None:
        return None
    period = candidate.day.strftime("%Y-%m") if methodology.once_period == "month" else "ever"
    return hmac.digest(keys.index_key, f"once|{key}|{period}".encode(), "sha256")
