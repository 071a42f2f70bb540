"""Quotes and redemptions in JSON."""

from typing import Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.rewards.redemptions.states import STEPS
from service.web.pagination import PageQuery
from service.web.query_values import Moment

REFERENCE: Final = validate.Regexp(r"[A-Za-z0-9._:/][A-Za-z0-9._:/-]{0,63}\Z")
"""What a partner calls a record: no character that a spreadsheet could take for a formula."""
ID: Final = validate.Length(max=128)
POINTS: Final = validate.Range(min=1, max=2**53 - 1)
DECIMAL: Final = validate.Regexp(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,6})?\Z")
SHARE: Final = validate.Regexp(r"(1(\.0{1,9})?|0\.0{0,8}[1-9][0-9]{0,8})\Z")
MINOR: Final = validate.Range(min=0, max=2**53 - 1)

DECLINE_REASONS: Final = (
    "not-approved",
    "not-eligible-at-partner",
    "customer-withdrew",
    "terms-changed",
    "benefit-repriced",
    "duplicate",
    "fraud-suspected",
    "other",
)
VOID_REASONS: Final = ("customer-withdrew", "mistake", "duplicate", "fraud-suspected", "other")
REVERSAL_REASONS: Final = (
    "not-drawn",
    "cooling-off",
    "cancelled-mid-term",
    "repaid-early",
    "mistake",
    "fraud",
    "other",
)


class QuoteRequest(Schema):
    """What she would like to redeem, and by which consent the partner may know of it."""

    offer_id = fields.String(required=True, validate=ID)
    consent_id = fields.String(required=True, validate=ID)


class LotPreview(Schema):
    """From which lot points would come."""

    expires_on = fields.Date(required=True)
    points = fields.Integer(required=True)


class QuoteView(Schema):
    """What she would give and get, until when."""

    id = fields.String(required=True, metadata={"example": "qte_" + "0" * 32})
    offer_id = fields.String(required=True)
    offer_version = fields.Integer(required=True)
    consent_id = fields.String(required=True)
    settlement_mode = fields.String(required=True, metadata={"enum": ["burn", "lock", "attest"]})
    points = fields.Integer(required=True)
    benefit = fields.Dict(required=True)
    terms_hash = fields.String(
        required=True, metadata={"description": "SHA-256 of the RFC 8785 form of the terms."}
    )
    lots_preview = fields.List(fields.Nested(LotPreview), required=True)
    valid_until = fields.AwareDateTime(required=True)
    quote_jws = fields.String(
        required=True, metadata={"description": "The same, signed: typ carbon-quote+jwt."}
    )


class RedemptionRequest(Schema):
    """The quote that she accepts."""

    quote_id = fields.String(required=True, validate=ID)
    consent_id = fields.String(
        load_default=None,
        validate=ID,
        metadata={"description": "By default the quote's; another one after a renewal."},
    )
    submit = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Show it to the partner at once; the answer is the entitlement."},
    )


