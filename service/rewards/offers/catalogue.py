"""Which offers there are and on what terms, for whoever quotes and redeems."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from service.pipelining import Connection, Rows
from service.rewards.errors import OfferNotActive, OfferUnknown, OfferVersionUnknown
from service.rewards.offers.terms import Terms

OfferState = Literal["draft", "active", "paused", "retired"]

READ_OFFER: Final = """
SELECT offer.id, offer.partner_id, partner.name, offer.state, offer.active_version,
       partner.state = 'active'
FROM offer JOIN partner ON partner.id = offer.partner_id
WHERE offer.id = %s
"""

# Terms come as text: whoever remembers them need not parse them again.
READ_VERSION: Final = """
SELECT offer_id, version, terms::text FROM offer_version WHERE offer_id = %s AND version = %s
"""

_remembered: dict[tuple[UUID, int], Terms] = {}
"""Versions never change, so what was parsed once stays right."""

_seen_active: dict[UUID, "Offer"] = {}
"""As they were when they were last read: guesses, never answers."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer as those see it who redeem it."""

    id: UUID
    partner_id: UUID
    partner_name: str
    state: OfferState
    active_version: int | None
    terms: Terms | None
    """Of the active version; None in a draft that was never activated."""
    partner_is_active: bool


def ask_offer(connection: Connection, offer_id: UUID) -> Rows:
    """Ask for an offer as it stands; `offer_from` reads the answer."""
    return connection.execute(READ_OFFER, (offer_id,))


def offer_from(connection: Connection, rows: Rows) -> Offer:
    """Return the offer that was asked for, with the terms in force.

    Raises:
        OfferUnknown: there is none by this id.
    """
    row = rows.fetchone()
    if row is None:
        raise OfferUnknown("There is no such offer, or it is not yours to see.")
    offer_id, partner_id, partner_name, state, version, partner_is_active = row
    terms = None if version is None else terms_of(connection, offer_id, version)
    offer = Offer(offer_id, partner_id, partner_name, state, version, terms, partner_is_active)
    _seen_active[offer_id] = offer
    return offer


def seen_active(offer_id: UUID) -> Offer | None:
    """Return an offer as it was when this process last read it; it may have changed since."""
    return _seen_active.get(offer_id)


def require_open(offer: Offer, now: datetime) -> Terms:
    """Return the terms on which an offer can be redeemed at a moment.

    Raises:
        OfferNotActive: it is not active, its partner is suspended, or its time is not now.
    """
    terms = offer.terms
    if offer.state != "active" or not offer.partner_is_active or terms is None:
        raise not_active(offer.state if offer.state != "active" else "paused")
    if not terms.valid_from <= now < terms.valid_to:
        raise OfferNotActive(
            "The offer is open from {valid_from} until {valid_to}.",
            valid_from=terms.valid_from.isoformat(),
            valid_to=terms.valid_to.isoformat(),
        )
    return terms


def not_active(state: OfferState) -> OfferNotActive:
    """Return the refusal of an offer that is in a state, or whose partner is suspended: paused."""
    return OfferNotActive("The offer is {state}; it cannot be redeemed now.", state=state)


def ask_version(connection: Connection, offer_id: UUID, version: int) -> Rows:
    """Ask for one version's terms; `terms_from` reads the answer."""
    return connection.execute(READ_VERSION, (offer_id, version))


def terms_from(rows: Rows) -> Terms:
    """Return the terms that were asked for.

    Raises:
        OfferVersionUnknown: the offer has no such version.
    """
    row = rows.fetchone()
    if row is None:
        raise OfferVersionUnknown("The offer has no such version, or it is not yours to see.")
    offer_id, version, document = row
    return parsed(offer_id, version, document)


def terms_of(connection: Connection, offer_id: UUID, version: int) -> Terms:
    """Return one version's terms, from the memory of this process where it can.

    Raises:
        OfferVersionUnknown: the offer has no such version.
    """
    remembered = _remembered.get((offer_id, version))
    return remembered or terms_from(ask_version(connection, offer_id, version))


def parsed(offer_id: UUID, version: int, document: str | dict[str, Any]) -> Terms:
    """Return a version's terms, parsed once in the life of this process."""
    terms = _remembered.get((offer_id, version))
    if terms is None:
        members = json.loads(document) if isinstance(document, str) else document
        terms = Terms.from_document(members)
        _remembered[offer_id, version] = terms
    return terms
