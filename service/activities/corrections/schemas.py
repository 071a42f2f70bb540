"""The shapes of corrections and invalidations at the HTTP edge."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from service import ids
from service.activities.corrections.answers import Corrected
from service.activities.corrections.invalidations import Invalidating
from service.activities.corrections.restatements import REASON_MAX
from service.activities.reasons import sentence
from service.messages import Language

REASON: Final = validate.Length(1, REASON_MAX)
REASON_SAYS: Final = {"description": "Why; it is kept with the citizen's records."}


class RestatementRequest(Schema):
    """The whole record as it should have been."""

    reason = fields.String(required=True, validate=REASON, metadata=REASON_SAYS)
    started_at = fields.AwareDateTime(required=True, format="iso")
    ended_at = fields.AwareDateTime(required=True, format="iso")
    activity_data = fields.Dict(required=True, metadata={"example": {"distance_m": 8200}})
    behavior = fields.String(metadata={"description": "As it was; it cannot be another."})
    withdrawn = fields.Boolean(validate=validate.OneOf([False]))


class WithdrawalRequest(Schema):
    """There never was such an act."""

    reason = fields.String(required=True, validate=REASON, metadata=REASON_SAYS)
    withdrawn = fields.Boolean(required=True, validate=validate.OneOf([True]))


CORRECTION_REQUEST: Final = {"oneOf": [RestatementRequest, WithdrawalRequest]}
"""Body of POST /v1/activities/{id}/corrections."""


class AmountView(Schema):
    """Grams of CO2e and points."""

    reduction_g = fields.Integer(required=True)
    points = fields.Integer(required=True)


class CorrectionView(Schema):
    """A correction and what it brought about."""

    corrected_id = fields.String(required=True, metadata={"description": "`act_…`"})
    activity_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The new revision; null: it was withdrawn."},
    )
    revision = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    verdict = fields.String(
        required=True,
        validate=validate.OneOf(["certified", "pending", "refused", "invalidated", "withdrawn"]),
        metadata={"description": "On the restated record; what became of a withdrawn one."},
    )
    code = fields.String(metadata={"description": "Why; stable."})
    detail = fields.String(metadata={"description": "Why; a sentence in the caller's language."})
    reduction_g = fields.Integer(required=True, metadata={"description": "Of the restated one."})
    points = fields.Integer(required=True)
    invalidated = fields.Nested(
        AmountView, required=True, metadata={"description": "What the corrected one had given."}
    )
    owed = fields.Nested(
        AmountView,
        required=True,
        metadata={"description": "By so much the citizen owes more: it was spent already."},
    )


class InvalidationRequest(Schema):
    """Body of POST /v1/activities/{id}/invalidations."""

    reason = fields.String(
        required=True,
        validate=validate.Length(1, REASON_MAX),
        metadata={"description": "What was found, and how."},
    )


class InvalidationView(Schema):
    """An activity that staff found false."""

    activity_id = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["proposed", "invalidated"]))
    reason = fields.String(required=True)
    proposed_by = fields.String(required=True)
    proposed_at = fields.AwareDateTime(required=True)
    approved_by = fields.String(required=True, allow_none=True)
    approved_at = fields.AwareDateTime(required=True, allow_none=True)


def correction_view(corrected: Corrected, language: Language) -> dict[str, Any]:
    """Return a correction as its source is shown it."""
    new, code = corrected.activity_id, corrected.code
    why = {"code": code, "detail": sentence(code, corrected.params, language)} if code else {}
    return {
        "corrected_id": ids.public_id(ids.ACTIVITY, corrected.corrected_id),
        "activity_id": None if new is None else ids.public_id(ids.ACTIVITY, new),
        "revision": corrected.revision,
        "recorded_at": corrected.recorded_at,
        "verdict": corrected.verdict,
        **why,
        "reduction_g": corrected.reduction_g,
        "points": corrected.points,
        "invalidated": {
            "reduction_g": corrected.invalidated_g,
            "points": corrected.invalidated_points,
        },
        "owed": {"reduction_g": corrected.owed_g, "points": corrected.owed_points},
    }


def invalidation_view(invalidating: Invalidating) -> dict[str, Any]:
    """Return an invalidation as staff are shown it."""
    return {
        "activity_id": ids.public_id(ids.ACTIVITY, invalidating.activity_id),
        "state": "proposed" if invalidating.approved_by is None else "invalidated",
        "reason": invalidating.reason,
        "proposed_by": invalidating.proposed_by,
        "proposed_at": invalidating.proposed_at,
        "approved_by": invalidating.approved_by,
        "approved_at": invalidating.approved_at,
    }
