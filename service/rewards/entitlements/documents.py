"""The entitlement: what a partner can verify at its counter without asking us.

Offline it proves that we wrote it, for this partner, on these terms. Only a capture spends.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from service.documents import signed_document
from service.ids import CONSENT, OFFER, PARTNER, QUOTE, public_id
from service.keys import KeyRing
from service.rewards.entitlements.status_lists import status_claim
from service.rewards.offers.terms import Terms

if TYPE_CHECKING:
    from service.rewards.redemptions.steps import Redemption

DOCUMENT_TYPE: Final = "carbon-entitlement+jwt"


def entitlement(
    keys: KeyRing, issuer: str, redemption: "Redemption", terms: Terms, issued_at: datetime
) -> str:
    """Return the signed entitlement of a submitted redemption; it ends with the deadline.

    Args:
        keys: of the installation.
        issuer: our own name.
        redemption: submitted, with its place in a status list.
        terms: those it was quoted on.
        issued_at: when it was submitted.
    """
    assert redemption.deadline_at is not None  # noqa: S101  set with the submission
    assert redemption.status_index is not None  # noqa: S101
    issued_at_s = int(issued_at.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": public_id(PARTNER, redemption.partner_id),
        "sub": redemption.subject,
        "jti": redemption.public_id,
        "iat": issued_at_s,
        "nbf": issued_at_s,
        "exp": int(redemption.deadline_at.timestamp()),
        "offer": {"id": public_id(OFFER, redemption.offer_id), "version": redemption.offer_version},
        "mode": redemption.mode,
        "benefit": dict(terms.benefit),
        "points": redemption.points,
        "terms_hash": terms.terms_hash,
        "quote_id": public_id(QUOTE, redemption.quote_id),
        "consent_id": public_id(CONSENT, redemption.consent_id),
        "status": status_claim(issuer, redemption.status_index),
    }
    return signed_document(keys, DOCUMENT_TYPE, claims)
