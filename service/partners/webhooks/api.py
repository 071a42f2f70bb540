"""Endpoints and deliveries, over HTTP.

A new secret is shown in the answer that made it and nowhere else: what is kept for a repeated
request has none, and whoever has lost the answer changes the keys once more.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import Response

from service.db import driver_connection
from service.ids import EVENT, WEBHOOK_ENDPOINT, public_id, uuid_of
from service.partners.addresses import CheckedUrl, checked_url
from service.partners.outgoing import require_reachable
from service.partners.profiles import profile_of
from service.partners.webhooks import endpoints
from service.partners.webhooks.deliveries import Asked, Delivery, deliveries_of, redeliver
from service.partners.webhooks.endpoints import Endpoint, Terms
from service.partners.webhooks.schemas import (
    DeliveriesQuery,
    DeliveriesView,
    DeliveryView,
    EndpointKeysView,
    EndpointRequest,
    EndpointsView,
    EndpointTerms,
    EndpointView,
    EndpointWithSecretView,
    RedeliveryRequest,
    TestSentView,
    delivery_view,
    endpoint_view,
)
from service.partners.webhooks.signing import public_jwk
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_once
from service.web.pagination import Page, Position, list_view

blueprint = Blueprint("webhooks", __name__, url_prefix="/v1", description="Where events are sent")

CACHED: Final = {"Cache-Control": "public, max-age=300"}


@blueprint.post("/webhook-endpoints")
@requires("partner", scope="webhooks:manage")
@blueprint.arguments(EndpointRequest)
@blueprint.repeatable()
@blueprint.response(201, EndpointWithSecretView)
@blueprint.refusals(409, "endpoint-limit-reached")
@blueprint.refusals(422, "endpoint-address-refused")
def create_endpoint(body: dict[str, Any]) -> Response:
    """Let events be sent to an address from now on; the secret is shown this once."""
    partner_id, ring = current_caller().id, runtime().keys
    signatures = sorted(set(body.pop("signatures")))
    terms = _checked_terms(partner_id, body)
    with transaction() as session:
        connection = driver_connection(session)
        new: list[Endpoint] = []

        def effect() -> Answer:
            new.append(endpoints.register(connection, ring, partner_id, terms, signatures))
            return 201, endpoint_view(new[0], ring) | {"secret": None}

        answer = answer_once(session, effect)
    return _with_secret(answer, new)


@blueprint.get("/webhook-endpoints")
@requires("partner", scope="webhooks:manage")
@blueprint.response(200, EndpointsView)
def list_endpoints() -> Any:
    """Return the caller's endpoints, the oldest first; there are at most ten."""
    with raw_transaction() as connection:
        found = endpoints.endpoints_of(connection, current_caller().id)
    return _written(
        {"items": [endpoint_view(each, runtime().keys) for each in found], "next": None}
    )


@blueprint.get("/webhook-endpoints/<endpoint_id>")
@requires("partner", scope="webhooks:manage")
@blueprint.response(200, EndpointView)
@blueprint.refusals(404, "id-unknown")
def read_endpoint(endpoint_id: str) -> Any:
    """Return one endpoint of the caller's."""
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    with raw_transaction() as connection:
        endpoint = endpoints.endpoint_named(connection, current_caller().id, wanted)
    return _written(endpoint_view(endpoint, runtime().keys))


@blueprint.put("/webhook-endpoints/<endpoint_id>")
@requires("partner", scope="webhooks:manage")
@blueprint.arguments(EndpointTerms)
@blueprint.response(200, EndpointView)
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(422, "endpoint-address-refused")
def change_endpoint(body: dict[str, Any], endpoint_id: str) -> Any:
    """Send events elsewhere, or other ones, from now on; the keys stay."""
    partner_id = current_caller().id
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    terms = _checked_terms(partner_id, body)
    with raw_transaction() as connection:
        endpoint = endpoints.change_terms(connection, partner_id, wanted, terms)
    return _written(endpoint_view(endpoint, runtime().keys))


@blueprint.delete("/webhook-endpoints/<endpoint_id>")
@requires("partner", scope="webhooks:manage")
@blueprint.response(204)
@blueprint.refusals(404, "id-unknown")
def remove_endpoint(endpoint_id: str) -> None:
    """Send nothing to an endpoint any more."""
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    with raw_transaction() as connection:
        endpoints.remove(connection, current_caller().id, wanted)


@blueprint.get("/webhook-endpoints/<endpoint_id>/keys")
@requires("anyone")
@blueprint.response(200, EndpointKeysView)
@blueprint.refusals(404, "id-unknown")
def read_endpoint_keys(endpoint_id: str) -> Any:
    """Return the public keys by which an endpoint's `v1a` signatures are verified now (JWKs)."""
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    with raw_transaction() as connection:
        endpoint = endpoints.anybodys_endpoint(connection, wanted)
    keys = [public_jwk(key) for key in endpoint.keys(runtime().keys).public_keys]
    return {"keys": keys}, 200, CACHED


