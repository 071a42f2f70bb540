"""Offers at the HTTP edge."""

from typing import Any, Final, get_args
from uuid import UUID

from marshmallow import Schema, fields, validate

from service import ids
from service.rewards.offers.catalogue import OfferState
from service.rewards.offers.listing import Listed
from service.rewards.offers.terms import Terms
from service.rewards.offers.terms_schemas import MONEY_MOST, TermsRequest, whole
from service.rewards.offers.usage import Usage
from service.web.pagination import PageQuery

QUOTA_MOST: Final = 10**9
TERMS_SAY: Final = {
    "description": "What was entered, with the timers that were left out, and `offer_id`, `version`"
    " and `partner`. Whoever holds it can compute `terms_hash`."
}
SLUG: Final = validate.Regexp(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
STATES: Final = get_args(OfferState)


def quota_field(**options: Any) -> fields.Integer:
    """Return a field for how many redemptions there may be."""
    says = {"description": "Redemptions in all; null: any number."}
    return whole(0, QUOTA_MOST, allow_none=True, metadata=says, **options)


def budget_field(**options: Any) -> fields.Integer:
    """Return a field for what they may cost together."""
    says = {"description": "Fen in all; null: any amount."}
    return whole(0, MONEY_MOST, allow_none=True, metadata=says, **options)


class OfferQuery(PageQuery):
    """Query of GET /v1/offers."""

    state = fields.String(
        load_default=None,
        validate=validate.OneOf(STATES),
        metadata={"description": "Without it, all that the caller may see."},
    )
    partner = fields.String(
        load_default=None, validate=validate.Length(max=64), metadata={"description": "Its name."}
    )


class OfferRequest(Schema):
    """Body of POST /v1/offers."""

    partner = fields.String(
        load_default=None,
        validate=validate.Length(min=1, max=64),
        metadata={"description": "The partner's name; said by staff, and only by them."},
    )
    name = fields.String(
        required=True,
        validate=[validate.Length(min=1, max=64), SLUG],
        metadata={
            "description": "The partner's own word for it, never given twice.",
            "example": "green-loan-coupon",
        },
    )
    quota = quota_field(load_default=None)
    budget_minor = budget_field(load_default=None)
    terms = fields.Nested(TermsRequest, required=True)


class OfferVersionRequest(Schema):
    """Body of POST /v1/offers/{id}/versions."""

    terms = fields.Nested(TermsRequest, required=True)


class DirectChangeRequest(Schema):
    """Body of PUT /v1/offers/{id}, which changes nothing."""

    state = fields.String(validate=validate.OneOf(STATES))
    active_version = whole(1, QUOTA_MOST, allow_none=True)
    quota = quota_field()
    budget_minor = budget_field()


class OfferVersionView(Schema):
    """One version of an offer's terms, which never changes."""

    offer_id = fields.String(required=True)
    version = fields.Integer(required=True)
    terms_hash = fields.String(
        required=True,
        metadata={"description": "Hex SHA-256 of `terms` by RFC 8785 (JSON Canonicalization)."},
    )
    terms = fields.Dict(required=True, metadata=TERMS_SAY)


class OfferView(Schema):
    """An offer with the terms in force; a draft with its newest."""

    id = fields.String(required=True)
    partner = fields.String(required=True, metadata={"description": "The partner's name."})
    name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    active_version = fields.Integer(required=True, allow_none=True)
    newest_version = fields.Integer(required=True)
    version = fields.Integer(required=True, metadata={"description": "Whose terms are shown."})
    terms_hash = fields.String(required=True)
    terms = fields.Dict(required=True, metadata=TERMS_SAY)
    recorded_at = fields.AwareDateTime(required=True)


class TakenView(Schema):
    """How much is taken."""

    taken = fields.Integer(required=True, metadata={"description": "Redemptions."})
    budget_taken_minor = fields.Integer(required=True, metadata={"description": "Fen."})


class OfferUsageView(TakenView):
    """How much of an offer is taken, counted from its redemptions."""

    offer_id = fields.String(required=True)
    quota = fields.Integer(required=True, allow_none=True)
    left = fields.Integer(required=True, allow_none=True)
    budget_minor = fields.Integer(required=True, allow_none=True)
    budget_left_minor = fields.Integer(required=True, allow_none=True)
    redemptions = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "By state."},
    )
    counter = fields.Nested(
        TakenView, required=True, metadata={"description": "What the counter says by itself."}
    )
    agrees = fields.Boolean(
        required=True, metadata={"description": "Whether the counter says the same."}
    )
    as_of = fields.AwareDateTime(required=True)
    as_of_seq = fields.Integer(
        required=True, metadata={"description": "The partner's newest event then."}
    )


def version_view(terms: Terms) -> dict[str, Any]:
    """Return a version as it is shown."""
    return {
        "offer_id": ids.public_id(ids.OFFER, terms.offer_id),
        "version": terms.version,
        "terms_hash": terms.terms_hash,
        "terms": terms.document,
    }


def offer_view(offer: Listed) -> dict[str, Any]:
    """Return an offer as it is shown."""
    return {
        "id": ids.public_id(ids.OFFER, offer.id),
        "partner": offer.terms.partner,
        "name": offer.name,
        "state": offer.state,
        "active_version": offer.active_version,
        "newest_version": offer.newest_version,
        "version": offer.terms.version,
        "terms_hash": offer.terms.terms_hash,
        "terms": offer.terms.document,
        "recorded_at": offer.recorded_at,
    }


def usage_view(offer_id: UUID, usage: Usage) -> dict[str, Any]:
    """Return what is taken of an offer as it is shown."""
    quota, counted, budget_minor, counted_minor = usage.counter
    return {
        "offer_id": ids.public_id(ids.OFFER, offer_id),
        "quota": quota,
        "taken": usage.taken,
        "left": None if quota is None else quota - usage.taken,
        "budget_minor": budget_minor,
        "budget_taken_minor": usage.budget_taken_minor,
        "budget_left_minor": (
            None if budget_minor is None else budget_minor - usage.budget_taken_minor
        ),
        "redemptions": usage.by_state,
        "counter": {"taken": counted, "budget_taken_minor": counted_minor},
        "agrees": usage.agrees,
        "as_of": usage.as_of,
        "as_of_seq": usage.as_of_seq,
    }
