"""Consent, over HTTP: citizens link and unlink accounts, sources confirm them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service.identity.blueprint import blueprint
from service.identity.consequences import of_application
from service.identity.link_lists import Claim, Link, claims_at, links_of
from service.identity.linking import confirm_link, end_link, link_account
from service.identity.schemas import (
    ClaimQuery,
    ClaimView,
    ConfirmationView,
    LinkEndQuery,
    SourceLinkRequest,
    SourceLinkView,
)
from service.ids import SOURCE_LINK, uuid_of
from service.web.access import current_caller, requires
from service.web.context import runtime, transaction
from service.web.pagination import Page, PageQuery, list_view

LINKED_ALREADY = {
    "description": "She had linked it already.",
    "content": {"application/json": {"schema": SourceLinkView}},
}


@blueprint.post("/v1/me/source-links")
@requires("citizen")
@blueprint.arguments(SourceLinkRequest)
@blueprint.response(201, SourceLinkView)
@blueprint.doc(responses={"200": LINKED_ALREADY})
@blueprint.refusals(409, "account-already-linked", "too-many-source-links")
@blueprint.refusals(422, "source-unknown")
def create_source_link(body: dict[str, Any]) -> tuple[Link, int]:
    """Consent that what a source reports of an account is one's own."""
    with transaction() as session:
        link, new = link_account(
            session, runtime().keys, current_caller().id, body["source"], body["account_ref"]
        )
    return link, 201 if new else 200


@blueprint.get("/v1/me/source-links")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, list_view(SourceLinkView))
def list_my_source_links(query: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List one's links, newest first, with the words that were agreed to."""
    page = Page.asked(query)
    with transaction() as session:
        links = links_of(session, current_caller().id, after=_after(page), most=page.rows_needed)
    return page.answer(links, _position)


@blueprint.delete("/v1/me/source-links/<string:link_id>")
@requires("citizen")
@blueprint.arguments(LinkEndQuery, location="query")
@blueprint.response(204)
@blueprint.refusals(404, "source-link-unknown")
def delete_source_link(query: dict[str, Any], link_id: str) -> None:
    """Withdraw a consent; what is pending is withdrawn with it, unless it is to be kept."""
    with transaction() as session:
        end_link(
            session,
            current_caller().id,
            uuid_of(SOURCE_LINK, link_id),
            of_application(),
            keep_pending=query["keep_pending"],
        )


@blueprint.get("/v1/source-links")
@requires("partner", role="source")
@blueprint.arguments(ClaimQuery, location="query")
@blueprint.response(200, list_view(ClaimView))
def list_claims(query: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List the links that wait for this source to confirm them, oldest first."""
    page, keys = Page.asked(query), runtime().keys
    with transaction() as session:
        claims = claims_at(
            session, keys, current_caller().id, after=_after(page), most=page.rows_needed
        )
    return page.answer(claims, _position)


@blueprint.post("/v1/source-links/<string:link_id>/confirmations")
@requires("partner", role="source")
@blueprint.response(201, ConfirmationView)
@blueprint.refusals(404, "source-link-unknown")
@blueprint.refusals(409, "account-already-linked")
def confirm_source_link(link_id: str) -> dict[str, Any]:
    """Confirm that an account belongs to the citizen who claims it."""
    claim_id = uuid_of(SOURCE_LINK, link_id)
    with transaction() as session:
        confirm_link(session, current_caller().id, claim_id)
    return {"id": claim_id, "state": "active"}


def _after(page: Page) -> tuple[datetime, UUID] | None:
    if page.after is None:
        return None
    requested_at, link_id = page.after
    return datetime.fromisoformat(str(requested_at)), UUID(hex=str(link_id))


def _position(item: Link | Claim) -> list[str | int]:
    return [item.requested_at.isoformat(), item.id.hex]
