"""What opens, pauses, ends or limits an offer: asked for by one person."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg

from service.rewards.errors import (
    ChangeRequestUnknown,
)
from service.rewards.offers.catalogue import ask_version, terms_from
from service.rewards.offers.drafting import Author, locked_offer

Kind = Literal["activation", "pause", "retirement", "limits"]
Verdict = Literal["approved", "rejected"]

STORE_REQUEST: Final = """
INSERT INTO change_request (id, offer_id, kind, offer_version, expected_current, target, reason,
    requested_by_kind, requested_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_READ = """
SELECT r.id, r.offer_id, o.partner_id, r.kind, r.offer_version, r.expected_current, r.target,
       r.reason, r.requested_by_kind, r.requested_by, r.recorded_at,
       d.decision, d.reason, d.decided_by, d.recorded_at
FROM change_request r JOIN offer o ON o.id = r.offer_id
LEFT JOIN change_decision d ON d.change_request_id = r.id
"""

READ_PAGE: Final = (
    _READ
    + """
WHERE (%(partner_id)s::uuid IS NULL OR o.partner_id = %(partner_id)s)
  AND (%(offer_id)s::uuid IS NULL OR r.offer_id = %(offer_id)s)
  AND (%(state)s::text IS NULL OR coalesce(d.decision, 'open') = %(state)s)
  AND (r.recorded_at, r.id) < (%(recorded_at)s::timestamptz, %(last)s::uuid)
ORDER BY r.recorded_at DESC, r.id DESC LIMIT %(rows)s
"""
)

LAST_ID: Final = UUID(int=2**128 - 1)


class Wish(NamedTuple):
    """A change that somebody wants."""

    kind: Kind
    offer_version: int | None
    expected_current: Mapping[str, Any]
    target: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A change that was asked for, and what was decided."""

    id: UUID
    offer_id: UUID
    partner_id: UUID
    kind: Kind
    offer_version: int | None
    expected_current: dict[str, Any]
    target: dict[str, Any]
    reason: str
    requested_by_kind: Literal["partner", "staff"]
    requested_by: UUID
    recorded_at: datetime
    decision: Verdict | None
    decision_reason: str | None
    decided_by: UUID | None
    decided_at: datetime | None

    @property
    def position(self) -> list[str | int]:
        """Its place in a list."""
        return [self.recorded_at.isoformat(), self.id.hex]


def ask_for(
    connection: psycopg.Connection[Any], author: Author, offer_id: UUID, wish: Wish
) -> ChangeRequest:
    """Ask for a change; nothing changes yet.

    Raises:
        OfferUnknown: there is none by this id, or it is another partner's.
        OfferVersionUnknown: the version to be activated is not there.
    """
    locked_offer(connection, author, offer_id)
    if wish.offer_version is not None:
        terms_from(ask_version(connection, offer_id, wish.offer_version))
    request_id = uuid4()
    stored = (
        request_id,
        offer_id,
        wish.kind,
        wish.offer_version,
        json.dumps(wish.expected_current),
        json.dumps(wish.target),
        wish.reason,
        *author,
    )
    connection.execute(STORE_REQUEST, stored)
    return request_by_id(connection, request_id)


def request_by_id(
    connection: psycopg.Connection[Any], request_id: UUID, partner_id: UUID | None = None
) -> ChangeRequest:
    """Return a request; a partner's own, if one is named.

    Raises:
        ChangeRequestUnknown
    """
    row = connection.execute(_READ + "WHERE r.id = %s", (request_id,)).fetchone()
    if row is None or partner_id not in {None, row[2]}:
        raise ChangeRequestUnknown("There is no such request, or it is not yours to see.")
    return ChangeRequest(*row)


def change_requests(
    connection: psycopg.Connection[Any],
    *,
    rows: int,
    after: list[str | int] | None,
    partner_id: UUID | None = None,
    offer_id: UUID | None = None,
    state: str | None = None,
) -> list[ChangeRequest]:
    """Return requests, the newest first.

    Args:
        connection: inside the caller's transaction.
        rows: at most so many.
        after: the position of the last one seen.
        partner_id: only about this partner's offers.
        offer_id: only about this offer.
        state: `open`, `approved` or `rejected`.
    """
    recorded_at, last = after or ("infinity", LAST_ID.hex)
    asked = {
        "partner_id": partner_id,
        "offer_id": offer_id,
        "state": state,
        "recorded_at": recorded_at,
        "last": last,
        "rows": rows,
    }
    return [ChangeRequest(*row) for row in connection.execute(READ_PAGE, asked)]
