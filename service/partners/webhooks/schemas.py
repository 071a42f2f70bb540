"""Events, endpoints and deliveries in JSON."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from service.partners.webhooks.feed import Event
from service.web.pagination import LIMIT_DEFAULT, LIMIT_MAX
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
