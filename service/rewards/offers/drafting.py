"""Offers come into being as drafts, and get versions that never change; neither opens anything."""

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg

from service import ids
from service.partners.organisations import Partner, partners_by_id
from service.rewards.errors import (
    OfferNameTaken,
    OfferUnknown,
    PartnerCannotOffer,
    StateConflict,
)
from service.rewards.offers.catalogue import OfferState
from service.rewards.offers.terms import Terms
from service.web.refusals import FieldFault, ValidationFailed

GIVES_BENEFITS: Final = frozenset({"bank", "insurer", "merchant"})
BANK_DAYS: Final = 10
"""Business days in which a bank, or a merchant, says what has become of a submission."""
INSURER_S: Final = 30 * 86_400

STORE_OFFER: Final = """
INSERT INTO offer (id, partner_id, name, created_by_kind, created_by) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (partner_id, name) DO NOTHING RETURNING id
"""

STORE_COUNTER: Final = (
    "INSERT INTO offer_counter (offer_id, quota, budget_minor) VALUES (%s, %s, %s)"
)

STORE_VERSION: Final = """
INSERT INTO offer_version (offer_id, version, mode, points, subsidy_minor, terms, terms_hash,
    created_by_kind, created_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

LOCK_OFFER: Final = """
SELECT id, partner_id, state, active_version, version FROM offer WHERE id = %s
FOR NO KEY UPDATE
"""

READ_CAPS: Final = """
SELECT version, terms -> 'caps' FROM offer_version WHERE offer_id = %s ORDER BY version
"""

KNOWS_RULES: Final = "SELECT EXISTS (SELECT FROM grade_rules WHERE name = %s)"


class Author(NamedTuple):
    """Who enters something about offers."""

    kind: Literal["partner", "staff"]
    id: UUID

    def may_enter_for(self, partner_id: UUID) -> bool:
        """Whether an offer of a partner is theirs to work on."""
        return self.kind == "staff" or self.id == partner_id


class Draft(NamedTuple):
    """An offer besides its terms."""

    name: str
    quota: int | None
    budget_minor: int | None


class LockedOffer(NamedTuple):
    """An offer that nobody else changes until this transaction ends."""

    id: UUID
    partner_id: UUID
    state: OfferState
    active_version: int | None
    version: int


def draft_offer(
    connection: psycopg.Connection[Any],
    author: Author,
    partner: Partner,
    draft: Draft,
    terms: Mapping[str, Any],
) -> Terms:
    """Store a draft with its first version.

    Args:
        connection: inside the caller's transaction.
        author: who enters it.
        partner: whose offer it is.
        draft: its name and limits.
        terms: as `TermsRequest` has loaded them.

    Raises:
        PartnerCannotOffer: the partner gives no benefits.
        OfferNameTaken: the partner has another offer of this name.
        ValidationFailed: as `add_version`.
    """
    _require_benefactor(partner)
    offer_id = uuid4()
    stored = (offer_id, partner.id, draft.name, *author)
    if connection.execute(STORE_OFFER, stored).fetchone() is None:
        raise OfferNameTaken(
            "There is another offer named {name}. Please choose another name.", name=draft.name
        )
    connection.execute(STORE_COUNTER, (offer_id, draft.quota, draft.budget_minor))
    return _store_version(connection, author, offer_id, partner, terms)


def add_version(
    connection: psycopg.Connection[Any], author: Author, offer_id: UUID, terms: Mapping[str, Any]
) -> Terms:
    """Store the next version of an offer; the one in force stays in force.

    Raises:
        OfferUnknown: there is none by this id, or it is another partner's.
        StateConflict: it is retired.
        ValidationFailed: a cap has another period than before, or grade rules are not known.
    """
    offer = locked_offer(connection, author, offer_id)
    if offer.state == "retired":
        raise StateConflict(
            "The offer is retired. Please make a new one.", current_state=offer.state
        )
    partner = partners_by_id(connection, [offer.partner_id])[offer.partner_id]
    _require_benefactor(partner)
    return _store_version(connection, author, offer_id, partner, terms)


def locked_offer(
    connection: psycopg.Connection[Any], author: Author, offer_id: UUID
) -> LockedOffer:
    """Return an offer under its lock.

    Raises:
        OfferUnknown: there is none by this id, or it is another partner's.
    """
    row = connection.execute(LOCK_OFFER, (offer_id,)).fetchone()
    if row is None or not author.may_enter_for(row[1]):
        raise OfferUnknown("There is no such offer, or it is not yours to see.")
    return LockedOffer(*row)


def _require_benefactor(partner: Partner) -> None:
    if not partner.is_active or not partner.roles & GIVES_BENEFITS:
        raise PartnerCannotOffer(
            "{name} is no active bank, insurer or merchant of this scheme.", name=partner.name
        )


def _store_version(
    connection: psycopg.Connection[Any],
    author: Author,
    offer_id: UUID,
    partner: Partner,
    entered: Mapping[str, Any],
) -> Terms:
    version = 1 + _require_same_periods(connection, offer_id, entered["caps"])
    _require_known_rules(connection, entered["eligibility"]["grade_rules"])
    terms = Terms.from_document(_document(offer_id, version, partner, entered))
    connection.execute(
        STORE_VERSION,
        (
            offer_id,
            version,
            terms.mode,
            terms.points,
            terms.subsidy_minor,
            json.dumps(terms.document),
            terms.terms_hash,
            *author,
        ),
    )
    return terms


def _document(
    offer_id: UUID, version: int, partner: Partner, entered: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **entered,
        "offer_id": ids.public_id(ids.OFFER, offer_id),
        "version": version,
        "partner": partner.name,
        "timers": _timers(partner, entered["timers"]),
        "valid_from": entered["valid_from"].astimezone(UTC).isoformat(),
        "valid_to": entered["valid_to"].astimezone(UTC).isoformat(),
    }


def _timers(partner: Partner, entered: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return the timers with the usual time to submit, if none was entered."""
    if entered["submit_s"] is not None or entered["submit_business_days"] is not None:
        return {**entered}
    if "insurer" in partner.roles and "bank" not in partner.roles:
        return {**entered, "submit_s": INSURER_S}
    return {**entered, "submit_business_days": BANK_DAYS}


def _require_same_periods(
    connection: psycopg.Connection[Any], offer_id: UUID, caps: Mapping[str, Any]
) -> int:
    """Return the newest version's number, if all versions count by the same periods.

    What was taken is counted by period: with another one, it would be forgotten.
    """
    newest = 0
    for version, before in connection.execute(READ_CAPS, (offer_id,)):
        newest = version
        for who, cap in caps.items():
            if cap and before[who] and cap["period"] != before[who]["period"]:
                raise _fault(
                    f"/terms/caps/{who}/period", "A cap keeps its period in every version."
                )
    return newest


def _require_known_rules(connection: psycopg.Connection[Any], name: str | None) -> None:
    if name is None:
        return
    row = connection.execute(KNOWS_RULES, (name,)).fetchone()
    if row is None or not row[0]:
        raise _fault("/terms/eligibility/grade_rules", "There are no grade rules of this name.")


def _fault(pointer: str, sentence: str) -> ValidationFailed:
    return ValidationFailed(
        "Please correct the fields named in errors.",
        errors=[FieldFault(pointer, "value-not-allowed", sentence)],
    )
