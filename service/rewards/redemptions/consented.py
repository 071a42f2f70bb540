"""Which consent a redemption needs: for a benefit, and for the grade where the grade earns it."""

from typing import Final
from uuid import UUID

from service.identity.consents.checking import Consent
from service.identity.consents.errors import ConsentScope
from service.rewards.offers.terms import Terms

PURPOSE: Final = "benefit"


def require_consent(consent: Consent, citizen_id: UUID, partner_id: UUID, terms: Terms) -> None:
    """Refuse what the citizen has not agreed to, or no longer agrees to.

    Raises:
        ConsentMissing, ConsentExpired, ConsentRevoked, ConsentScope
    """
    # Who is eligible by a grade says with it that she has the grade.
    cluster = "tier" if terms.eligibility.grade_at_least else None
    consent.require(citizen_id=citizen_id, partner_id=partner_id, cluster=cluster)
    if consent.purpose != PURPOSE:
        raise ConsentScope("This consent is for another purpose.", purpose=consent.purpose)
