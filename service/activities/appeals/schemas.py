"""The shapes of appeals at the HTTP edge."""

from typing import Any

from marshmallow import Schema, fields, validate

from service import ids
from service.activities.appeals.appeals import AppealRecord
from service.web.pagination import PageQuery

STATES = ("open", "upheld", "dismissed")
STATEMENT_MAX = 2_000


class AppealRequest(Schema):
    """Body of POST /v1/activities/{id}/appeals."""

    statement = fields.String(
        required=True,
        validate=validate.Length(1, STATEMENT_MAX),
        metadata={"description": "Why the refusal is wrong."},
    )


class AppealQuery(PageQuery):
    """Query of GET /v1/appeals."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


class AppealDecisionRequest(Schema):
    """Body of POST /v1/appeals/{id}/decisions."""

    decision = fields.String(required=True, validate=validate.OneOf(["upheld", "dismissed"]))
    statement = fields.String(
        required=True,
        validate=validate.Length(1, STATEMENT_MAX),
        metadata={"description": "Why; the citizen reads it."},
    )


class AppealAnswerView(Schema):
    """What was decided."""

    decision = fields.String(required=True, validate=validate.OneOf(["upheld", "dismissed"]))
    statement = fields.String(required=True)
    decided_at = fields.AwareDateTime(required=True)


class AppealView(Schema):
    """An appeal."""

    id = fields.String(required=True)
    activity_id = fields.String(required=True)
    behavior = fields.String(required=True)
    refusal = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The activity's first code; null: its batch was rejected."},
    )
    statement = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    recorded_at = fields.AwareDateTime(required=True)
    decision = fields.Nested(AppealAnswerView, required=True, allow_none=True)


def appeal_view(appeal: AppealRecord) -> dict[str, Any]:
    """Return an appeal as it is shown, to its citizen and to staff."""
    answer = {
        "decision": appeal.state,
        "statement": appeal.answer,
        "decided_at": appeal.decided_at,
    }
    return {
        "id": ids.public_id(ids.APPEAL, appeal.id),
        "activity_id": ids.public_id(ids.ACTIVITY, appeal.activity_id),
        "behavior": appeal.behavior,
        "refusal": appeal.refusal,
        "statement": appeal.statement,
        "state": appeal.state,
        "recorded_at": appeal.recorded_at,
        "decision": None if appeal.state == "open" else answer,
    }
