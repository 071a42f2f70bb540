"""Consents to partners, over HTTP: given, shown, revoked, acknowledged, and who used them."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from flask import Response

from service.db import driver_connection
from service.identity.blueprint import blueprint
from service.identity.consents import ending
from service.identity.consents.changes import Actor
from service.identity.consents.giving import Giving
from service.identity.consents.reading import (
    Access,
    After,
    ConsentRecord,
    Side,
    Viewer,
    accesses_of,
    consent_record,
    consents_of,
    history_of,
)
from service.identity.consents.schemas import (
    AccessView,
    ConsentQuery,
    ConsentRequest,
    HistoryView,
    PartnerConsentView,
    RevocationRequest,
    WordsQuery,
    WordsView,
    access_view,
    change_view,
    consent_view,
    wish_of,
    words_of_wish,
)
from service.ids import CONSENT, uuid_of
from service.web.access import current_caller, requires
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_anew, answer_once
from service.web.pagination import Page, PageQuery, Position, list_view

DONE_BEFORE: Final = {
    "description": "It had been done before.",
    "content": {"application/json": {"schema": PartnerConsentView}},
}
PartnerConsentListView: Final = list_view(PartnerConsentView)
AccessListView: Final = list_view(AccessView)


@blueprint.get("/v1/consent-words")
@requires("citizen")
@blueprint.arguments(WordsQuery, location="query")
@blueprint.response(200, WordsView)
@blueprint.refusals(422, "consent-terms-invalid", "recipient-unknown")
def read_consent_words(query: dict[str, Any]) -> dict[str, Any]:
    """Show the words of a consent before it is given."""
    asked = {**query, "data_clusters": query["data_clusters"].split(",")}
    wish = wish_of(asked)
    with raw_transaction() as connection:
        agreed = _giving().terms(connection, current_caller().id, wish)
    return words_of_wish(wish, agreed)


@blueprint.post("/v1/consents")
@requires("citizen")
@blueprint.arguments(ConsentRequest)
@blueprint.repeatable()
@blueprint.response(201, PartnerConsentView)
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "consent-exists", "consent-ended")
@blueprint.refusals(422, "consent-terms-invalid", "recipient-unknown")
def create_consent(body: dict[str, Any]) -> Response:
    """Let a partner know something of oneself, for one purpose and a time; or renew that."""
    wish, citizen_id = wish_of(body), current_caller().id
    with transaction() as session:

        def effect() -> Answer:
            connection = driver_connection(session)
            consent_id = _giving().give(connection, citizen_id, wish)
            given = consent_record(connection, Viewer("citizen", citizen_id), consent_id)
            return 201, _shown(given, "citizen")

        return answer_once(session, effect)


@blueprint.get("/v1/consents")
@requires("citizen")
@requires("partner", scope="consents:read")
@blueprint.arguments(ConsentQuery, location="query")
@blueprint.response(200, PartnerConsentListView)
def list_consents(query: dict[str, Any]) -> Any:
    """List one's own consents, or those given to the partner; the newest first."""
    page, viewer = Page.asked(query), _viewer()
    with raw_transaction() as connection:
        found = consents_of(
            connection,
            viewer,
            rows=page.rows_needed,
            after=_after(page),
            state=query["state"],
        )
    body, status, headers = page.answer(found, _position)
    items = [consent_view(consent, viewer.side) for consent in body["items"]]
    return {**body, "items": items}, status, headers


@blueprint.get("/v1/consents/<consent_id>")
@requires("citizen")
@requires("partner", scope="consents:read")
@blueprint.response(200, PartnerConsentView)
@blueprint.refusals(404, "id-unknown")
def read_consent(consent_id: str) -> dict[str, Any]:
    """Show one consent."""
    viewer = _viewer()
    with raw_transaction() as connection:
        found = consent_record(connection, viewer, uuid_of(CONSENT, consent_id))
    return consent_view(found, viewer.side)


