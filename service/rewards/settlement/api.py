"""Settlement over HTTP: batches with their files and manifests, and their acceptance."""

import base64
from datetime import date
from typing import Any, Final
from uuid import UUID

import psycopg
from flask import Response

from service import ids
from service.db import driver_connection
from service.rewards.redemptions.steps import Actor
from service.rewards.settlement.accepting import accept_batch
from service.rewards.settlement.batches import READ_PAGE, Batch, batch_by_id, changes_of
from service.rewards.settlement.closing import close_day
from service.rewards.settlement.files import content_of, file_name
from service.rewards.settlement.manifests import DOCUMENT_TYPE, manifest_of
from service.rewards.settlement.schemas import (
    SettlementBatchDetailView,
    SettlementBatchQuery,
    SettlementBatchRequest,
    SettlementBatchView,
    batch_detail_view,
    batch_view,
)
from service.rewards.settlement.uploads import receive_receipt
from service.transparency.proving import leaf_of_event
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_once
from service.web.pagination import Page, Position, list_view

blueprint = Blueprint("settlement", __name__, description="What a day comes to with a partner")

MANIFEST_TYPE: Final = f"application/{DOCUMENT_TYPE}"

READ_FILE: Final = "SELECT written FROM settlement_line WHERE batch_id = %s ORDER BY line_no"


def own_partner_id() -> UUID | None:
    """Return the partner that calls and sees its own only; None: staff."""
    caller = current_caller()
    return caller.id if caller.kind == "partner" else None


def actor() -> Actor:
    """Return who calls, as it is written down."""
    return Actor(current_caller().kind, current_caller().id)


@blueprint.get("/v1/settlement-batches")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(SettlementBatchQuery, location="query")
@blueprint.response(200, list_view(SettlementBatchView))
def list_settlement_batches(query: dict[str, Any]) -> Any:
    """List batches, the newest business date first; a partner sees its own."""
    page = Page.asked(query)
    asked = ids.uuid_if_said(ids.PARTNER, query["partner_id"])
    with raw_transaction() as connection:
        found = _page(connection, page, own_partner_id() or asked)
    body, status, headers = page.answer(found, _position)
    return {**body, "items": [batch_view(batch) for batch in body["items"]]}, status, headers


def _page(connection: psycopg.Connection[Any], page: Page, partner_id: UUID | None) -> list[Batch]:
    day, no, last = page.after or (None, None, None)
    asked = {
        "partner_id": partner_id,
        "state": page.filters["state"],
        "business_date": page.filters["business_date"],
        "day": date.fromisoformat(str(day)) if day else None,
        "no": no,
        "id": UUID(hex=str(last)) if last else None,
        "rows": page.rows_needed,
    }
    return [Batch._make(row) for row in connection.execute(READ_PAGE, asked)]


def _position(batch: Batch) -> Position:
    return [batch.business_date.isoformat(), batch.no, batch.id.hex]


@blueprint.post("/v1/settlement-batches")
@requires("staff", role="operator")
@blueprint.arguments(SettlementBatchRequest)
@blueprint.repeatable()
@blueprint.response(201, SettlementBatchView)
@blueprint.refusals(404, "id-unknown", "partner-unknown")
@blueprint.refusals(409, "settlement-day-not-over", "settlement-batch-closed")
def close_settlement_day(body: dict[str, Any]) -> Response:
    """Close a day, or close it again before it is accepted: then the file has the next number."""
    partner_id = ids.uuid_of(ids.PARTNER, body["partner_id"])
    with transaction() as session:

        def effect() -> Answer:
            connection = driver_connection(session)
            day, reason = body["business_date"], body["reason"]
            batch = close_day(runtime(), connection, partner_id, day, actor(), reason)
            return 201, SettlementBatchView().dump(batch_view(batch))

        return answer_once(session, effect)


@blueprint.get("/v1/settlement-batches/<batch_id>")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, SettlementBatchDetailView)
@blueprint.refusals(404, "settlement-batch-unknown", "id-unknown")
def show_settlement_batch(batch_id: str) -> dict[str, Any]:
    """Show a batch with its history and what the log holds of its manifest."""
    with raw_transaction() as connection:
        batch = batch_asked(connection, batch_id)
        changes = changes_of(connection, batch.id)
        manifest, leaf_index = (
            manifest_of(connection, batch.id),
            leaf_of_event(connection, batch.id),
        )
    return batch_detail_view(batch, changes, manifest, leaf_index)


@blueprint.get("/v1/settlement-batches/<batch_id>/file")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, content_type="text/csv")
@blueprint.refusals(404, "settlement-batch-unknown", "id-unknown")
def show_settlement_file(batch_id: str) -> Response:
    """Return the batch's file: CSV by RFC 4180 in UTF-8, the same bytes every time."""
    with raw_transaction() as connection:
        batch = batch_asked(connection, batch_id)
        digest = manifest_of(connection, batch.id).file_sha256
        content = content_of(row[0] for row in connection.execute(READ_FILE, [batch.id]))
    name = file_name(batch.partner, batch.business_date, batch.no)
    response = Response(content, content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    return response


@blueprint.get("/v1/settlement-batches/<batch_id>/manifest")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, content_type=MANIFEST_TYPE)
@blueprint.refusals(404, "settlement-batch-unknown", "id-unknown")
def show_settlement_manifest(batch_id: str) -> Response:
    """Return the batch's manifest: a compact JWS, signed with a key of our JWKS."""
    with raw_transaction() as connection:
        batch = batch_asked(connection, batch_id)
        return Response(manifest_of(connection, batch.id).document, mimetype=MANIFEST_TYPE)


@blueprint.post("/v1/settlement-batches/<batch_id>/receipts")
@requires("partner", scope="settlement:write")
@blueprint.repeatable()
@blueprint.response(201, SettlementBatchView)
@blueprint.refusals(404, "settlement-batch-unknown", "id-unknown")
@blueprint.refusals(409, "settlement-batch-closed")
def receive_settlement_batch(batch_id: str) -> Response:
    """Confirm that the file was received; again, nothing changes."""
    wanted = ids.uuid_of(ids.SETTLEMENT_BATCH, batch_id)
    with transaction() as session:

        def effect() -> Answer:
            batch = receive_receipt(driver_connection(session), wanted, actor())
            return 201, SettlementBatchView().dump(batch_view(batch))

        return answer_once(session, effect)


@blueprint.post("/v1/settlement-batches/<batch_id>/acceptances")
@requires("staff", role="operator")
@blueprint.repeatable()
@blueprint.response(201, SettlementBatchView)
@blueprint.refusals(404, "settlement-batch-unknown", "id-unknown")
@blueprint.refusals(409, "settlement-exceptions-open", "settlement-batch-closed")
def accept_settlement_batch(batch_id: str) -> Response:
    """Accept a batch whose exceptions are resolved, and settle what was captured in it.

    A batch that was matched without an exception has been accepted by itself.
    """
    wanted = ids.uuid_of(ids.SETTLEMENT_BATCH, batch_id)
    with transaction() as session:

        def effect() -> Answer:
            batch = accept_batch(driver_connection(session), wanted, actor())
            return 201, SettlementBatchView().dump(batch_view(batch))

        return answer_once(session, effect)


def batch_asked(connection: psycopg.Connection[Any], batch_id: str) -> Batch:
    """Return the batch of an address, if the caller may see it."""
    wanted = ids.uuid_of(ids.SETTLEMENT_BATCH, batch_id)
    return batch_by_id(connection, wanted, own_partner_id())