class RecordView(Schema):
    """One step of a redemption."""

    id = fields.String(required=True, metadata={"example": "rrc_" + "0" * 32})
    redemption_id = fields.String(required=True)
    no = fields.Integer(required=True, metadata={"description": "The redemption's version."})
    kind = fields.String(required=True, metadata={"enum": sorted(STEPS)})
    state = fields.String(required=True, metadata={"description": "From this step on."})
    request_number = fields.String(required=True, metadata={"description": "The caller's key."})
    actor = fields.String(
        required=True, metadata={"enum": ["citizen", "partner", "staff", "service"]}
    )
    points = fields.Integer(required=True)
    reduction_g = fields.Integer(required=True)
    subsidy_minor = fields.Integer(required=True)
    partner_reference = fields.String(required=True, allow_none=True)
    of_record_id = fields.String(required=True, allow_none=True)
    details = fields.Dict(required=True)
    business_date = fields.Date(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class SubmissionView(RecordView):
    """The submission, and what she may show."""

    entitlement = fields.String(
        required=True, metadata={"description": "A JWS: typ carbon-entitlement+jwt."}
    )
    deadline_at = fields.AwareDateTime(required=True)


class RedemptionView(Schema):
    """How a redemption stands."""

    id = fields.String(required=True, metadata={"example": "rdm_" + "0" * 32})
    state = fields.String(required=True)
    version = fields.Integer(required=True)
    partner_id = fields.String(required=True)
    offer_id = fields.String(required=True)
    offer_version = fields.Integer(required=True)
    quote_id = fields.String(required=True)
    consent_id = fields.String(required=True)
    subject = fields.String(metadata={"description": "Shown to the partner alone."})
    settlement_mode = fields.String(required=True)
    benefit = fields.Dict(required=True)
    terms_hash = fields.String(required=True)
    points = fields.Integer(required=True)
    captured_points = fields.Integer(required=True)
    reversed_points = fields.Integer(required=True)
    subsidy_minor = fields.Integer(required=True)
    deadline_at = fields.AwareDateTime(required=True, allow_none=True)
    matures_at = fields.AwareDateTime(required=True, allow_none=True)
    void_requested_at = fields.AwareDateTime(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)
    allowed = fields.List(
        fields.String(), required=True, metadata={"description": "Steps possible in this state."}
    )
    entitlement = fields.String(
        metadata={"description": "To the partner, while it is submitted and she consents."}
    )
    records = fields.List(fields.Nested(RecordView))


class RedemptionLineView(Schema):
    """A redemption in a list."""

    id = fields.String(required=True)
    state = fields.String(required=True)
    version = fields.Integer(required=True)
    offer_id = fields.String(required=True)
    settlement_mode = fields.String(required=True)
    points = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class RedemptionsQuery(PageQuery):
    """Which redemptions."""

    state = fields.String(
        load_default=None,
        validate=validate.OneOf(sorted({state for step in STEPS.values() for state in step[1]})),
    )


class BenefitActual(Schema):
    """The benefit as it was granted; what is given has to be as quoted, a factor in its band."""

    kind = fields.String()
    rate_delta_bp = fields.Integer(strict=True)
    uplift_percent = fields.String(validate=DECIMAL)
    amount_minor = fields.Integer(strict=True, validate=MINOR)
    currency = fields.String(validate=validate.Equal("CNY"))
    factor = fields.String(validate=DECIMAL)


class CaptureRequest(Schema):
    """What the partner confirms."""

    partner_reference = fields.String(
        required=True,
        validate=REFERENCE,
        metadata={"description": "Yours for this capture, for ever."},
    )
    terms_hash = fields.String(required=True, validate=validate.Length(equal=64))
    points = fields.Integer(
        strict=True, load_default=None, validate=validate.Range(min=0, max=2**53 - 1)
    )
    effective_from = Moment(load_default=None)
    effective_to = Moment(load_default=None)
    benefit_actual = fields.Nested(BenefitActual, load_default=None)

    @validates_schema(skip_on_field_errors=True)
    def ends_after_it_begins(self, data: dict[str, object], **_: object) -> None:
        """Refuse a benefit that ends before it begins."""
        begins, ends = data["effective_from"], data["effective_to"]
        if begins and ends and not begins < ends:  # type: ignore[operator]  # both are moments
            raise ValidationError("Invalid value.", "effective_to")


class DeclineRequest(Schema):
    """Why the partner does not grant it: a code, for records are kept for ever."""

    reason = fields.String(required=True, validate=validate.OneOf(DECLINE_REASONS))
    partner_reference = fields.String(load_default=None, validate=REFERENCE)


class VoidRequest(Schema):
    """Why it shall be as if it had not been."""

    reason = fields.String(load_default="other", validate=validate.OneOf(VOID_REASONS))
    partner_reference = fields.String(load_default=None, validate=REFERENCE)


class ReversalRequest(Schema):
    """What the partner takes back: points, a share of what was captured, or all that is left."""

    reason = fields.String(required=True, validate=validate.OneOf(REVERSAL_REASONS))
    partner_reference = fields.String(load_default=None, validate=REFERENCE)
    points = fields.Integer(strict=True, load_default=None, validate=POINTS)
    share = fields.String(
        load_default=None,
        validate=SHARE,
        metadata={"example": "0.5", "description": "Over 0 and at most 1."},
    )
    policy_ref = fields.String(load_default=None, validate=REFERENCE)

    @validates_schema(skip_on_field_errors=True)
    def says_one_amount(self, data: dict[str, object], **_: object) -> None:
        """Refuse two amounts."""
        if data["points"] is not None and data["share"] is not None:
            raise ValidationError("Invalid value.", "share")
