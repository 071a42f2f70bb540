"""Certification batches over HTTP: verifiers read and decide, operators and auditors look on."""

from typing import Any
from uuid import UUID

from flask import Response

from service import ids
from service.activities.certification.batches import decide_batch
from service.activities.certification.lists import batch_of, batches, items_of
from service.activities.certification.schemas import (
    DECISIONS,
    BatchDecisionRequest,
    BatchDecisionView,
    BatchDetailView,
    BatchItemView,
    BatchQuery,
    BatchView,
    batch_view,
    decision_view,
    item_view,
)
from service.db import driver_connection
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, transaction
from service.web.idempotency import Answer, answer_once
from service.web.pagination import Page, PageQuery, list_view

blueprint = Blueprint("certification", __name__, description="What waits for a verifier's word")

DECIDED_BEFORE = {
    "description": "It was decided so before.",
    "content": {"application/json": {"schema": BatchDecisionView}},
}


@blueprint.get("/v1/certification-batches")
@requires("staff", role="verifier")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(BatchQuery, location="query")
@blueprint.response(200, list_view(BatchView))
def list_certification_batches(query: dict[str, Any]) -> Any:
    """List certification batches, those closed first first."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = batches(connection, page.after, page.rows_needed, query["state"])
    body, status, headers = page.answer(found, lambda batch: batch.position)
    return {**body, "items": [batch_view(batch) for batch in body["items"]]}, status, headers


@blueprint.get("/v1/certification-batches/<batch_id>")
@requires("staff", role="verifier")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, BatchDetailView)
@blueprint.refusals(404, "batch-unknown", "id-unknown")
def show_certification_batch(batch_id: str) -> dict[str, Any]:
    """Show a batch with the first hundred of its activities."""
    wanted = ids.uuid_of(ids.CERTIFICATION_BATCH, batch_id)
    with raw_transaction() as connection:
        found = batch_of(connection, wanted)
        items = items_of(connection, wanted)
    return {**batch_view(found), "items": [item_view(item) for item in items]}


@blueprint.get("/v1/certification-batches/<batch_id>/activities")
@requires("staff", role="verifier")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, list_view(BatchItemView))
@blueprint.refusals(404, "batch-unknown", "id-unknown")
def list_batch_activities(query: dict[str, Any], batch_id: str) -> Any:
    """List all activities of a batch in the order of its digest, so that it can be recomputed."""
    wanted = ids.uuid_of(ids.CERTIFICATION_BATCH, batch_id)
    page = Page.asked(query)
    after = UUID(hex=str(page.after[0])) if page.after else None
    with raw_transaction() as connection:
        batch_of(connection, wanted)
        found = items_of(connection, wanted, after, page.rows_needed)
    body, status, headers = page.answer(found, lambda item: [item.activity_id.hex])
    return {**body, "items": [item_view(item) for item in body["items"]]}, status, headers


@blueprint.post("/v1/certification-batches/<batch_id>/decisions")
@requires("staff", role="verifier")
@blueprint.arguments(BatchDecisionRequest)
@blueprint.repeatable()
@blueprint.response(201, BatchDecisionView)
@blueprint.doc(responses={"200": DECIDED_BEFORE})
@blueprint.refusals(404, "batch-unknown", "id-unknown")
@blueprint.refusals(403, "role-missing", "verifier-not-independent")
@blueprint.refusals(409, "batch-already-decided", "batch-digest-mismatch")
def decide_certification_batch(body: dict[str, Any], batch_id: str) -> Response:
    """Approve or reject a batch, once; a worker then issues its points, or refuses its acts."""
    wanted = ids.uuid_of(ids.CERTIFICATION_BATCH, batch_id)
    with transaction() as session:

        def effect() -> Answer:
            connection = driver_connection(session)
            verdict = DECISIONS[body["decision"]]
            _, new = decide_batch(
                connection, wanted, verdict, body["statement"], current_caller().id
            )
            told = BatchDecisionView().dump(decision_view(batch_of(connection, wanted)))
            return 201 if new else 200, told

        return answer_once(session, effect)
