"""Accepting a quote: points are held, and one of the offer is taken, or neither."""

from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from service import clock
from service.identity.consents.checking import LOOK_UP, READ_BY_ID, consent_from
from service.identity.persons import ask_person, person_from
from service.identity.spending import ask_may_spend, refuse_unless_may_spend
from service.ledger.holds import NewHold
from service.pipelining import Connection
from service.rewards.offers.catalogue import READ_OFFER, offer_from, require_open
from service.rewards.offers.counters import Taking, take, uses_of
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.consented import require_consent
from service.rewards.redemptions.errors import (
    PersonNotVerified,
    QuoteExpired,
    QuoteTermsChanged,
)
from service.rewards.redemptions.quotes import Quote, ask_quote, quote_from
from service.rewards.redemptions.steps import (
    Actor,
    Record,
    Redemption,
    Written,
    begin,
    note,
    record_id,
)
from service.rewards.redemptions.submitting import (
    ask_status_index,
    status_index_from,
    submitted_as,
)

# Questions that are asked before anybody has read the quote that they depend on.
ASK_OFFER: Final = READ_OFFER.replace("%s", "(SELECT offer_id FROM quote WHERE id = %s)")
_WHICH: Final = "coalesce(%s::uuid, (SELECT consent_id FROM quote WHERE id = %s))"
ASK_CONSENT: Final = LOOK_UP.replace("%s", _WHICH)
ASK_CONSENT_LOCKED: Final = READ_BY_ID.replace("%s", _WHICH)


class Reserving:
    """One wish to accept a quote: asked first, carried out when the answers are there."""

    def __init__(
        self,
        connection: Connection,
        citizen_id: UUID,
        quote_id: UUID,
        consent_id: UUID | None,
        *,
        submits: bool,
    ) -> None:
        """Ask everything that needs no answer to be asked.

        Args:
            connection: inside the caller's transaction.
            citizen_id: who accepts.
            quote_id: what she accepts.
            consent_id: by which the partner may know of it; None: the quote's.
            submits: whether it is shown to the partner at once.
        """
        self._connection = connection
        self._citizen_id = citizen_id
        self._quote = ask_quote(connection, citizen_id, quote_id)
        # Nothing is disclosed before the submission, and nothing locked. Locks are taken in the
        # order in which everybody takes them: who leaves has her consents before herself.
        ask = ASK_CONSENT_LOCKED if submits else ASK_CONSENT
        self._consent = connection.execute(ask, (consent_id, quote_id))
        self._offer = connection.execute(ASK_OFFER, (quote_id,))
        self._spending = ask_may_spend(connection, citizen_id)
        self._hold = NewHold(connection, citizen_id)
        self._status_index = ask_status_index(connection) if submits else None
        self.taking: Taking | None = None
        """What is taken of the offer, for the words of a refusal."""

    def write(self, actor: Actor) -> tuple[Written, Terms]:
        """Return the last step, the submission if there is one, and the terms.

        Raises:
            CitizenUnknown, AccountFrozen, SpendingHeld: she cannot spend now.
            QuoteUnknown, QuoteExpired, QuoteTermsChanged: the quote binds nobody any more.
            OfferNotActive
            ConsentMissing, ConsentExpired, ConsentRevoked, ConsentScope
            PersonNotVerified: the caps count natural persons.
            InsufficientPoints
            psycopg.errors.CheckViolation: at the commit; quota, budget, a cap, or the consent's
                limits of use.
        """
        refuse_unless_may_spend(self._spending)
        quote, now = quote_from(self._quote), clock.now()
        if quote.valid_until <= now:
            raise QuoteExpired(
                "The quote was valid until {valid_until}. Please ask for a new one.",
                valid_until=quote.valid_until.isoformat(),
            )
        redemption_id = uuid4()
        hold_id = record_id(redemption_id, 1)
        offer = offer_from(self._connection, self._offer)
        terms = require_open(offer, now)
        if terms.version != quote.offer_version or terms.terms_hash != quote.terms_hash:
            raise QuoteTermsChanged("The offer has new terms. Please ask for a new quote.")
        consent = consent_from(self._consent)
        require_consent(consent, self._citizen_id, quote.partner_id, terms)
        person_id = self._person(terms)
        redemption = self._reserved(redemption_id, quote, consent.id, terms, person_id)
        reduction_g = self._hold.write(hold_id, quote.points).reduction_g if quote.points else 0
        record = Record(
            "reservation",
            actor,
            points=quote.points,
            reduction_g=reduction_g,
            subsidy_minor=terms.subsidy_minor,
            posting_id=hold_id if quote.points else None,
        )
        if self._status_index is None:
            written = begin(self._connection, redemption, record)
        else:
            note(self._connection, redemption, record)
            index = status_index_from(self._status_index)
            shown = submitted_as(self._connection, redemption, consent, terms, index)
            submission = Record("submission", actor)
            written = begin(self._connection, shown._replace(version=2), submission)
        if self.taking is not None:
            take(self._connection, self.taking)  # last: everybody wants the offer's own row
        return written, terms

    def _person(self, terms: Terms) -> bytes | None:
        if not terms.eligibility.person_required:
            return None
        person_id = person_from(ask_person(self._connection, self._citizen_id))
        if person_id is None:
            raise PersonNotVerified(
                "This offer counts natural persons. Please have a verification partner verify you."
            )
        return person_id

    def _reserved(
        self,
        redemption_id: UUID,
        quote: Quote,
        consent_id: UUID,
        terms: Terms,
        person_id: bytes | None,
    ) -> Redemption:
        now = clock.now()
        uses = uses_of(terms.caps, self._citizen_id, person_id, clock.day_of(now))
        self.taking = Taking(quote.offer_id, terms.subsidy_minor, uses)
        started = {use.holder_kind: use.starts_on for use in uses}
        return Redemption(
            id=redemption_id,
            citizen_id=self._citizen_id,
            partner_id=quote.partner_id,
            offer_id=quote.offer_id,
            offer_version=quote.offer_version,
            quote_id=quote.id,
            consent_id=consent_id,
            subject=quote.subject,
            mode=quote.mode,
            points=quote.points,
            subsidy_minor=terms.subsidy_minor,
            person_id=person_id if "person" in started else None,
            citizen_use_on=started.get("citizen"),
            person_use_on=started.get("person"),
            recorded_at=now,
            state="reserved",
            version=1,
            deadline_at=now + timedelta(seconds=terms.timers.reserve_s),
        )
