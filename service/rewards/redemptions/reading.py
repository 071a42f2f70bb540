"""Redemptions as their citizen and their partner see them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from service import clock
from service.ids import CONSENT, OFFER, PARTNER, REDEMPTION, REDEMPTION_RECORD, public_id
from service.pipelining import Connection
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.states import allowed_from
from service.rewards.redemptions.steps import (
    READ,
    Redemption,
    Written,
    quote_public_id,
    redemption_from,
)

READ_RECORDS: Final = """
SELECT id, no, kind, state, request_no, actor_kind, points, reduction_g, subsidy_minor,
       partner_reference, of_id, body, business_date, recorded_at
FROM redemption_record WHERE redemption_id = %s AND no >= %s ORDER BY no
"""

_LIST: Final = """
SELECT id, state, version, offer_id, mode, points, recorded_at FROM redemption
WHERE {whose} = %(whose)s AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (recorded_at, id) < (%(recorded_at)s::timestamptz, %(id)s::uuid)
ORDER BY recorded_at DESC, id DESC LIMIT %(rows)s
"""

LIST_OF_CITIZEN: Final = _LIST.format(whose="citizen_id")
# What was never submitted is not the partner's to see.
LIST_OF_PARTNER: Final = _LIST.format(whose="status_index IS NOT NULL AND partner_id")

LAST_ID: Final = UUID(int=2**128 - 1)


class RedemptionLine(NamedTuple):
    """A redemption in a list; nothing of it tells who she is."""

    id: UUID
    state: str
    version: int
    offer_id: UUID
    mode: str
    points: int
    recorded_at: datetime

    def view(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return {
            "id": public_id(REDEMPTION, self.id),
            "state": self.state,
            "version": self.version,
            "offer_id": public_id(OFFER, self.offer_id),
            "settlement_mode": self.mode,
            "points": self.points,
            "recorded_at": self.recorded_at.isoformat(),
        }


class RecordLine(NamedTuple):
    """A redemption's record, in the order of its table's columns."""

    id: UUID
    no: int
    kind: str
    state: str
    request_no: str
    actor: str
    points: int
    reduction_g: int
    subsidy_minor: int
    partner_reference: str | None
    of_id: UUID | None
    details: Mapping[str, Any]
    business_date: date
    recorded_at: datetime

    def view(self, redemption_id: UUID) -> dict[str, Any]:
        """Return it as JSON members."""
        shown = self._asdict()
        of_id, request_number = shown.pop("of_id"), shown.pop("request_no")
        return {
            **shown,
            "id": public_id(REDEMPTION_RECORD, self.id),
            "redemption_id": public_id(REDEMPTION, redemption_id),
            "request_number": request_number,
            "of_record_id": None if of_id is None else public_id(REDEMPTION_RECORD, of_id),
            "details": dict(self.details),
            "business_date": self.business_date.isoformat(),
            "recorded_at": self.recorded_at.isoformat(),
        }


def redemption_of(connection: Connection, redemption_id: UUID) -> Redemption:
    """Return a redemption as it stands.

    Raises:
        RedemptionUnknown: there is none.
    """
    return redemption_from(connection.execute(READ, (redemption_id,)))


def redemptions_of(
    connection: Connection,
    *,
    is_partner: bool,
    whose: UUID,
    state: str | None,
    rows: int,
    after: tuple[datetime, UUID] | None,
) -> list[RedemptionLine]:
    """Return a citizen's or a partner's redemptions, the newest first.

    Args:
        connection: inside the caller's transaction.
        is_partner: whether `whose` is a partner.
        whose: the citizen or the partner.
        state: only those in it; None: all.
        rows: at most so many.
        after: `recorded_at` and `id` of the last one seen; None: from the newest.
    """
    recorded_at, last = after or ("infinity", LAST_ID)
    values = {
        "whose": whose,
        "state": state,
        "recorded_at": recorded_at,
        "id": last,
        "rows": rows,
    }
    query = LIST_OF_PARTNER if is_partner else LIST_OF_CITIZEN
    return [RedemptionLine._make(row) for row in connection.execute(query, values)]


def records_of(
    connection: Connection, redemption_id: UUID, from_no: int = 1
) -> list[dict[str, Any]]:
    """Return a redemption's records as JSON members, in order."""
    rows = connection.execute(READ_RECORDS, (redemption_id, from_no))
    return [RecordLine._make(row).view(redemption_id) for row in rows]


def redemption_view(redemption: Redemption, terms: Terms) -> dict[str, Any]:
    """Return a redemption as JSON members, without what one side alone may see."""
    return {
        "id": redemption.public_id,
        "state": redemption.state,
        "version": redemption.version,
        "partner_id": public_id(PARTNER, redemption.partner_id),
        "offer_id": public_id(OFFER, redemption.offer_id),
        "offer_version": redemption.offer_version,
        "quote_id": quote_public_id(redemption),
        "consent_id": public_id(CONSENT, redemption.consent_id),
        "settlement_mode": redemption.mode,
        "benefit": dict(terms.benefit),
        "terms_hash": terms.terms_hash,
        "points": redemption.points,
        "captured_points": redemption.captured_points,
        "reversed_points": redemption.reversed_points,
        "subsidy_minor": redemption.subsidy_minor,
        "deadline_at": _moment(redemption.deadline_at),
        "matures_at": _moment(redemption.matures_at),
        "void_requested_at": _moment(redemption.void_requested_at),
        "recorded_at": redemption.recorded_at.isoformat(),
        "allowed": allowed_from(redemption.state),
    }


def written_view(written: Written) -> dict[str, Any]:
    """Return a step that has just been taken as JSON members."""
    redemption, record_id, record, recorded_at, request_no = written
    return RecordLine(
        id=record_id,
        no=redemption.version,
        kind=record.kind,
        state=redemption.state,
        request_no=request_no,
        actor=record.actor.kind,
        points=record.points,
        reduction_g=record.reduction_g,
        subsidy_minor=record.subsidy_minor,
        partner_reference=record.partner_reference,
        of_id=record.of_id,
        details=record.body,
        business_date=clock.day_of(recorded_at),
        recorded_at=recorded_at,
    ).view(redemption.id)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
