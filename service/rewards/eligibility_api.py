"""Trying an offer on, over HTTP: who asks learns every condition, and nothing is changed."""

from typing import Any
from uuid import UUID

from flask import request
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service import clock, ids
from service.identity.consents.checking import consent_of_subject, log_access
from service.identity.persons import ask_person, person_from
from service.messages import language_of
from service.pipelining import Connection
from service.rewards.eligibility import Eligibility, conditions_of
from service.rewards.errors import OfferUnknown
from service.rewards.grades.schemas import ConditionView
from service.rewards.offers.catalogue import ask_offer, offer_from
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.consented import require_consent
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import runtime

OPERATION = "eligibility.checked"
CLUSTER_OF = {
    "grade-too-low": "tier",
    "reduction-too-small": "total_certified",
}
"""What a citizen must have agreed to before a partner sees what she has, not only that it does."""
OF_NOBODY = frozenset({"offer-not-active", "offer-quota-exhausted", "campaign-budget-exhausted"})
"""Conditions of the offer itself, which its partner knows."""

blueprint = Blueprint(
    "eligibility", __name__, url_prefix="/v1", description="What an offer asks for, tried on"
)


class EligibilityCheckRequest(Schema):
    """Body of POST /v1/eligibility-checks."""

    offer_id = fields.String(required=True, validate=validate.Length(max=64))
    subject = fields.String(
        load_default=None,
        validate=validate.Length(1, 64),
        metadata={"description": "Partners only: the citizen, as they know her."},
    )

    @validates_schema
    def subject_fits_caller(self, data: dict[str, Any], **_: Any) -> None:
        """Let partners name a citizen, and citizens nobody."""
        is_partner = current_caller().kind == "partner"
        if is_partner != (data.get("subject") is not None):
            sentence = "Missing data for required field." if is_partner else "Unknown field."
            raise ValidationError(sentence, "subject")


class EligibilityView(Schema):
    """Whether an offer could be redeemed now, condition by condition."""

    offer_id = fields.String(required=True)
    offer_version = fields.Integer(required=True)
    is_eligible = fields.Boolean(required=True)
    conditions = fields.List(fields.Nested(ConditionView), required=True)


@blueprint.post("/eligibility-checks")
@requires("citizen")
@requires("partner", scope="offers:read")
@blueprint.arguments(EligibilityCheckRequest)
@blueprint.response(200, EligibilityView)
@blueprint.refusals(403, "consent-missing", "consent-expired", "consent-revoked", "consent-scope")
@blueprint.refusals(404, "offer-unknown", "id-unknown")
def check_eligibility(body: dict[str, Any]) -> Any:
    """Try an offer on: for oneself, or a partner its own offer for a citizen who agreed."""
    offer_id = ids.uuid_of(ids.OFFER, body["offer_id"])
    with runtime().database.pipelined_transaction() as connection:
        if body["subject"] is None:
            terms, found = _for_herself(connection, offer_id)
            clusters = None
        else:
            terms, found, clusters = _for_a_partner(connection, offer_id, body["subject"])
    return _view(terms, found, clusters)


def _for_herself(connection: Connection, offer_id: UUID) -> tuple[Terms, Eligibility]:
    citizen_id = current_caller().id
    offer, person = ask_offer(connection, offer_id), ask_person(connection, citizen_id)
    terms = _terms(offer_from(connection, offer).terms)
    person_id = person_from(person)
    return terms, conditions_of(connection, citizen_id, person_id, terms, clock.now())


def _for_a_partner(
    connection: Connection, offer_id: UUID, subject: str
) -> tuple[Terms, Eligibility, frozenset[str]]:
    partner_id = current_caller().id
    offer = offer_from(connection, ask_offer(connection, offer_id))
    terms = _terms(offer.terms if offer.partner_id == partner_id else None)
    # Whether a grade is enough says something of the grade.
    cluster = "tier" if terms.eligibility.grade_rules is not None else None
    consent = consent_of_subject(connection, partner_id, subject, cluster)
    require_consent(consent, consent.citizen_id, partner_id, terms)
    log_access(connection, consent, OPERATION, ids.public_id(ids.OFFER, offer_id))
    person_id = person_from(ask_person(connection, consent.citizen_id))
    found = conditions_of(connection, consent.citizen_id, person_id, terms, clock.now())
    return terms, found, consent.data_clusters


def _terms(terms: Terms | None) -> Terms:
    if terms is None:
        raise OfferUnknown("There is no such offer, or it is not yours to see.")
    return terms


def _view(terms: Terms, found: Eligibility, clusters: frozenset[str] | None) -> dict[str, Any]:
    """Return what was found; to a partner without what its citizen keeps to herself."""
    language = language_of(request.headers.get("Accept-Language"))
    return {
        "offer_id": ids.public_id(ids.OFFER, terms.offer_id),
        "offer_version": terms.version,
        "is_eligible": found.is_eligible,
        "conditions": [
            each.view(language, with_actual=_may_see(each.code, clusters))
            for each in found.conditions
        ],
    }


def _may_see(code: str, clusters: frozenset[str] | None) -> bool:
    return clusters is None or code in OF_NOBODY or CLUSTER_OF.get(code) in clusters
