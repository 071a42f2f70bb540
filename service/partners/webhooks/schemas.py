"""Events, endpoints and deliveries in JSON."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from service.ids import EVENT, WEBHOOK_DELIVERY, WEBHOOK_ENDPOINT, public_id
from service.keys import KeyRing
from service.partners.addresses import LONGEST_URL
from service.partners.webhooks.deliveries import Delivery
from service.partners.webhooks.endpoints import Endpoint, is_overlapping
from service.partners.webhooks.feed import Event
from service.partners.webhooks.signing import SIGNATURES, public_key_text
from service.web.pagination import LIMIT_DEFAULT, LIMIT_MAX, PageQuery
from service.web.query_values import WholeNumber

LAST_PLACE: Final = 2**53
EVENT_TYPE: Final = validate.And(
    validate.Length(max=64), validate.Regexp(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z")
)

# --- events -----------------------------------------------------------------------------------


class EventsQuery(Schema):
    """Which events."""

    after_seq = WholeNumber(
        load_default=0,
        validate=validate.Range(min=0, max=LAST_PLACE),
        metadata={"description": "The last place that was seen; 0 from the beginning."},
    )
    type = fields.String(load_default=None, validate=EVENT_TYPE)
    limit = WholeNumber(load_default=LIMIT_DEFAULT, validate=validate.Range(min=1, max=LIMIT_MAX))


class EventDataView(Schema):
    """What an event is about."""

    id = fields.String(required=True, metadata={"description": "The object's."})
    object = fields.String(required=True, metadata={"example": "redemption"})
    state = fields.String(required=True)
    version = fields.Integer(
        required=True,
        metadata={"description": "Grows with each change: an older one than known is stale."},
    )


class EventView(Schema):
    """One change, as it also arrives at endpoints (there, `id` is the header `webhook-id`)."""

    id = fields.String(required=True, metadata={"example": "evt_" + "0" * 32})
    type = fields.String(required=True, metadata={"example": "redemption.captured"})
    seq = fields.Integer(required=True, metadata={"description": "1, 2, 3 … for each partner."})
    timestamp = fields.AwareDateTime(required=True)
    api_version = fields.String(required=True)
    data = fields.Nested(EventDataView, required=True)


class EventsView(Schema):
    """Events in the order of their places."""

    items = fields.List(fields.Nested(EventView), required=True)
    next_after_seq = fields.Integer(
        required=True, metadata={"description": "`after_seq` of the next call, now or later."}
    )
    next = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Address of the next page, while there is more already."},
    )


def event_view(event: Event) -> dict[str, Any]:
    """Return an event as the contract names it."""
    return {**event.message, "id": event.public_id, "timestamp": event.occurred_at}


# --- endpoints --------------------------------------------------------------------------------


class EndpointTerms(Schema):
    """Body of PUT /v1/webhook-endpoints/{id}: all of it, every time."""

    url = fields.String(
        required=True,
        validate=validate.Length(min=1, max=LONGEST_URL),
        metadata={"description": "https, a name, any port.", "example": "https://bank.example/in"},
    )
    description = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(min=1, max=200)
    )
    event_types = fields.List(
        fields.String(validate=EVENT_TYPE),
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=50),
        metadata={"description": "Without it: all."},
    )


class EndpointRequest(EndpointTerms):
    """Body of POST /v1/webhook-endpoints."""

    signatures = fields.List(
        fields.String(validate=validate.OneOf(SIGNATURES)),
        load_default=list(SIGNATURES),
        validate=validate.Length(min=1, max=2),
        metadata={"description": "`v1`: HMAC-SHA256; `v1a`: Ed25519, which is evidence."},
    )


class EndpointView(Schema):
    """Where events are sent, and how they are signed."""

    id = fields.String(required=True, metadata={"example": "whe_" + "0" * 32})
    url = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    event_types = fields.List(fields.String(), required=True, allow_none=True)
    signatures = fields.List(fields.String(), required=True)
    public_keys = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "`whpk_…` of `v1a`, the newest first; also at …/keys as JWKs."},
    )
    former_keys_until = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "Until then messages are signed with the keys before, too."},
    )
    state = fields.String(required=True, metadata={"description": "active or disabled"})
    state_reason = fields.String(
        required=True, allow_none=True, metadata={"description": "`gone` (410) or `failing`"}
    )
    version = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class EndpointWithSecretView(EndpointView):
    """An endpoint and its new secret."""

    secret = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`whsec_…` of `v1`, shown this once; none in a repeated answer."},
    )


class EndpointsView(Schema):
    """All endpoints of a partner."""

    items = fields.List(fields.Nested(EndpointView), required=True)
    next = fields.String(required=True, allow_none=True)


class EndpointKeysView(Schema):
    """The public keys of an endpoint's messages, as a JWK set (RFC 7517)."""

    keys = fields.List(fields.Dict(), required=True)


class TestSentView(Schema):
    """An event that goes to one endpoint, to try it."""

    event_id = fields.String(required=True)


def endpoint_view(endpoint: Endpoint, ring: KeyRing) -> dict[str, Any]:
    """Return an endpoint as the contract names it; nothing secret."""
    keys = endpoint.keys(ring)
    until = endpoint.former_until if is_overlapping(endpoint.former_until) else None
    shown = {
        **endpoint._asdict(),
        "id": endpoint.public_id,
        "public_keys": [public_key_text(key) for key in keys.public_keys],
        "former_keys_until": until,
    }
    dumped: dict[str, Any] = EndpointView().dump(shown)
    return dumped


# --- deliveries -------------------------------------------------------------------------------


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    state = fields.String(
        load_default=None, validate=validate.OneOf(["waiting", "delivered", "failed"])
    )
    endpoint_id = fields.String(load_default=None, validate=validate.Length(max=128))


class RedeliveryRequest(Schema):
    """Body of POST /v1/events/{id}/redeliveries."""

    endpoint_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=128),
        metadata={"description": "Without it: all active endpoints."},
    )


class DeliveryView(Schema):
    """One event on its way to one endpoint."""

    id = fields.String(required=True, metadata={"example": "whd_" + "0" * 32})
    event_id = fields.String(required=True)
    endpoint_id = fields.String(required=True)
    seq = fields.Integer(required=True)
    state = fields.String(required=True, metadata={"description": "waiting, delivered or failed"})
    attempts = fields.Integer(required=True)
    next_attempt_at = fields.AwareDateTime(required=True, allow_none=True)
    last_status = fields.Integer(required=True, allow_none=True)
    last_error = fields.String(required=True, allow_none=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


class DeliveriesView(Schema):
    """The deliveries that a redelivery has made due."""

    items = fields.List(fields.Nested(DeliveryView), required=True)


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as the contract names it."""
    is_waiting = delivery.state == "waiting"
    shown = {
        **delivery._asdict(),
        "id": public_id(WEBHOOK_DELIVERY, delivery.id),
        "event_id": public_id(EVENT, delivery.event_id),
        "endpoint_id": public_id(WEBHOOK_ENDPOINT, delivery.endpoint_id),
        "next_attempt_at": delivery.next_attempt_at if is_waiting else None,
    }
    dumped: dict[str, Any] = DeliveryView().dump(shown)
    return dumped