@blueprint.post("/webhook-endpoints/<endpoint_id>/key-rotations")
@requires("partner", scope="webhooks:manage")
@blueprint.repeatable()
@blueprint.response(201, EndpointWithSecretView)
@blueprint.refusals(404, "id-unknown")
def rotate_endpoint_keys(endpoint_id: str) -> Response:
    """Sign with new keys; for 24 hours the present ones sign too. The secret is shown this once."""
    partner_id, ring = current_caller().id, runtime().keys
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    with transaction() as session:
        connection = driver_connection(session)
        new: list[Endpoint] = []

        def effect() -> Answer:
            new.append(endpoints.rotate_keys(connection, ring, partner_id, wanted))
            return 201, endpoint_view(new[0], ring) | {"secret": None}

        answer = answer_once(session, effect)
    return _with_secret(answer, new)


@blueprint.post("/webhook-endpoints/<endpoint_id>/activations")
@requires("partner", scope="webhooks:manage")
@blueprint.response(201, EndpointView)
@blueprint.refusals(404, "id-unknown")
def activate_endpoint(endpoint_id: str) -> Any:
    """Send to a disabled endpoint again, beginning with what it has missed."""
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    with raw_transaction() as connection:
        endpoint = endpoints.activate(connection, current_caller().id, wanted)
    return _written(endpoint_view(endpoint, runtime().keys), 201)


@blueprint.post("/webhook-endpoints/<endpoint_id>/tests")
@requires("partner", scope="webhooks:manage")
@blueprint.response(201, TestSentView)
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "endpoint-not-active")
def send_test(endpoint_id: str) -> dict[str, str]:
    """Send a `webhook.test` to this endpoint alone, now and in the normal way."""
    wanted = uuid_of(WEBHOOK_ENDPOINT, endpoint_id)
    with raw_transaction() as connection:
        event_id = endpoints.send_test(connection, current_caller().id, wanted)
    return {"event_id": public_id(EVENT, event_id)}


# --- deliveries -------------------------------------------------------------------------------


@blueprint.get("/webhook-deliveries")
@requires("partner", scope="webhooks:manage")
@blueprint.arguments(DeliveriesQuery, location="query")
@blueprint.response(200, list_view(DeliveryView))
@blueprint.refusals(400, "cursor-invalid")
@blueprint.refusals(404, "id-unknown")
def list_deliveries(query: dict[str, Any]) -> Any:
    """Return what was sent, those of the newest events first; what arrived is kept for 30 days."""
    page = Page.asked(query)
    asked = Asked(query["state"], _endpoint_id(query), _after_delivery(page))
    with raw_transaction() as connection:
        found = deliveries_of(connection, current_caller().id, asked, rows=page.rows_needed)
    body, status, headers = page.answer(found, _position_of_delivery)
    shown = {**body, "items": [delivery_view(each) for each in body["items"]]}
    return _written(shown, status, headers)


@blueprint.post("/events/<event_id>/redeliveries")
@requires("partner", scope="webhooks:manage")
@blueprint.arguments(RedeliveryRequest)
@blueprint.response(201, DeliveriesView)
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "endpoint-not-active")
def create_redeliveries(body: dict[str, Any], event_id: str) -> Any:
    """Send an event once more, now, to one endpoint or to all active ones."""
    wanted = uuid_of(EVENT, event_id)
    endpoint_id = _endpoint_id(body)
    with raw_transaction() as connection:
        found = redeliver(connection, current_caller().id, wanted, endpoint_id)
    return _written({"items": [delivery_view(each) for each in found]}, 201)


def _checked_terms(partner_id: UUID, body: Mapping[str, Any]) -> Terms:
    """Return the terms with their address checked; nothing is locked while a name is looked up."""
    with raw_transaction() as connection:
        reach = profile_of(connection, partner_id).reach
    url: CheckedUrl = checked_url(body["url"], reach)
    require_reachable(url, reach)
    types = body["event_types"]
    return Terms(url.text, body["description"], sorted(set(types)) if types else None)


def _with_secret(answer: Response, new: list[Endpoint]) -> Response:
    """Put the new secret into the answer of the request that made it."""
    answer.headers["Cache-Control"] = "no-store"
    if new:
        shown = {**answer.get_json(), "secret": new[0].keys(runtime().keys).secret_text}
        answer.set_data(json.dumps(shown, ensure_ascii=False))
    return answer


def _written(
    shown: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that a schema has dumped already."""
    text = json.dumps(shown, ensure_ascii=False)
    return Response(text, status, headers, mimetype="application/json")


def _endpoint_id(asked: Mapping[str, Any]) -> UUID | None:
    named = asked["endpoint_id"]
    return uuid_of(WEBHOOK_ENDPOINT, named) if named else None


def _position_of_delivery(each: Delivery) -> Position:
    return [each.seq, each.endpoint_id.hex]


def _after_delivery(page: Page) -> tuple[int, UUID] | None:
    if page.after is None:
        return None
    seq, endpoint_id = page.after
    return int(seq), UUID(hex=str(endpoint_id))
