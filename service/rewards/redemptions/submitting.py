"""Showing a redemption to its partner: from now on an entitlement says what she may have."""

from typing import Final
from uuid import UUID

from service import clock
from service.identity.consents.checking import READ_BY_ID, Consent, consent_from, log_access
from service.identity.spending import ask_may_spend, refuse_unless_may_spend
from service.keys import KeyRing
from service.pipelining import Connection, Rows
from service.rewards.entitlements.documents import entitlement
from service.rewards.offers.catalogue import not_active, terms_of
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.consented import require_consent
from service.rewards.redemptions.deadlines import submission_deadline
from service.rewards.redemptions.steps import (
    Actor,
    Record,
    Redemption,
    Written,
    ask_locked,
    redemption_from,
    take,
    unknown,
)

# The question for a consent, asked before anybody has read which one it is.
ASK_CONSENT: Final = READ_BY_ID.replace("%s", "(SELECT consent_id FROM redemption WHERE id = %s)")

IS_PARTNER_ACTIVE: Final = """
SELECT partner.state = 'active' FROM redemption JOIN partner ON partner.id = redemption.partner_id
WHERE redemption.id = %s
"""

NEXT_STATUS_INDEX: Final = "SELECT nextval('status_index_seq')"


class Submitting:
    """One wish to submit: asked first, carried out when the answers are there."""

    def __init__(self, connection: Connection, citizen_id: UUID, redemption_id: UUID) -> None:
        """Ask everything that needs no answer to be asked."""
        self._connection = connection
        self._citizen_id = citizen_id
        # Locked in the order in which everybody locks: who leaves has her consents before herself.
        self._redemption = ask_locked(connection, redemption_id)
        self._consent = connection.execute(ASK_CONSENT, (redemption_id,))
        self._spending = ask_may_spend(connection, citizen_id)
        self._is_partner_active = connection.execute(IS_PARTNER_ACTIVE, (redemption_id,))
        self._status_index = ask_status_index(connection)

    def write(self, actor: Actor, keys: KeyRing, issuer: str) -> tuple[Written, str]:
        """Return the step and the entitlement.

        Raises:
            CitizenUnknown, AccountFrozen, SpendingHeld: she cannot spend now.
            RedemptionUnknown: it is not hers.
            StateConflict: it is not reserved, or not any more.
            OfferNotActive: its partner has been suspended since.
            ConsentMissing, ConsentExpired, ConsentRevoked, ConsentScope
            psycopg.errors.CheckViolation: at the commit; the consent's limits of use.
        """
        refuse_unless_may_spend(self._spending)
        redemption, now = redemption_from(self._redemption), clock.now()
        if redemption.citizen_id != self._citizen_id:
            raise unknown()
        redemption.require_step("submission")
        if redemption.deadline_at is not None and redemption.deadline_at <= now:
            # Its time is over, whether or not the timer has looked at it.
            raise redemption._replace(state="expired").state_conflict()
        if self._is_partner_active.fetchone() != (True,):
            raise not_active("paused")
        terms = terms_of(self._connection, redemption.offer_id, redemption.offer_version)
        consent = consent_from(self._consent)
        require_consent(consent, self._citizen_id, redemption.partner_id, terms)
        index = status_index_from(self._status_index)
        submitted = submitted_as(self._connection, redemption, consent, terms, index)
        written = take(self._connection, submitted, Record("submission", actor))
        return written, entitlement(keys, issuer, written.redemption, terms, now)


def ask_status_index(connection: Connection) -> Rows:
    """Ask for a place in the status lists; `status_index_from` reads the answer."""
    return connection.execute(NEXT_STATUS_INDEX)


def status_index_from(rows: Rows) -> int:
    """Return the place that was asked for."""
    return int((rows.fetchone() or (0,))[0])


def submitted_as(
    connection: Connection,
    redemption: Redemption,
    consent: Consent,
    terms: Terms,
    status_index: int,
) -> Redemption:
    """Return a reserved redemption as its partner sees it, and count that as a use of the consent.

    Args:
        connection: inside the caller's transaction, which has locked the consent.
        redemption: reserved.
        consent: that allows it.
        terms: those it was quoted on.
        status_index: its place in the status lists.
    """
    log_access(connection, consent, "redemption.submitted", redemption.public_id, is_use=True)
    return redemption._replace(
        state="submitted",
        deadline_at=submission_deadline(clock.now(), terms.timers),
        status_index=status_index,
    )
