"""Changes of offers over HTTP: asked for by one, decided by another."""

from typing import Any

from flask import Response

from service import ids
from service.db import driver_connection
from service.rewards.offers.callers import author_of, viewer
from service.rewards.offers.change_schemas import (
    DECISIONS,
    ChangeDecisionRequest,
    ChangeRequestQuery,
    ChangeRequestRequest,
    ChangeRequestView,
    change_request_view,
    target_of,
)
from service.rewards.offers.changes import Wish, ask_for, change_requests, request_by_id
from service.rewards.offers.deciding import decide
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, transaction
from service.web.idempotency import Answer, answer_once
from service.web.pagination import Page, list_view

blueprint = Blueprint(
    "offer_changes", __name__, description="Changes of offers, which two people decide"
)


@blueprint.post("/v1/change-requests")
@requires("partner", scope="offers:write")
@requires("staff", role="operator")
@blueprint.arguments(ChangeRequestRequest)
@blueprint.repeatable()
@blueprint.response(201, ChangeRequestView)
@blueprint.refusals(404, "offer-unknown", "offer-version-unknown", "id-unknown")
def request_change(body: dict[str, Any]) -> Response:
    """Ask that an offer be activated, paused or retired, or its limits changed.

    It happens when an operator who is not the one who asked approves it, if the offer then still
    stands as `expected_current` says.
    """
    offer_id = ids.uuid_of(ids.OFFER, body["offer_id"])
    wish = Wish(
        body["kind"],
        body["offer_version"],
        body["expected_current"],
        target_of(body),
        body["reason"],
    )
    with transaction() as session:

        def effect() -> Answer:
            author = author_of(current_caller())
            asked = ask_for(driver_connection(session), author, offer_id, wish)
            return 201, ChangeRequestView().dump(change_request_view(asked))

        return answer_once(session, effect)


@blueprint.get("/v1/change-requests")
@requires("partner", scope="offers:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(ChangeRequestQuery, location="query")
@blueprint.response(200, list_view(ChangeRequestView))
@blueprint.refusals(400, "cursor-invalid")
@blueprint.refusals(404, "id-unknown")
def list_change_requests(query: dict[str, Any]) -> Any:
    """List change requests, the newest first: a partner's own, or for staff all."""
    page = Page.asked(query)
    asked_for = query["offer_id"]
    with raw_transaction() as connection:
        found = change_requests(
            connection,
            rows=page.rows_needed,
            after=page.after,
            partner_id=viewer().partner_id,
            offer_id=None if asked_for is None else ids.uuid_of(ids.OFFER, asked_for),
            state=query["state"],
        )
    body, status, headers = page.answer(found, lambda request: request.position)
    return {**body, "items": [change_request_view(each) for each in body["items"]]}, status, headers


@blueprint.get("/v1/change-requests/<request_id>")
@requires("partner", scope="offers:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, ChangeRequestView)
@blueprint.refusals(404, "change-request-unknown", "id-unknown")
def read_change_request(request_id: str) -> dict[str, Any]:
    """Return a change request with its decision, if there is one."""
    wanted = ids.uuid_of(ids.CHANGE_REQUEST, request_id)
    with raw_transaction() as connection:
        return change_request_view(request_by_id(connection, wanted, viewer().partner_id))


@blueprint.post("/v1/change-requests/<request_id>/decisions")
@requires("staff", role="operator")
@blueprint.arguments(ChangeDecisionRequest)
@blueprint.repeatable()
@blueprint.response(201, ChangeRequestView)
@blueprint.refusals(403, "same-person-approval")
@blueprint.refusals(404, "change-request-unknown", "id-unknown")
@blueprint.refusals(409, "change-request-decided", "state-conflict", "limits-below-taken")
def decide_change_request(body: dict[str, Any], request_id: str) -> Response:
    """Approve or reject a change, once; what is approved happens in the same moment."""
    wanted = ids.uuid_of(ids.CHANGE_REQUEST, request_id)
    with transaction() as session:

        def effect() -> Answer:
            decided = decide(
                driver_connection(session),
                current_caller().id,
                wanted,
                DECISIONS[body["decision"]],
                body["reason"],
            )
            return 201, ChangeRequestView().dump(change_request_view(decided))

        return answer_once(session, effect)
