"""Reconciliation over HTTP: partners' files, their comparison, and what differs."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from flask import Response, request

from service import ids
from service.db import driver_connection
from service.ids import public_id
from service.rewards.settlement import reconciliation_schemas as schemas
from service.rewards.settlement.api import actor, batch_asked, own_partner_id
from service.rewards.settlement.batches import Batch
from service.rewards.settlement.closing import batch_for
from service.rewards.settlement.errors import PartnerFileTarget
from service.rewards.settlement.exceptions import (
    READ_PAGE,
    NotedDifference,
    assign,
    exception_by_id,
    steps_of,
)
from service.rewards.settlement.matching import Stated
from service.rewards.settlement.partner_files import FILE_BYTES_MAX
from service.rewards.settlement.resolving import Proposal, approve, propose
from service.rewards.settlement.runs import run_by_id
from service.rewards.settlement.uploads import receive_file
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_anew, answer_once
from service.web.json_bodies import refuse_unknown_length
from service.web.pagination import Page, Position, list_view
from service.web.refusals import EncodingUnsupported, MediaTypeUnsupported

blueprint = Blueprint("reconciliation", __name__, description="Where two sides' books differ")

CSV_BODY: Final = {
    "required": True,
    "description": "UTF-8, RFC 4180, with a header; at most 100,000 lines and 20 MB. Columns:"
    " partner_reference, redemption_id, state, benefit_value, effective_from, effective_to,"
    " occurred_at; and, if wanted, points, terms_hash, pairwise_subject, record_type.",
    "content": {"text/csv": {"schema": {"type": "string"}}},
}


@blueprint.post("/v1/partner-files")
@requires("partner", scope="settlement:write")
@blueprint.arguments(schemas.PartnerFileQuery, location="query")
@blueprint.doc(requestBody=CSV_BODY)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(202, schemas.PartnerFileView)
@blueprint.refusals(400, "partner-file-target")
@blueprint.refusals(404, "settlement-batch-unknown", "id-unknown")
@blueprint.refusals(409, "settlement-batch-closed", "settlement-day-not-over")
@blueprint.refusals(413, "body-too-large")
@blueprint.refusals(415, "media-type-unsupported", "content-encoding-unsupported")
@blueprint.refusals(422, "partner-file-invalid")
def upload_partner_file(query: dict[str, Any]) -> Response:
    """Send the partner's own account of a batch; the same bytes again are the same file."""
    content = _csv()
    stated = Stated(query["lines"], query["points_total"])
    with raw_transaction() as connection:
        batch = _target(connection, query)
        received = receive_file(connection, batch, content, stated, actor())
    view = {
        "id": public_id(ids.PARTNER_FILE, received.file_id),
        "run_id": public_id(ids.RECONCILIATION_RUN, received.run_id),
        "batch_id": batch.public_id,
        "sha256": received.sha256.hex(),
    }
    response = answer_anew(lambda: (202, view))
    response.headers["Location"] = f"/v1/reconciliation-runs/{view['run_id']}"
    return response


def _csv() -> bytes:
    if request.mimetype != "text/csv":
        raise MediaTypeUnsupported("Please send the file as text/csv.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise EncodingUnsupported("Please send the file as it is, not compressed.")
    refuse_unknown_length(request)
    request.max_content_length = FILE_BYTES_MAX
    return request.get_data()


def _target(connection: psycopg.Connection[Any], query: dict[str, Any]) -> Batch:
    """Return the batch that a file is about; a day of which we know nothing has an empty one."""
    batch_id, day = query["batch_id"], query["business_date"]
    if (batch_id is None) == (day is None):
        raise PartnerFileTarget("Please name either batch_id or business_date.")
    if batch_id is not None:
        return batch_asked(connection, batch_id)
    return batch_for(runtime(), connection, current_caller().id, day)


@blueprint.get("/v1/reconciliation-runs/<run_id>")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, schemas.ReconciliationRunView)
@blueprint.refusals(404, "reconciliation-run-unknown", "id-unknown")
def show_reconciliation_run(run_id: str) -> dict[str, Any]:
    """Show how the comparison of a file went."""
    wanted = ids.uuid_of(ids.RECONCILIATION_RUN, run_id)
    with raw_transaction() as connection:
        return schemas.run_view(run_by_id(connection, wanted, own_partner_id()))


