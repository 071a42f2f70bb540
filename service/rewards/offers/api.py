"""Offers over HTTP: everybody sees what is open, a partner its own; nobody changes one alone."""

from typing import Any, NoReturn

from flask import Response

from service import ids
from service.db import driver_connection
from service.rewards.errors import ChangeRequestRequired
from service.rewards.offers.callers import author_of, partner_for, require_own, viewer
from service.rewards.offers.drafting import Draft, add_version, draft_offer
from service.rewards.offers.listing import Viewer, offer_seen_by, offers, version_seen_by
from service.rewards.offers.schemas import (
    DirectChangeRequest,
    OfferQuery,
    OfferRequest,
    OfferUsageView,
    OfferVersionRequest,
    OfferVersionView,
    OfferView,
    offer_view,
    usage_view,
    version_view,
)
from service.rewards.offers.usage import usage_of
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, transaction
from service.web.idempotency import Answer, answer_once
from service.web.pagination import Page, list_view

blueprint = Blueprint("offers", __name__, description="What partners offer, and on which terms")


@blueprint.post("/v1/offers")
@requires("partner", scope="offers:write")
@requires("staff", role="operator")
@blueprint.arguments(OfferRequest)
@blueprint.repeatable()
@blueprint.response(201, OfferView)
@blueprint.refusals(403, "partner-cannot-offer")
@blueprint.refusals(404, "partner-unknown")
@blueprint.refusals(409, "offer-name-taken")
def create_offer(body: dict[str, Any]) -> Response:
    """Enter an offer with its first version; it is a draft until a change request activates it."""
    with transaction() as session:

        def effect() -> Answer:
            connection = driver_connection(session)
            caller = current_caller()
            draft = Draft(body["name"], body["quota"], body["budget_minor"])
            partner = partner_for(connection, caller, body["partner"])
            terms = draft_offer(connection, author_of(caller), partner, draft, body["terms"])
            offer = offer_seen_by(connection, Viewer(partner.id), terms.offer_id)
            return 201, OfferView().dump(offer_view(offer))

        return answer_once(session, effect)


@blueprint.post("/v1/offers/<offer_id>/versions")
@requires("partner", scope="offers:write")
@requires("staff", role="operator")
@blueprint.arguments(OfferVersionRequest)
@blueprint.repeatable()
@blueprint.response(201, OfferVersionView)
@blueprint.refusals(403, "partner-cannot-offer")
@blueprint.refusals(404, "offer-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict")
def add_offer_version(body: dict[str, Any], offer_id: str) -> Response:
    """Enter the next version of an offer's terms; the one in force stays in force."""
    wanted = ids.uuid_of(ids.OFFER, offer_id)
    with transaction() as session:

        def effect() -> Answer:
            author = author_of(current_caller())
            terms = add_version(driver_connection(session), author, wanted, body["terms"])
            return 201, OfferVersionView().dump(version_view(terms))

        return answer_once(session, effect)


@blueprint.get("/v1/offers")
@requires("anyone")
@requires("partner", scope="offers:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(OfferQuery, location="query")
@blueprint.response(200, list_view(OfferView))
@blueprint.refusals(400, "cursor-invalid")
def list_offers(query: dict[str, Any]) -> Any:
    """List the active offers; with a partner's token its own in every state too, with staff's all.

    The newest come first. Offers whose time is over are left out, as are those of partners that are
    suspended; their own partner still sees them.
    """
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = offers(
            connection,
            viewer(),
            rows=page.rows_needed,
            after=page.after,
            state=query["state"],
            partner=query["partner"],
        )
    body, status, headers = page.answer(found, lambda offer: offer.position)
    return {**body, "items": [offer_view(offer) for offer in body["items"]]}, status, headers


@blueprint.get("/v1/offers/<offer_id>")
@requires("anyone")
@requires("partner", scope="offers:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, OfferView)
@blueprint.refusals(404, "offer-unknown", "id-unknown")
def read_offer(offer_id: str) -> dict[str, Any]:
    """Return an offer that is or was open; with the token of its partner or of staff, any."""
    wanted = ids.uuid_of(ids.OFFER, offer_id)
    with raw_transaction() as connection:
        return offer_view(offer_seen_by(connection, viewer(), wanted))


@blueprint.put("/v1/offers/<offer_id>")
@requires("partner", scope="offers:write")
@requires("staff", role="operator")
@blueprint.arguments(DirectChangeRequest)
@blueprint.response(200, OfferView)
@blueprint.refusals(403, "change-request-required")
@blueprint.refusals(404, "offer-unknown", "id-unknown")
def change_offer(_body: dict[str, Any], offer_id: str) -> NoReturn:
    """Change nothing: an offer's state and limits change by POST /v1/change-requests."""
    wanted = ids.uuid_of(ids.OFFER, offer_id)
    with raw_transaction() as connection:
        require_own(connection, wanted)
    raise ChangeRequestRequired(
        "Please send POST {change_requests}; an operator decides it.",
        change_requests="/v1/change-requests",
    )


@blueprint.get("/v1/offers/<offer_id>/versions/<int:version>")
@requires("anyone")
@requires("partner", scope="offers:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, OfferVersionView)
@blueprint.refusals(404, "offer-version-unknown", "id-unknown")
def read_offer_version(offer_id: str, version: int) -> dict[str, Any]:
    """Return the terms of a version that is or was in force; to its partner and staff, of any."""
    wanted = ids.uuid_of(ids.OFFER, offer_id)
    with raw_transaction() as connection:
        return version_view(version_seen_by(connection, viewer(), wanted, version))


@blueprint.get("/v1/offers/<offer_id>/usage")
@requires("partner", scope="offers:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, OfferUsageView)
@blueprint.refusals(404, "offer-unknown", "id-unknown")
def read_offer_usage(offer_id: str) -> dict[str, Any]:
    """Return how much of the caller's own offer is taken, counted from its redemptions."""
    wanted = ids.uuid_of(ids.OFFER, offer_id)
    with raw_transaction() as connection:
        require_own(connection, wanted)
        return usage_view(wanted, usage_of(connection, wanted))