@blueprint.get("/v1/consents/<consent_id>/history")
@requires("citizen")
@requires("partner", scope="consents:read")
@blueprint.response(200, HistoryView)
@blueprint.refusals(404, "id-unknown")
def read_consent_history(consent_id: str) -> dict[str, Any]:
    """Show what became of a consent, from its first moment."""
    viewer = _viewer()
    with raw_transaction() as connection:
        consent = consent_record(connection, viewer, uuid_of(CONSENT, consent_id))
        changes = history_of(connection, consent)
    return {"items": [change_view(change, consent, viewer.side) for change in changes]}


@blueprint.get("/v1/consents/<consent_id>/accesses")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, AccessListView)
@blueprint.refusals(404, "id-unknown")
def list_accesses_by_consent(query: dict[str, Any], consent_id: str) -> Any:
    """List what the partner did by a consent, the newest first."""
    viewer = _viewer()
    with raw_transaction() as connection:
        consent = consent_record(connection, viewer, uuid_of(CONSENT, consent_id))
    return _accesses(query, consent.id)


@blueprint.get("/v1/me/accesses")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, AccessListView)
def list_my_accesses(query: dict[str, Any]) -> Any:
    """List what partners did about oneself, the newest first."""
    return _accesses(query, None)


@blueprint.post("/v1/consents/<consent_id>/revocations")
@requires("citizen")
@requires("partner", scope="consents:revoke")
@blueprint.arguments(RevocationRequest, required=False)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, PartnerConsentView)
@blueprint.doc(responses={"200": DONE_BEFORE})
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "consent-ended")
def revoke_consent(body: dict[str, Any], consent_id: str) -> Response:
    """End a consent: nothing new may be done by it; what was submitted is completed."""
    wanted, viewer = uuid_of(CONSENT, consent_id), _viewer()

    def effect() -> Answer:
        with raw_transaction() as connection:
            new = ending.revoke(connection, wanted, Actor(*viewer), body.get("reason"))
            revoked = consent_record(connection, viewer, wanted)
        return 201 if new else 200, _shown(revoked, viewer.side)

    return answer_anew(effect)


@blueprint.post("/v1/consents/<consent_id>/acknowledgements")
@requires("citizen")
@requires("partner", scope="consents:revoke")
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, PartnerConsentView)
@blueprint.doc(responses={"200": DONE_BEFORE})
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "nothing-to-acknowledge")
def acknowledge_revocation(consent_id: str) -> Response:
    """Say that the other side's revocation is known and obeyed."""
    wanted, viewer = uuid_of(CONSENT, consent_id), _viewer()

    def effect() -> Answer:
        with raw_transaction() as connection:
            new = ending.acknowledge(connection, wanted, Actor(*viewer))
            known = consent_record(connection, viewer, wanted)
        return 201 if new else 200, _shown(known, viewer.side)

    return answer_anew(effect)


def _accesses(query: dict[str, Any], consent_id: UUID | None) -> Any:
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = accesses_of(
            connection, current_caller().id, consent_id, rows=page.rows_needed, after=_after(page)
        )
    body, status, headers = page.answer(found, _position)
    return {**body, "items": [access_view(access) for access in body["items"]]}, status, headers


def _giving() -> Giving:
    return Giving(runtime().keys, runtime().settings.issuer)


def _viewer() -> Viewer:
    caller = current_caller()
    return Viewer("citizen" if caller.kind == "citizen" else "partner", caller.id)


def _shown(consent: ConsentRecord, side: Side) -> dict[str, Any]:
    shown: dict[str, Any] = PartnerConsentView().dump(consent_view(consent, side))
    return shown


def _after(page: Page) -> After | None:
    if page.after is None:
        return None
    recorded_at, last = page.after
    return After(datetime.fromisoformat(str(recorded_at)), UUID(hex=str(last)))


def _position(item: ConsentRecord | Access) -> Position:
    return [item.recorded_at.isoformat(), item.id.hex]
