"""Which offers somebody may see: what is open to everybody, and a partner's own in every state."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.rewards.errors import OfferUnknown, OfferVersionUnknown
from service.rewards.offers.catalogue import OfferState, parsed
from service.rewards.offers.terms import Terms

# The terms in force, or the newest while none ever were.
_READ: Final = """
SELECT offer.id, offer.partner_id, offer.name, offer.state, offer.active_version, newest.version,
       offer.recorded_at, shown.version, shown.terms::text
FROM offer
JOIN partner ON partner.id = offer.partner_id
CROSS JOIN LATERAL (
    SELECT max(version) AS version FROM offer_version WHERE offer_id = offer.id) AS newest
JOIN offer_version AS shown ON shown.offer_id = offer.id
    AND shown.version = coalesce(offer.active_version, newest.version)
"""

_IS_MINE: Final = "(%(sees_all)s::boolean OR offer.partner_id = %(partner_id)s::uuid)"

READ_PAGE: Final = f"""{_READ}
WHERE ({_IS_MINE}
       OR (offer.state = 'active' AND partner.state = 'active'
           AND (shown.terms ->> 'valid_to')::timestamptz > %(now)s::timestamptz))
  AND (%(state)s::text IS NULL OR offer.state = %(state)s)
  AND (%(partner)s::text IS NULL OR partner.name = %(partner)s)
  AND (offer.recorded_at, offer.id) < (%(recorded_at)s::timestamptz, %(last)s::uuid)
ORDER BY offer.recorded_at DESC, offer.id DESC LIMIT %(rows)s
"""

# What was open once stays readable: redemptions name it.
READ_ONE: Final = f"""{_READ}
WHERE offer.id = %(offer_id)s AND ({_IS_MINE} OR offer.active_version IS NOT NULL)
"""

READ_VERSION: Final = f"""
SELECT offer_version.offer_id, offer_version.version, offer_version.terms::text
FROM offer_version JOIN offer ON offer.id = offer_version.offer_id
WHERE offer_version.offer_id = %(offer_id)s AND offer_version.version = %(version)s
  AND ({_IS_MINE} OR EXISTS (
    SELECT FROM change_request JOIN change_decision ON change_request_id = change_request.id
    WHERE change_request.offer_id = offer.id AND kind = 'activation' AND decision = 'approved'
      AND change_request.offer_version = %(version)s))
"""

LAST_ID: Final = UUID(int=2**128 - 1)


class Viewer(NamedTuple):
    """Who looks; somebody unknown, by default."""

    partner_id: UUID | None = None
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """An offer as a list shows it."""

    id: UUID
    partner_id: UUID
    name: str
    state: OfferState
    active_version: int | None
    newest_version: int
    recorded_at: datetime
    terms: Terms

    @property
    def position(self) -> list[str | int]:
        """Its place in a list."""
        return [self.recorded_at.isoformat(), self.id.hex]


def offers(
    connection: psycopg.Connection[Any],
    viewer: Viewer,
    *,
    rows: int,
    after: list[str | int] | None = None,
    state: str | None = None,
    partner: str | None = None,
) -> list[Listed]:
    """Return what a viewer may see, the newest first.

    Args:
        connection: inside the caller's transaction.
        viewer: who looks.
        rows: at most so many.
        after: the position of the last one seen.
        state: only offers in this state.
        partner: only offers of the partner of this name.
    """
    recorded_at, last = after or ("infinity", LAST_ID.hex)
    asked = {
        **viewer._asdict(),
        "state": state,
        "partner": partner,
        "recorded_at": recorded_at,
        "last": last,
        "rows": rows,
        "now": clock.now(),
    }
    return [_listed(row) for row in connection.execute(READ_PAGE, asked)]


def offer_seen_by(connection: psycopg.Connection[Any], viewer: Viewer, offer_id: UUID) -> Listed:
    """Return one offer.

    Raises:
        OfferUnknown: there is none by this id, or it was never open and is not the viewer's.
    """
    asked = {**viewer._asdict(), "offer_id": offer_id}
    row = connection.execute(READ_ONE, asked).fetchone()
    if row is None:
        raise OfferUnknown("There is no such offer, or it is not yours to see.")
    return _listed(row)


def version_seen_by(
    connection: psycopg.Connection[Any], viewer: Viewer, offer_id: UUID, version: int
) -> Terms:
    """Return one version's terms.

    Raises:
        OfferVersionUnknown: there is none, or it was never in force and is not the viewer's.
    """
    asked = {**viewer._asdict(), "offer_id": offer_id, "version": version}
    row = connection.execute(READ_VERSION, asked).fetchone()
    if row is None:
        raise OfferVersionUnknown("The offer has no such version, or it is not yours to see.")
    return parsed(*row)


def _listed(row: tuple[Any, ...]) -> Listed:
    *columns, version, document = row
    return Listed(*[*columns, parsed(columns[0], version, document)])