@blueprint.get("/v1/reconciliation-exceptions")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(schemas.ReconciliationExceptionQuery, location="query")
@blueprint.response(200, list_view(schemas.ReconciliationExceptionView))
def list_reconciliation_exceptions(query: dict[str, Any]) -> Any:
    """List exceptions, the oldest first; a partner sees its own."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = _page(connection, page)
    body, status, headers = page.answer(found, _position)
    shown = [schemas.exception_view(each) for each in body["items"]]
    return {**body, "items": shown}, status, headers


def _page(connection: psycopg.Connection[Any], page: Page) -> list[NotedDifference]:
    opened_at, last = page.after or (None, None)
    asked = {
        "partner_id": own_partner_id(),
        "state": page.filters["state"],
        "code": page.filters["code"],
        "batch_id": ids.uuid_if_said(ids.SETTLEMENT_BATCH, page.filters["batch_id"]),
        "opened_at": datetime.fromisoformat(str(opened_at)) if opened_at else None,
        "id": UUID(hex=str(last)) if last else None,
        "rows": page.rows_needed,
    }
    return [NotedDifference._make(row) for row in connection.execute(READ_PAGE, asked)]


def _position(found: NotedDifference) -> Position:
    return [found.opened_at.isoformat(), found.id.hex]


@blueprint.get("/v1/reconciliation-exceptions/<exception_id>")
@requires("partner", scope="settlement:read")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, schemas.ReconciliationExceptionDetailView)
@blueprint.refusals(404, "exception-unknown", "id-unknown")
def show_reconciliation_exception(exception_id: str) -> dict[str, Any]:
    """Show an exception with what was done about it."""
    wanted, to_staff = _exception_id(exception_id), own_partner_id() is None
    with raw_transaction() as connection:
        found = exception_by_id(connection, wanted, own_partner_id())
        steps = steps_of(connection, wanted)
    shown = [schemas.step_view(step, to_staff=to_staff) for step in steps]
    return {**schemas.exception_view(found), "steps": shown}


@blueprint.post("/v1/reconciliation-exceptions/<exception_id>/assignments")
@requires("staff", role="operator")
@blueprint.arguments(schemas.ExceptionAssignmentRequest)
@blueprint.repeatable()
@blueprint.response(201, schemas.ReconciliationExceptionView)
@blueprint.refusals(404, "exception-unknown", "id-unknown")
@blueprint.refusals(409, "exception-resolved")
@blueprint.refusals(422, "assignee-unknown")
def assign_reconciliation_exception(body: dict[str, Any], exception_id: str) -> Response:
    """Say who looks after an exception."""
    wanted = _exception_id(exception_id)
    staff_id = ids.uuid_if_said(ids.STAFF, body["staff_id"])
    with transaction() as session:

        def effect() -> Answer:
            connection, by = driver_connection(session), current_caller().id
            after = assign(connection, wanted, body["owner"], staff_id, by, body["reason"])
            return 201, schemas.ReconciliationExceptionView().dump(schemas.exception_view(after))

        return answer_once(session, effect)


@blueprint.post("/v1/reconciliation-exceptions/<exception_id>/resolutions")
@requires("staff", role="operator")
@blueprint.arguments(schemas.ExceptionResolutionRequest)
@blueprint.repeatable()
@blueprint.response(201, schemas.ExceptionResolutionView)
@blueprint.refusals(404, "exception-unknown", "id-unknown")
@blueprint.refusals(409, "exception-resolved", "resolution-not-allowed")
def resolve_reconciliation_exception(body: dict[str, Any], exception_id: str) -> Response:
    """Say how an exception shall be resolved; a second person approves it where that is needed."""
    wanted = _exception_id(exception_id)
    with transaction() as session:

        def effect() -> Answer:
            proposal = Proposal(0, current_caller().id, **body)
            settings = runtime().settings
            found, no = propose(driver_connection(session), settings, wanted, proposal)
            return 201, _resolution(found, no)

        return answer_once(session, effect)


@blueprint.post("/v1/reconciliation-exceptions/<exception_id>/resolutions/<int:no>/approvals")
@requires("staff", role="operator")
@blueprint.repeatable()
@blueprint.response(201, schemas.ExceptionResolutionView)
@blueprint.refusals(403, "same-person-approval", "role-missing")
@blueprint.refusals(404, "exception-unknown", "id-unknown")
@blueprint.refusals(409, "exception-resolved", "resolution-outdated", "resolution-not-allowed")
def approve_resolution(exception_id: str, no: int) -> Response:
    """Approve what a colleague has proposed; it is done with this."""
    wanted = _exception_id(exception_id)
    with transaction() as session:

        def effect() -> Answer:
            found = approve(driver_connection(session), wanted, no, current_caller().id)
            return 201, _resolution(found, no)

        return answer_once(session, effect)


def _resolution(found: NotedDifference, no: int) -> dict[str, Any]:
    view = {
        **schemas.exception_view(found),
        "resolution_no": no,
        "needs_approval": found.state == "proposed",
    }
    dumped: dict[str, Any] = schemas.ExceptionResolutionView().dump(view)
    return dumped


def _exception_id(text: str) -> UUID:
    return ids.uuid_of(ids.RECONCILIATION_EXCEPTION, text)
