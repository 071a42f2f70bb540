"""Consents in JSON: what is asked for, and what either side is shown."""

from typing import Any, Final
from uuid import UUID

from marshmallow import Schema, fields, validate

from service.identity.consent import ConsentText
from service.identity.consents.giving import Agreed, Wish
from service.identity.consents.periods import ALIGNMENTS, PERIODS, PeriodicLimit
from service.identity.consents.purposes import CLUSTERS, PURPOSES
from service.identity.consents.reading import Access, Change, ConsentRecord, Side
from service.identity.consents.words import Recipient, words
from service.ids import CONSENT, public_id, uuid_of
from service.web.pagination import PageQuery
from service.web.query_values import Moment

MOST_USES: Final = 1_000_000
REASON: Final = validate.Length(min=1, max=200)
STATES: Final = ("authorised", "revoked", "expired", "renewed")
SIDES: Final = ("citizen", "partner", "service")

_USES: Final = validate.Range(min=1, max=MOST_USES)
_EXAMPLE: Final = {"example": public_id(CONSENT, UUID(int=1))}


class PeriodicLimitSchema(Schema):
    """At most so many uses in each period."""

    period = fields.String(required=True, validate=validate.OneOf(PERIODS))
    alignment = fields.String(
        required=True,
        validate=validate.OneOf(ALIGNMENTS),
        metadata={"description": "Periods of the calendar, or counted from `valid_from`."},
    )
    max_uses = fields.Integer(required=True, strict=True, validate=_USES)


class ConsentTerms(Schema):
    """What is consented to, to whom, what for, and until when."""

    partner = fields.String(
        required=True,
        validate=validate.Length(min=1, max=64),
        metadata={"description": "The partner's name.", "example": "harbour-bank"},
    )
    purpose = fields.String(required=True, validate=validate.OneOf(sorted(PURPOSES)))
    data_clusters = fields.List(
        fields.String(validate=validate.OneOf(CLUSTERS)),
        required=True,
        validate=validate.Length(min=1, max=len(CLUSTERS)),
        metadata={"description": "`benefit`: all but identity; `report`: no redemption either."},
    )
    valid_to = Moment(required=True, metadata={"description": "At most 366 days from now."})


class ConsentRequest(ConsentTerms):
    """Body of POST /v1/consents."""

    max_uses = fields.Integer(load_default=None, strict=True, allow_none=True, validate=_USES)
    periodic_limits = fields.List(
        fields.Nested(PeriodicLimitSchema),
        load_default=list,
        validate=validate.Length(max=len(PERIODS)),
    )
    renews = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=64),
        metadata={**_EXAMPLE, "description": "It stays in force until this one is given."},
    )


class RevocationRequest(Schema):
    """Body of a revocation; may be left out."""

    reason = fields.String(
        load_default=None,
        allow_none=True,
        validate=REASON,
        metadata={"description": "A citizen's words are not given to the partner."},
    )


class RecipientView(Schema):
    """Who receives the data, as the citizen was told."""

    name = fields.String(required=True)
    contact = fields.String(required=True)


class WordsView(Schema):
    """What a citizen reads before she agrees."""

    version = fields.Integer(required=True)
    digest = fields.String(required=True, metadata={"description": "SHA-256 of both, hex."})
    chinese = fields.String(required=True)
    english = fields.String(required=True)
    recipient = fields.Nested(RecipientView, required=True)


class PartnerConsentView(Schema):
    """A consent; the citizen is shown the words, the partner the subject."""

    id = fields.String(required=True, metadata=_EXAMPLE)
    partner = fields.String(required=True)
    subject = fields.String(metadata={"description": "The citizen; to this partner only."})
    words = fields.Nested(WordsView, metadata={"description": "To the citizen only."})
    purpose = fields.String(required=True, validate=validate.OneOf(sorted(PURPOSES)))
    data_clusters = fields.List(fields.String(), required=True)
    valid_from = fields.AwareDateTime(required=True)
    valid_to = fields.AwareDateTime(required=True)
    max_uses = fields.Integer(required=True, allow_none=True)
    uses = fields.Integer(required=True)
    periodic_limits = fields.List(fields.Nested(PeriodicLimitSchema), required=True)
    renews = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    status_reason = fields.String(required=True, allow_none=True)
    revoked_by = fields.String(required=True, allow_none=True, validate=validate.OneOf(SIDES))
    acknowledged_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the other side said that it knows of the revocation."},
    )
    version = fields.Integer(required=True, metadata={"description": "Grows with each change."})
    recorded_at = fields.AwareDateTime(required=True)


