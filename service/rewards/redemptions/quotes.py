"""A quote: what a citizen would get and give, bound to one version's terms, for some minutes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeGuard
from uuid import UUID, uuid4

import msgspec

from service import clock
from service.documents import signed_document
from service.identity.consents.checking import consent_from, look_up_consent
from service.identity.persons import ask_person, person_from
from service.ids import CONSENT, OFFER, QUOTE, public_id
from service.keys import KeyRing
from service.ledger.apportioning import shares_by_points
from service.ledger.lots import ask_live_lots, live_lots
from service.pipelining import Connection, Rows
from service.rewards.eligibility import Asked, Eligibility, ask_facts, judge
from service.rewards.errors import OfferNotActive
from service.rewards.offers.catalogue import (
    Offer,
    ask_offer,
    offer_from,
    require_open,
    seen_active,
)
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.consented import require_consent
from service.rewards.redemptions.errors import QuoteUnknown

DOCUMENT_TYPE: Final = "carbon-quote+jwt"

COLUMNS: Final = (
    "id, citizen_id, partner_id, offer_id, offer_version, consent_id, subject, mode, points,"
    " terms_hash, facts, valid_until, recorded_at"
)

WRITE: Final = f"INSERT INTO quote ({COLUMNS}) VALUES ({', '.join(['%s'] * 13)})"

READ: Final = f"SELECT {COLUMNS} FROM quote WHERE id = %s AND citizen_id = %s"


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote as it was given."""

    id: UUID
    citizen_id: UUID
    partner_id: UUID
    offer_id: UUID
    offer_version: int
    consent_id: UUID
    subject: str
    mode: str
    points: int
    terms_hash: str
    facts: Mapping[str, Any]
    valid_until: datetime
    recorded_at: datetime


class Quoting:
    """One wish for a quote: asked first, judged when the answers are there.

    It discloses nothing and holds nothing, so nothing is locked: the reservation decides again.
    """

    def __init__(
        self, connection: Connection, citizen_id: UUID, offer_id: UUID, consent_id: UUID
    ) -> None:
        """Ask everything that needs no answer to be asked.

        Whoever has seen the offer before guesses that it is as it was, and asks for all that the
        answer depends on; the answer says whether the guess was right.
        """
        self._connection = connection
        self._citizen_id = citizen_id
        self._offer_id = offer_id
        self._now = clock.now()
        self._consent = look_up_consent(connection, consent_id)
        self._lots = ask_live_lots(connection, citizen_id)
        self._guess = seen_active(offer_id)
        self._asked: Asked | None = None
        if self._guess is not None and _concerns_no_person(self._guess.terms):
            self._asked = ask_facts(connection, citizen_id, None, self._guess.terms, self._now)

    def write(self) -> tuple[Quote, Terms, list[tuple[date, int]]]:
        """Return the quote, its terms, and from which lots its points would come.

        Raises:
            OfferUnknown, OfferNotActive: there is nothing to quote.
            ConsentMissing, ConsentExpired, ConsentRevoked, ConsentScope: the partner may not know.
            NotEligible: with every condition that failed.
        """
        offer, terms, eligibility = self._guessed() or self._looked_up()
        consent = consent_from(self._consent)
        require_consent(consent, self._citizen_id, offer.partner_id, terms)
        eligibility.required()
        quote = Quote(
            id=uuid4(),
            citizen_id=self._citizen_id,
            partner_id=offer.partner_id,
            offer_id=offer.id,
            offer_version=terms.version,
            consent_id=consent.id,
            subject=consent.subject,
            mode=terms.mode,
            points=terms.points,
            terms_hash=terms.terms_hash,
            facts=eligibility.facts,
            valid_until=self._now + timedelta(seconds=terms.timers.quote_s),
            recorded_at=self._now,
        )
        self._keep(quote)
        shares = shares_by_points(live_lots(self._lots), terms.points) if terms.points else []
        return quote, terms, [(share.expires_on, share.points) for share in shares]

    def _guessed(self) -> tuple[Offer, Terms, Eligibility] | None:
        """Return what was asked on a guess; None: there was none, or the offer has changed."""
        if self._guess is None or self._guess.terms is None or self._asked is None:
            return None
        eligibility = judge(self._asked)
        if any(condition.code == OfferNotActive.code for condition in eligibility.failed):
            return None
        return self._guess, self._guess.terms, eligibility

    def _looked_up(self) -> tuple[Offer, Terms, Eligibility]:
        offer_rows = ask_offer(self._connection, self._offer_id)
        person_rows = ask_person(self._connection, self._citizen_id)
        offer = offer_from(self._connection, offer_rows)
        terms = require_open(offer, self._now)
        person_id = person_from(person_rows)
        asked = ask_facts(self._connection, self._citizen_id, person_id, terms, self._now)
        return offer, terms, judge(asked)

    def _keep(self, quote: Quote) -> None:
        values = [getattr(quote, name) for name in Quote.__slots__]
        facts = msgspec.json.encode(quote.facts).decode()
        values[Quote.__slots__.index("facts")] = facts
        self._connection.execute(WRITE, values)


def _concerns_no_person(terms: Terms | None) -> TypeGuard[Terms]:
    if terms is None:
        return False
    return terms.caps.per_person is None and not terms.eligibility.person_required


def ask_quote(connection: Connection, citizen_id: UUID, quote_id: UUID) -> Rows:
    """Ask for one of a citizen's quotes; `quote_from` reads the answer."""
    return connection.execute(READ, (quote_id, citizen_id))


def quote_from(rows: Rows) -> Quote:
    """Return the quote that was asked for.

    Raises:
        QuoteUnknown: she has no such quote.
    """
    row = rows.fetchone()
    if row is None:
        raise QuoteUnknown("There is no such quote, or it is not yours to see.")
    return Quote(*row)


def quote_view(
    quote: Quote, terms: Terms, keys: KeyRing, issuer: str, lots: list[tuple[date, int]]
) -> dict[str, Any]:
    """Return a quote as the citizen sees it, with the document that binds us to it."""
    shown = {
        "id": public_id(QUOTE, quote.id),
        "offer_id": public_id(OFFER, quote.offer_id),
        "offer_version": quote.offer_version,
        "consent_id": public_id(CONSENT, quote.consent_id),
        "settlement_mode": quote.mode,
        "points": quote.points,
        "benefit": dict(terms.benefit),
        "terms_hash": quote.terms_hash,
    }
    claims = {
        "iss": issuer,
        "jti": shown["id"],
        "sub": quote.subject,
        "iat": int(quote.recorded_at.timestamp()),
        "exp": int(quote.valid_until.timestamp()),
        **{name: value for name, value in shown.items() if name != "id"},
    }
    return {
        **shown,
        "lots_preview": [{"expires_on": day.isoformat(), "points": points} for day, points in lots],
        "valid_until": quote.valid_until.isoformat(),
        "quote_jws": signed_document(keys, DOCUMENT_TYPE, claims),
    }
