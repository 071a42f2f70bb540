"""Captures and reversals as lines of a settlement file."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

# Those that stand in no batch that counts. A business date that was closed before has late ones.
UNSETTLED: Final = """
SELECT record.redemption_id, record.id, record.kind, record.state, record.partner_reference,
       redemption.offer_id, redemption.offer_version, redemption.mode, redemption.subject,
       record.points, record.reduction_g, record.subsidy_minor, version.terms, version.terms_hash,
       record.body, capture.body AS capture_body, record.recorded_at, record.business_date,
       record.of_id
FROM redemption_record record
JOIN redemption ON redemption.id = record.redemption_id
JOIN offer_version version
    ON version.offer_id = redemption.offer_id AND version.version = redemption.offer_version
LEFT JOIN redemption_record capture ON capture.id = record.of_id
WHERE record.partner_id = %(partner_id)s AND record.kind IN ('capture', 'reversal')
  AND record.business_date <= %(until)s
  AND NOT EXISTS (SELECT FROM settlement_line
                  WHERE record_id = record.id AND superseded_by IS NULL
                    AND batch_id <> %(but)s)
ORDER BY record.redemption_id, record.id
"""

RECORD_TYPE: Final = {"capture": "CAPTURE", "reversal": "REVERSAL"}

VALUE_OF_KIND: Final[Mapping[str, tuple[str, str]]] = {
    "rate_discount": ("rate_delta_bp", "bp"),
    "credit_line_uplift": ("uplift_percent", "percent"),
    "interest_coupon": ("amount_minor", "minor"),
    "premium_factor": ("factor", "factor"),
    "voucher": ("amount_minor", "minor"),
}
"""A kind of benefit: the member that is its value, and the value's unit."""


class Line(NamedTuple):
    """One line, but for its batch and number."""

    record_type: str
    redemption_id: UUID
    record_id: UUID
    state: str
    """Of the redemption, after this record."""
    partner_reference: str
    """Empty: the partner gave none."""
    offer_id: UUID
    offer_version: int
    mode: str
    subject: str
    points: int
    reduction_g: int
    benefit_kind: str
    benefit_unit: str
    benefit_value: str
    subsidy_minor: int
    currency: str
    payer: str
    effective_from: str
    effective_to: str
    """Both as the partner said them; empty: it did not."""
    occurred_at: datetime
    business_date: date
    terms_hash: str
    original_record_id: UUID | None


NO_BATCH: Final = UUID(int=0)


def unsettled_lines(
    connection: psycopg.Connection[Any], partner_id: UUID, until: date, but: UUID = NO_BATCH
) -> list[Line]:
    """Return what stands in no batch yet, in the order of a file.

    Args:
        connection: inside the caller's transaction, which alone closes days of this partner.
        partner_id: whose.
        until: the last business date.
        but: a batch whose lines are wanted too, because it is made again.
    """
    asked = {"partner_id": partner_id, "until": until, "but": but}
    rows = connection.execute(UNSETTLED, asked)
    return [_line(_Found._make(row)) for row in rows]


class _Found(NamedTuple):
    """A record with what its redemption and offer say of it."""

    redemption_id: UUID
    id: UUID
    kind: str
    state: str
    partner_reference: str | None
    offer_id: UUID
    offer_version: int
    mode: str
    subject: str
    points: int
    reduction_g: int
    subsidy_minor: int
    terms: Mapping[str, Any]
    terms_hash: str
    body: Mapping[str, Any]
    capture_body: Mapping[str, Any] | None
    recorded_at: datetime
    business_date: date
    of_id: UUID | None


def _line(found: _Found) -> Line:
    said = {**(found.capture_body or {}), **found.body}
    benefit_kind, unit, value = _benefit(found.terms["benefit"], said.get("benefit_actual") or {})
    return Line(
        record_type=RECORD_TYPE[found.kind],
        redemption_id=found.redemption_id,
        record_id=found.id,
        state=found.state,
        partner_reference=found.partner_reference or "",
        offer_id=found.offer_id,
        offer_version=found.offer_version,
        mode=found.mode,
        subject=found.subject,
        points=found.points,
        reduction_g=found.reduction_g,
        benefit_kind=benefit_kind,
        benefit_unit=unit,
        benefit_value=value,
        subsidy_minor=found.subsidy_minor,
        currency=found.terms["currency"],
        payer=found.terms["payer"],
        effective_from=said.get("effective_from") or "",
        effective_to=said.get("effective_to") or "",
        occurred_at=found.recorded_at,
        business_date=found.business_date,
        terms_hash=said.get("terms_hash") or found.terms_hash,
        original_record_id=found.of_id,
    )


def _benefit(quoted: Mapping[str, Any], actual: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return kind, unit and value: what the partner has given, or else what was quoted."""
    kind = quoted["kind"]
    if kind not in VALUE_OF_KIND:
        return kind, "piece", "1"
    member, unit = VALUE_OF_KIND[kind]
    return kind, unit, str(actual.get(member, quoted[member]))