class ChangeView(Schema):
    """One line of a consent's history."""

    version = fields.Integer(required=True)
    kind = fields.String(required=True, metadata={"example": "authorised"})
    by = fields.String(required=True, validate=validate.OneOf(SIDES))
    reason = fields.String(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


class HistoryView(Schema):
    """What became of a consent, from its first moment."""

    items = fields.List(fields.Nested(ChangeView), required=True)


class AccessView(Schema):
    """A partner did something about the citizen."""

    consent_id = fields.String(required=True, metadata=_EXAMPLE)
    partner = fields.String(required=True)
    operation = fields.String(required=True, metadata={"example": "redemption.submitted"})
    about = fields.String(required=True, allow_none=True)
    is_use = fields.Boolean(
        required=True, metadata={"description": "It counted against the consent's limits."}
    )
    recorded_at = fields.AwareDateTime(required=True)


class WordsQuery(Schema):
    """Query of GET /v1/consent-words; the terms as the consent would have them."""

    partner = fields.String(required=True, validate=validate.Length(min=1, max=64))
    purpose = fields.String(required=True, validate=validate.OneOf(sorted(PURPOSES)))
    data_clusters = fields.String(
        required=True,
        validate=validate.Length(min=1, max=200),
        metadata={"description": "Between commas.", "example": "tier,redemption"},
    )
    valid_to = Moment(required=True)


class ConsentQuery(PageQuery):
    """Query of GET /v1/consents."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


def wish_of(body: dict[str, Any]) -> Wish:
    """Return what a citizen agrees to.

    Raises:
        IdUnknown: what it renews is no consent.
    """
    renews = body.get("renews")
    return Wish(
        partner=body["partner"],
        purpose=body["purpose"],
        data_clusters=frozenset(body["data_clusters"]),
        valid_to=body["valid_to"],
        max_uses=body.get("max_uses"),
        periodic_limits=tuple(map(PeriodicLimit.from_document, body.get("periodic_limits", ()))),
        renews=None if renews is None else uuid_of(CONSENT, renews),
    )


def words_view(text: ConsentText, recipient: Recipient) -> dict[str, Any]:
    """Return words as they are shown."""
    return {
        "version": text.version,
        "digest": text.digest.hex(),
        "chinese": text.chinese,
        "english": text.english,
        "recipient": recipient._asdict(),
    }


def words_of_wish(wish: Wish, agreed: Agreed) -> dict[str, Any]:
    """Return the words of a consent that may be given."""
    text = words(wish.purpose, agreed.recipient, wish.clusters_shown, wish.valid_to)
    return words_view(text, agreed.recipient)


def consent_view(consent: ConsentRecord, side: Side) -> dict[str, Any]:
    """Return a consent as one side is shown it."""
    of_side = {"words": _words_of(consent)} if side == "citizen" else {"subject": consent.subject}
    return of_side | {
        "id": public_id(CONSENT, consent.id),
        "partner": consent.partner,
        "purpose": consent.purpose,
        "data_clusters": consent.data_clusters,
        "valid_from": consent.valid_from,
        "valid_to": consent.valid_to,
        "max_uses": consent.max_uses,
        "uses": consent.uses,
        "periodic_limits": [limit.document for limit in consent.periodic_limits],
        "renews": None if consent.renews is None else public_id(CONSENT, consent.renews),
        "state": consent.present_state,
        "status_reason": consent.reason_for(side),
        "revoked_by": consent.revoked_by,
        "acknowledged_at": consent.acknowledged_at,
        "version": consent.version,
        "recorded_at": consent.recorded_at,
    }


def change_view(change: Change, consent: ConsentRecord, side: Side) -> dict[str, Any]:
    """Return a line of the history; words are with the consent, where they can be forgotten."""
    reason = consent.reason_for(side) if change.kind == "revoked" else None
    return {
        "version": change.version,
        "kind": change.kind,
        "by": change.actor_kind,
        "reason": change.reason or reason,
        "recorded_at": change.recorded_at,
    }


def access_view(access: Access) -> dict[str, Any]:
    """Return what a partner did, as the citizen reads it."""
    return {
        "consent_id": public_id(CONSENT, access.consent_id),
        "partner": access.partner,
        "operation": access.operation,
        "about": access.about,
        "is_use": access.is_use,
        "recorded_at": access.recorded_at,
    }


def _words_of(consent: ConsentRecord) -> dict[str, Any]:
    recipient = Recipient(consent.recipient_name, consent.recipient_contact)
    text = words(
        consent.purpose,
        recipient,
        consent.data_clusters,
        consent.valid_to,
        version=consent.text_version,
    )
    return words_view(text, recipient)
