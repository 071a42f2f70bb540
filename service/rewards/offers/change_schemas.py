"""Changes of offers at the HTTP edge."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service import ids
from service.rewards.offers.changes import ChangeRequest, Kind, Verdict
from service.rewards.offers.deciding import BECOMES
from service.rewards.offers.schemas import QUOTA_MOST, STATES, budget_field, quota_field
from service.rewards.offers.terms_schemas import MISSING, NO_MARKUP, UNKNOWN, whole
from service.web.pagination import PageQuery

REASON: Final = validate.Length(min=3, max=500)
DECISIONS: Final[Mapping[str, Verdict]] = {
    "approve": "approved",
    "approved": "approved",
    "reject": "rejected",
    "rejected": "rejected",
}
"""What staff may say, and the decision that it is."""
REQUEST_STATES: Final = ("open", "approved", "rejected")
OF_STATE: Final = frozenset({"state", "active_version"})
OF_LIMITS: Final = frozenset({"quota", "budget_minor"})


class OfferStandingRequest(Schema):
    """How an offer stands: `state` and `active_version`, or for limits the other two."""

    state = fields.String(validate=validate.OneOf(STATES))
    active_version = whole(1, QUOTA_MOST, allow_none=True)
    quota = quota_field()
    budget_minor = budget_field()


class ChangeRequestRequest(Schema):
    """Body of POST /v1/change-requests."""

    offer_id = fields.String(required=True, validate=validate.Length(max=64))
    kind = fields.String(required=True, validate=validate.OneOf(get_args(Kind)))
    offer_version = whole(
        1, QUOTA_MOST, load_default=None, metadata={"description": "For `activation`: which one."}
    )
    expected_current = fields.Nested(
        OfferStandingRequest,
        required=True,
        metadata={
            "description": "How the offer has to stand when this is decided: for `limits` quota and"
            " budget_minor, otherwise its state, and active_version where that matters."
        },
    )
    target = fields.Nested(
        OfferStandingRequest,
        load_default=None,
        metadata={
            "description": "How it stands then. For `limits` quota and budget_minor; otherwise the"
            " kind says it, and it may be left out."
        },
    )
    reason = fields.String(required=True, validate=[REASON, NO_MARKUP])

    @validates_schema
    def _names_a_version_to_activate(self, data: dict[str, Any], **_: Any) -> None:
        if (data["kind"] == "activation") != (data["offer_version"] is not None):
            sentence = MISSING if data["kind"] == "activation" else UNKNOWN
            raise ValidationError({"offer_version": [sentence]})

    @validates_schema
    def _speaks_of_what_changes(self, data: dict[str, Any], **_: Any) -> None:
        known = OF_LIMITS if data["kind"] == "limits" else OF_STATE
        needed = OF_LIMITS if data["kind"] == "limits" else frozenset({"state"})
        faults = {"expected_current": _faults(data["expected_current"], known, needed)}
        if data["kind"] == "limits":
            faults["target"] = _faults(data["target"] or {}, known, needed)
        elif data["target"] is not None:
            faults["target"] = _differences(data["target"], _becomes(data))
        found = {name: each for name, each in faults.items() if each}
        if found:
            raise ValidationError(found)


class ChangeDecisionRequest(Schema):
    """Body of POST /v1/change-requests/{id}/decisions."""

    decision = fields.String(required=True, validate=validate.OneOf(list(DECISIONS)))
    reason = fields.String(required=True, validate=[REASON, NO_MARKUP])


class ChangeRequestQuery(PageQuery):
    """Query of GET /v1/change-requests."""

    state = fields.String(load_default=None, validate=validate.OneOf(REQUEST_STATES))
    offer_id = fields.String(load_default=None, validate=validate.Length(max=64))


class ChangeDecisionView(Schema):
    """What a second person has said."""

    decision = fields.String(required=True, validate=validate.OneOf(get_args(Verdict)))
    reason = fields.String(required=True)
    decided_by = fields.String(required=True)
    decided_at = fields.AwareDateTime(required=True)


class ChangeRequestView(Schema):
    """A change that somebody asks for."""

    id = fields.String(required=True)
    offer_id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(get_args(Kind)))
    offer_version = fields.Integer(required=True, allow_none=True)
    expected_current = fields.Dict(required=True)
    target = fields.Dict(required=True)
    reason = fields.String(required=True)
    requested_by = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(REQUEST_STATES))
    decision = fields.Nested(ChangeDecisionView, required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


def target_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an offer will stand, as a request's body says it in full."""
    return dict(body["target"]) if body["kind"] == "limits" else _becomes(body)


def change_request_view(request: ChangeRequest) -> dict[str, Any]:
    """Return a request as it is shown."""
    author = ids.PARTNER if request.requested_by_kind == "partner" else ids.STAFF
    return {
        "id": ids.public_id(ids.CHANGE_REQUEST, request.id),
        "offer_id": ids.public_id(ids.OFFER, request.offer_id),
        "kind": request.kind,
        "offer_version": request.offer_version,
        "expected_current": request.expected_current,
        "target": request.target,
        "reason": request.reason,
        "requested_by": ids.public_id(author, request.requested_by),
        "state": request.decision or "open",
        "decision": _decision_view(request),
        "recorded_at": request.recorded_at,
    }


def _decision_view(request: ChangeRequest) -> dict[str, Any] | None:
    if request.decided_by is None:
        return None
    return {
        "decision": request.decision,
        "reason": request.decision_reason,
        "decided_by": ids.public_id(ids.STAFF, request.decided_by),
        "decided_at": request.decided_at,
    }


def _becomes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an offer stands after a change of its state."""
    if body["kind"] == "activation":
        return {"state": "active", "active_version": body["offer_version"]}
    return {"state": BECOMES[body["kind"]]}


def _faults(
    given: Mapping[str, Any], known: frozenset[str], needed: frozenset[str]
) -> dict[str, list[str]]:
    faults = {name: [UNKNOWN] for name in sorted(set(given) - known)}
    return faults | {name: [MISSING] for name in sorted(needed - set(given))}


def _differences(given: Mapping[str, Any], becomes: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        name: [f"Must be one of: {becomes[name]}." if name in becomes else UNKNOWN]
        for name, value in given.items()
        if name not in becomes or becomes[name] != value
    }
