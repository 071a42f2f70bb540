"""The shapes of activities at the HTTP edge, as the OpenAPI document shows them."""

from marshmallow import Schema, fields, validate


class ActivityRequest(Schema):
    """Body of POST /v1/activities: an act as the citizen records it herself."""

    external_id = fields.String(
        required=True,
        validate=validate.Length(1, 128),
        metadata={"description": "The recorder's own number of the act; it is recorded once."},
    )
    behavior = fields.String(required=True, metadata={"example": "household_pv"})
    started_at = fields.AwareDateTime(required=True, format="iso")
    ended_at = fields.AwareDateTime(required=True, format="iso")
    activity_data = fields.Dict(
        required=True,
        metadata={
            "description": "Measured quantities; GET /v1/methodologies says which.",
            "example": {"energy_wh": 5400},
        },
    )


class ActivityLine(ActivityRequest):
    """One line of POST /v1/activity-batches."""

    account_ref = fields.String(
        required=True,
        validate=validate.Length(1, 128),
        metadata={"description": "The account at the source that a citizen has linked."},
    )


class ItemView(Schema):
    """The verdict on one line."""

    line = fields.Integer(required=True, metadata={"description": "From 1; blank lines count."})
    external_id = fields.String()
    verdict = fields.String(
        required=True,
        validate=validate.OneOf(["certified", "pending", "duplicate", "conflict", "refused"]),
    )
    code = fields.String(metadata={"description": "Why; stable."})
    detail = fields.String(metadata={"description": "Why; a sentence in the caller's language."})
    activity_id = fields.String()
    reduction_g = fields.Integer(metadata={"description": "g CO2e"})
    points = fields.Integer()
    first_verdict = fields.String(metadata={"description": "Of a duplicate: what was decided."})
    present_verdict = fields.String(
        metadata={"description": "Of a duplicate that was corrected or taken back since."}
    )


class FeedView(Schema):
    """The verdicts on a feed."""

    batch_id = fields.String(required=True)
    received = fields.Integer(required=True)
    certified = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    conflict = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    reduction_g = fields.Integer(required=True, metadata={"description": "certified now, g CO2e"})
    points = fields.Integer(required=True, metadata={"description": "issued now"})
    items = fields.List(fields.Nested(ItemView), required=True)


class VerdictView(Schema):
    """One decision about an activity."""

    verdict = fields.String(required=True)
    code = fields.String()
    detail = fields.String()
    recorded_at = fields.Raw(required=True, metadata={"description": "RFC 3339"})


class ActivityView(Schema):
    """An activity with its verdict and reasons."""

    id = fields.String(required=True)
    behavior = fields.String(required=True)
    source = fields.String(
        required=True, metadata={"description": "The source's name, or `citizen`."}
    )
    external_id = fields.String(required=True)
    tier = fields.String(required=True)
    started_at = fields.AwareDateTime(allow_none=True)
    ended_at = fields.AwareDateTime(allow_none=True)
    activity_data = fields.Dict(allow_none=True)
    verdict = fields.String(required=True)
    code = fields.String()
    detail = fields.String()
    reduction_g = fields.Integer(required=True)
    points = fields.Integer(required=True)
    simulated = fields.Boolean(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    revision = fields.Integer(
        required=True, metadata={"description": "How often its source has restated the record."}
    )
    replaced_by = fields.String(
        metadata={"description": "The activity that a correction put in its place."}
    )
    history = fields.List(fields.Nested(VerdictView), required=True)
