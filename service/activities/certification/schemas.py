"""The shapes of certification batches at the HTTP edge."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from service import ids
from service.activities.certification.batches import Decided
from service.activities.certification.lists import STATES, BatchItem, BatchRecord
from service.web.pagination import PageQuery

DECISIONS: Mapping[str, Decided] = {
    "approve": "approved",
    "approved": "approved",
    "reject": "rejected",
    "rejected": "rejected",
}
"""What a verifier may say, and the decision that it is."""
STATEMENT_MAX = 500
"""Every citizen whose activity is refused with a batch reads it."""


class BatchQuery(PageQuery):
    """Query of GET /v1/certification-batches."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


class BatchDecisionRequest(Schema):
    """Body of POST /v1/certification-batches/{id}/decisions."""

    decision = fields.String(
        required=True,
        validate=validate.OneOf(list(DECISIONS)),
        metadata={"example": "approve"},
    )
    statement = fields.String(
        required=True,
        validate=validate.Length(1, STATEMENT_MAX),
        metadata={"description": "What was verified, and how; or why it is rejected."},
    )


class BatchDecisionView(Schema):
    """A verifier's decision."""

    batch_id = fields.String(required=True)
    decision = fields.String(required=True, validate=validate.OneOf(["approved", "rejected"]))
    statement = fields.String(required=True)
    verifier_id = fields.String(required=True)
    decided_at = fields.AwareDateTime(required=True)


class BatchOutcomeView(Schema):
    """What a decision has brought about."""

    approved = fields.Integer(required=True, metadata={"description": "activities"})
    issued = fields.Integer(required=True, metadata={"description": "activities"})
    reduction_g = fields.Integer(required=True, metadata={"description": "issued, g CO2e"})
    points = fields.Integer(required=True, metadata={"description": "issued"})
    skipped = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Reason to activities that were not issued."},
    )
    carried_out_at = fields.AwareDateTime(required=True)


class BatchView(Schema):
    """A day's pending activities of one source and methodology, closed."""

    id = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "Its name, or `citizen`."})
    methodology_code = fields.String(required=True)
    happened_on = fields.Date(required=True, metadata={"description": "Asia/Shanghai"})
    activities = fields.Integer(required=True)
    reduction_g = fields.Integer(required=True, metadata={"description": "g CO2e"})
    points = fields.Integer(required=True)
    digest = fields.String(
        required=True,
        metadata={
            "description": "Hex SHA-256 over its activities in order of their ids: for each the 16"
            " bytes of the id, the 32 of the evidence digest, reduction_g and points as 8-byte"
            " big-endian integers."
        },
    )
    closed_at = fields.AwareDateTime(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    decision = fields.Nested(BatchDecisionView, required=True, allow_none=True)
    outcome = fields.Nested(BatchOutcomeView, required=True, allow_none=True)


class BatchItemView(Schema):
    """One activity of a batch: what the digest covers, and nobody's name."""

    activity_id = fields.String(required=True)
    evidence_digest = fields.String(required=True, metadata={"description": "hex SHA-256"})
    reduction_g = fields.Integer(required=True)
    points = fields.Integer(required=True)


class BatchDetailView(BatchView):
    """A batch with the first of its activities."""

    items = fields.List(fields.Nested(BatchItemView), required=True)


def batch_view(batch: BatchRecord) -> dict[str, Any]:
    """Return a batch as it is shown."""
    return {
        "id": ids.public_id(ids.CERTIFICATION_BATCH, batch.id),
        "source": batch.source,
        "methodology_code": batch.methodology_code,
        "happened_on": batch.happened_on,
        "activities": batch.activities,
        "reduction_g": batch.reduction_g,
        "points": batch.points,
        "digest": batch.digest.hex(),
        "closed_at": batch.closed_at,
        "state": batch.state,
        "decision": decision_view(batch),
        "outcome": _outcome_view(batch),
    }


def decision_view(batch: BatchRecord) -> dict[str, Any] | None:
    """Return the decision on a batch as it is shown, or None while it is open."""
    if batch.verifier_id is None:
        return None
    return {
        "batch_id": ids.public_id(ids.CERTIFICATION_BATCH, batch.id),
        "decision": "rejected" if batch.state == "rejected" else "approved",
        "statement": batch.statement,
        "verifier_id": ids.public_id(ids.STAFF, batch.verifier_id),
        "decided_at": batch.decided_at,
    }


def item_view(item: BatchItem) -> dict[str, Any]:
    """Return an activity of a batch as it is shown."""
    return {**item._asdict(), "activity_id": ids.public_id(ids.ACTIVITY, item.activity_id)}


def _outcome_view(batch: BatchRecord) -> dict[str, Any] | None:
    if batch.carried_out_at is None:
        return None
    return {
        "approved": batch.approved,
        "issued": batch.issued,
        "reduction_g": batch.issued_g,
        "points": batch.issued_points,
        "skipped": batch.skipped,
        "carried_out_at": batch.carried_out_at,
    }
