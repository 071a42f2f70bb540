"""A partner's events, over HTTP."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import request

from service.ids import EVENT, uuid_of
from service.partners.webhooks.feed import FeedPage, event_named, events_after
from service.partners.webhooks.schemas import EventsQuery, EventsView, EventView, event_view
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction

blueprint = Blueprint("events", __name__, url_prefix="/v1", description="What partners are told")


@blueprint.get("/events")
@requires("partner", scope="events:read")
@blueprint.arguments(EventsQuery, location="query")
@blueprint.response(200, EventsView)
def list_events(query: dict[str, Any]) -> Any:
    """Return what the caller was told, in order and without a gap.

    Keep `next_after_seq` and ask with it as `after_seq` the next time.
    """
    with raw_transaction() as connection:
        page = events_after(
            connection,
            current_caller().id,
            after_seq=query["after_seq"],
            limit=query["limit"],
            event_type=query["type"],
        )
    following = _address(query, page)
    body = {
        "items": [event_view(event) for event in page.events],
        "next_after_seq": page.next_after_seq,
        "next": following,
    }
    return body, 200, {"Link": f'<{following}>; rel="next"'} if following else {}


@blueprint.get("/events/<event_id>")
@requires("partner", scope="events:read")
@blueprint.response(200, EventView)
@blueprint.refusals(404, "id-unknown")
def read_event(event_id: str) -> dict[str, Any]:
    """Return one event of the caller's."""
    wanted = uuid_of(EVENT, event_id)
    with raw_transaction() as connection:
        return event_view(event_named(connection, current_caller().id, wanted))


def _address(query: Mapping[str, Any], page: FeedPage) -> str | None:
    if not page.has_more:
        return None
    asked = {**query, "after_seq": page.next_after_seq}
    kept = {name: value for name, value in asked.items() if value is not None}
    return f"{request.path}?{urlencode(kept)}"
