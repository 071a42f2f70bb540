"""JSON of people's matters: what is read, what is shown."""

from typing import Any
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.ids import CITIZEN, SOURCE_LINK, STAFF, public_id
from service.web.pagination import PageQuery

CODE_SHAPE = validate.Regexp(r"[0-9]{6}\Z")
REASON = validate.Length(min=3, max=500)
NEEDED_FOR = {"otp": {"request_id", "code"}, "refresh_token": {"refresh_token"}}
ALSO_FOR = {"otp": {"device_id", "not_my_account"}, "refresh_token": set[str]()}


class PublicId(fields.String):
    """An id as callers see it: prefix and hexadecimal digits."""

    def __init__(self, prefix: str, **options: Any) -> None:
        example = public_id(prefix, UUID(int=1))
        super().__init__(metadata={"example": example}, **options)
        self.prefix = prefix

    def _serialize(  # type: ignore[override]  # a UUID inside, text outside
        self, value: UUID | None, *_: Any, **__: Any
    ) -> str | None:
        return None if value is None else public_id(self.prefix, value)


class OtpRequest(Schema):
    """Body of POST /v1/auth/otp."""

    phone = fields.String(
        required=True,
        validate=validate.Length(min=1, max=32),
        metadata={"description": "With country code, or Chinese.", "example": "+8613800138000"},
    )


class OtpView(Schema):
    """A code is on its way."""

    request_id = fields.String(required=True, metadata={"description": "Send it with the code."})


class TokenRequest(Schema):
    """Body of POST /v1/auth/tokens."""

    grant_type = fields.String(required=True, validate=validate.OneOf(sorted(NEEDED_FOR)))
    request_id = fields.String(validate=validate.Length(max=64))
    code = fields.String(validate=CODE_SHAPE)
    device_id = fields.String(
        load_default="",
        validate=validate.Length(max=128),
        metadata={"description": "What the application calls this device; stable and secret."},
    )
    not_my_account = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Leave the number's present account alone; open a new one."},
    )
    refresh_token = fields.String(validate=validate.Length(min=1, max=128))

    @validates_schema(pass_original=True)
    def _has_what_the_grant_needs(
        self, _data: dict[str, Any], original: dict[str, Any], **_: Any
    ) -> None:
        grant = original.get("grant_type")
        if grant not in NEEDED_FOR:
            return
        given = original.keys() - {"grant_type"}
        faults = {name: ["Missing data for required field."] for name in NEEDED_FOR[grant] - given}
        surplus = (given & self.fields.keys()) - NEEDED_FOR[grant] - ALSO_FOR[grant]
        faults |= {name: ["Unknown field."] for name in surplus}
        if faults:
            raise ValidationError(faults)


class TokensView(Schema):
    """A citizen is signed in."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True, metadata={"description": "Good for one use."})
    token_type = fields.String(required=True, metadata={"example": "Bearer"})
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    citizen_id = PublicId(CITIZEN, required=True)


class StaffTokenRequest(Schema):
    """Body of POST /v1/auth/staff-tokens."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=64))
    password = fields.String(required=True, validate=validate.Length(min=1, max=256))
    totp = fields.String(
        load_default=None,
        validate=CODE_SHAPE,
        metadata={"description": "Needed where a second factor was enrolled."},
    )


class StaffTokenView(Schema):
    """A staff member is logged in."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"example": "Bearer"})
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    staff_id = PublicId(STAFF, required=True)
    role = fields.String(required=True)


class CitizenView(Schema):
    """A citizen's own account."""

    citizen_id = PublicId(CITIZEN, required=True)
    state = fields.String(required=True)
    phone_masked = fields.String(required=True, allow_none=True)
    registered_at = fields.AwareDateTime(required=True)
    spending_held_until = fields.AwareDateTime(required=True, allow_none=True)


class PhoneChangeRequest(Schema):
    """Body of POST /v1/me/phone-changes; the code was sent to the new number."""

    request_id = fields.String(required=True, validate=validate.Length(max=64))
    code = fields.String(required=True, validate=CODE_SHAPE)


class DeviceRequest(Schema):
    """Body of POST /v1/me/devices."""

    device_id = fields.String(required=True, validate=validate.Length(min=1, max=128))


class DeviceView(Schema):
    """A device may sign in to the account."""

    device_id = fields.String(required=True)
    spending_held_until = fields.AwareDateTime(required=True, allow_none=True)


class ExportView(Schema):
    """Everything stored of a citizen; keys and digests are left out."""

    citizen_id = PublicId(CITIZEN, required=True)
    exported_at = fields.AwareDateTime(required=True)
    phone = fields.String(required=True, allow_none=True)
    records = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Dict()),
        required=True,
        metadata={"description": "Rows by table."},
    )


class SourceLinkRequest(Schema):
    """Body of POST /v1/me/source-links: consent that a source's records of an account are hers."""

    source = fields.String(
        required=True,
        validate=validate.Length(min=1, max=64),
        metadata={"description": "The partner's name.", "example": "city-metro"},
    )
    account_ref = fields.String(
        required=True,
        validate=validate.Length(min=1, max=128),
        metadata={"description": "Card or user number, as the source writes it."},
    )


class ConsentView(Schema):
    """What was agreed to."""

    purpose = fields.String(required=True)
    version = fields.Integer(required=True)
    chinese = fields.String(required=True)
    english = fields.String(required=True)


class SourceLinkView(Schema):
    """A citizen's link to a source's account."""

    id = PublicId(SOURCE_LINK, required=True)
    source = fields.String(required=True)
    account_masked = fields.String(required=True)
    state = fields.String(
        required=True, validate=validate.OneOf(["active", "awaiting_confirmation", "ended"])
    )
    consent = fields.Nested(ConsentView, required=True)
    requested_at = fields.AwareDateTime(required=True)
    linked_at = fields.AwareDateTime(required=True, allow_none=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)


class LinkEndQuery(Schema):
    """Query of DELETE /v1/me/source-links/{id}."""

    keep_pending = fields.Boolean(
        load_default=False,
        metadata={"description": "Keep what is pending instead of withdrawing it."},
    )


class ClaimQuery(PageQuery):
    """Query of GET /v1/source-links."""

    state = fields.String(
        load_default="awaiting_confirmation",
        validate=validate.OneOf(["awaiting_confirmation"]),
    )


class ClaimView(Schema):
    """A link that its source has to confirm."""

    id = PublicId(SOURCE_LINK, required=True)
    account_ref = fields.String(required=True)
    requested_at = fields.AwareDateTime(required=True)


class ConfirmationView(Schema):
    """A link counts from now on."""

    id = PublicId(SOURCE_LINK, required=True)
    state = fields.String(required=True)


class ReasonRequest(Schema):
    """Body of a freeze or its release."""

    reason = fields.String(
        required=True,
        validate=REASON,
        metadata={"description": "Kept for ever and shown to the citizen; name no other person."},
    )


class AccountActionView(Schema):
    """What was done to an account."""

    id = fields.UUID(required=True)
    citizen_id = PublicId(CITIZEN, required=True)
    kind = fields.String(required=True)
    reason = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)
