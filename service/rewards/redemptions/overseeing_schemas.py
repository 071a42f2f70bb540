"""Disputes, forced resolutions and what staff look at, in JSON."""

from typing import Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.rewards.redemptions.schemas import (
    REFERENCE,
    CaptureRequest,
    RecordView,
    RedemptionView,
)
from service.web.pagination import PageQuery

WORDS: Final = validate.Length(min=1, max=2000)

DISPUTE_REASONS: Final = (
    "benefit-not-granted",
    "benefit-differs",
    "not-mine",
    "charged-twice",
    "mistake",
    "fraud-suspected",
    "other",
)

EVIDENCE_KINDS: Final = ("partner-letter", "partner-call", "partner-file", "court", "other")


class DisputeRequest(Schema):
    """What is wrong with a settled benefit."""

    reason = fields.String(required=True, validate=validate.OneOf(DISPUTE_REASONS))
    words = fields.String(
        load_default=None,
        validate=WORDS,
        metadata={"description": "The citizen's own; needed from her, and only hers."},
    )


class ResolutionRequest(Schema):
    """How a dispute ends."""

    outcome = fields.String(required=True, validate=validate.OneOf(("settled", "reversed")))
    reason = fields.String(
        required=True, validate=WORDS, metadata={"description": "Told to the citizen."}
    )


class DisputeStepView(Schema):
    """A dispute, or its resolution."""

    record_id = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": ["dispute", "resolution"]})
    state = fields.String(required=True)
    actor = fields.String(required=True)
    details = fields.Dict(required=True)
    words = fields.String(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


class DisputeView(Schema):
    """What was disputed and resolved, in order."""

    items = fields.List(fields.Nested(DisputeStepView), required=True)


class Evidence(Schema):
    """Where it is to be found why it is so."""

    kind = fields.String(required=True, validate=validate.OneOf(EVIDENCE_KINDS))
    reference = fields.String(
        required=True,
        validate=REFERENCE,
        metadata={"description": "Of the letter, the call or the file; names nobody."},
    )
    sha256 = fields.String(
        load_default=None,
        validate=validate.Regexp(r"[0-9a-f]{64}\Z"),
        metadata={"description": "Of the document, if there is one."},
    )


class ForcedResolutionRequest(Schema):
    """What is to become of a redemption that nobody knows about."""

    outcome = fields.String(
        required=True, validate=validate.OneOf(("captured", "declined", "voided"))
    )
    evidence = fields.Nested(Evidence, required=True)
    capture = fields.Nested(
        CaptureRequest,
        load_default=None,
        metadata={"description": "What the partner has captured; needed for that outcome alone."},
    )

    @validates_schema(skip_on_field_errors=True)
    def says_what_is_captured(self, data: dict[str, object], **_: object) -> None:
        """Refuse a capture without its terms, and terms without a capture."""
        if (data["outcome"] == "captured") != (data["capture"] is not None):
            raise ValidationError("Invalid value.", "capture")


class ForcedResolutionView(Schema):
    """What one of the staff wants, and who agreed."""

    id = fields.String(required=True, metadata={"example": "frs_" + "0" * 32})
    redemption_id = fields.String(required=True)
    outcome = fields.String(required=True)
    evidence = fields.Dict(required=True)
    capture = fields.Dict(required=True, allow_none=True)
    proposed_by = fields.String(required=True)
    approved_by = fields.String(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


class InquiryView(Schema):
    """One question to a partner, and what it answered."""

    no = fields.Integer(required=True)
    answer = fields.String(required=True)
    details = fields.Dict(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


class CasesQuery(PageQuery):
    """Which redemptions that people have to look at."""

    state = fields.String(load_default=None, validate=validate.OneOf(("unknown", "disputed")))
    needs_human = fields.Boolean(
        load_default=None,
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "true: unknown for more working days than the terms allow."},
    )


class CaseLineView(Schema):
    """A redemption that people have to look at, in a list."""

    id = fields.String(required=True)
    state = fields.String(required=True)
    needs_human = fields.Boolean(required=True)
    asked = fields.Integer(required=True, metadata={"description": "Questions to the partner."})
    partner_id = fields.String(required=True)
    offer_id = fields.String(required=True)
    points = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class CaseView(RedemptionView):
    """All that staff decide by."""

    needs_human = fields.Boolean(required=True)
    records = fields.List(fields.Nested(RecordView), required=True)
    inquiries = fields.List(fields.Nested(InquiryView), required=True)
    dispute = fields.List(fields.Nested(DisputeStepView), required=True)
    forced_resolutions = fields.List(fields.Nested(ForcedResolutionView), required=True)
