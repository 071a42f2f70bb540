"""Consents as they are shown: to the citizen who gave them, and to the partner who has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row, kwargs_row

from service import clock
from service.identity.consents.periods import PeriodicLimit
from service.ids import IdUnknown

LAST_ID: Final = UUID(int=2**128 - 1)

Side = Literal["citizen", "partner"]

_HIS_OR_HERS: Final[dict[Side, str]] = {
    "citizen": "consent.citizen_id",
    "partner": "consent.partner_id",
}

_READ: Final = """
SELECT consent.id, partner.name AS partner, subject, recipient_name, recipient_contact, purpose,
    text_version, text_digest, data_clusters, valid_from, valid_to, max_uses, uses,
    periodic_limits, renews, consent.state, status_reason, version, acknowledged_at,
    consent.recorded_at,
    (SELECT actor_kind FROM consent_change
     WHERE consent_id = consent.id AND consent_change.kind = 'revoked') AS revoked_by
FROM consent JOIN partner ON partner.id = consent.partner_id
"""

_PAGE: Final = """
AND (%(state)s::text IS NULL OR %(state)s = CASE
    WHEN consent.state = 'authorised' AND valid_to <= %(now)s THEN 'expired'
    ELSE consent.state END)
AND (consent.recorded_at, consent.id) < (%(recorded_at)s, %(after)s)
ORDER BY consent.recorded_at DESC, consent.id DESC LIMIT %(rows)s
"""

HISTORY: Final = """
SELECT version, kind, actor_kind, reason, recorded_at FROM consent_change
WHERE consent_id = %s ORDER BY version
"""

ACCESSES: Final = """
SELECT access.id, access.consent_id, partner.name AS partner, access.operation, access.about,
    access.is_use, access.recorded_at
FROM consent_access AS access JOIN partner ON partner.id = access.partner_id
WHERE access.citizen_id = %(citizen_id)s
  AND (%(consent_id)s::uuid IS NULL OR access.consent_id = %(consent_id)s)
  AND (access.recorded_at, access.id) < (%(recorded_at)s, %(after)s)
ORDER BY access.recorded_at DESC, access.id DESC LIMIT %(rows)s
"""


class Viewer(NamedTuple):
    """Who looks: consents are a citizen's, or those given to a partner."""

    side: Side
    id: UUID


class After(NamedTuple):
    """Where the page before ended."""

    recorded_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """A consent with everything that either side is shown of it."""

    id: UUID
    partner: str
    subject: str
    recipient_name: str
    recipient_contact: str
    purpose: str
    text_version: int
    text_digest: bytes
    data_clusters: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime
    max_uses: int | None
    uses: int
    periodic_limits: tuple[PeriodicLimit, ...]
    renews: UUID | None
    state: str
    status_reason: str | None
    version: int
    acknowledged_at: datetime | None
    recorded_at: datetime
    revoked_by: str | None

    @property
    def present_state(self) -> str:
        """The state as it is judged now, whether or not the row says it already."""
        has_lapsed = self.state == "authorised" and self.valid_to <= clock.now()
        return "expired" if has_lapsed else self.state

    def reason_for(self, side: Side) -> str | None:
        """Return why it ended; a partner is never given the citizen's words."""
        is_hers = side == "partner" and self.revoked_by == "citizen"
        return None if is_hers else self.status_reason


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a consent's history."""

    version: int
    kind: str
    actor_kind: str
    reason: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """A partner did something about the citizen."""

    id: UUID
    consent_id: UUID
    partner: str
    operation: str
    about: str | None
    is_use: bool
    recorded_at: datetime


def consent_record(
    connection: psycopg.Connection[Any], viewer: Viewer, consent_id: UUID
) -> ConsentRecord:
    """Return one consent.

    Raises:
        IdUnknown: the viewer has none by this id.
    """
    query = f"{_READ} WHERE consent.id = %s AND {_HIS_OR_HERS[viewer.side]} = %s"
    with connection.cursor(row_factory=kwargs_row(_record)) as cursor:
        found = cursor.execute(query, [consent_id, viewer.id]).fetchone()
    if found is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return found


def consents_of(
    connection: psycopg.Connection[Any],
    viewer: Viewer,
    *,
    rows: int,
    after: After | None,
    state: str | None = None,
) -> list[ConsentRecord]:
    """Return a page of consents, the newest first.

    Args:
        connection: inside the caller's transaction.
        viewer: whose they are.
        rows: at most so many.
        after: where the page before ended.
        state: only those that are in this state now.
    """
    query = f"{_READ} WHERE {_HIS_OR_HERS[viewer.side]} = %(viewer)s {_PAGE}"
    asked = {"viewer": viewer.id, "state": state, "now": clock.now(), **_page(rows, after)}
    with connection.cursor(row_factory=kwargs_row(_record)) as cursor:
        return cursor.execute(query, asked).fetchall()


def history_of(connection: psycopg.Connection[Any], consent: ConsentRecord) -> Sequence[Change]:
    """Return what became of a consent, from its first moment."""
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(HISTORY, [consent.id]).fetchall()


def accesses_of(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    consent_id: UUID | None,
    *,
    rows: int,
    after: After | None,
) -> list[Access]:
    """Return who did what about a citizen, the newest first; by one consent or by any."""
    asked = {"citizen_id": citizen_id, "consent_id": consent_id, **_page(rows, after)}
    with connection.cursor(row_factory=class_row(Access)) as cursor:
        return cursor.execute(ACCESSES, asked).fetchall()


def _page(rows: int, after: After | None) -> dict[str, Any]:
    recorded_at, last = after or ("infinity", LAST_ID)
    return {"rows": rows, "recorded_at": recorded_at, "after": last}


def _record(**columns: Any) -> ConsentRecord:
    limits = tuple(map(PeriodicLimit.from_document, columns.pop("periodic_limits")))
    clusters = tuple(columns.pop("data_clusters"))
    return ConsentRecord(periodic_limits=limits, data_clusters=clusters, **columns)
