"""Over HTTP: what is disputed, and what people decide where nobody knows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, jsonify

from service.ids import FORCED_RESOLUTION, REDEMPTION, uuid_of
from service.pipelining import Connection
from service.rewards.redemptions import overseeing_schemas as schemas
from service.rewards.redemptions.capturing import CaptureWish
from service.rewards.redemptions.cases import Case, case_view, cases
from service.rewards.redemptions.disputing import dispute, dispute_of, resolve
from service.rewards.redemptions.forcing import approve, propose
from service.rewards.redemptions.reading import redemption_of
from service.rewards.redemptions.schemas import RecordView
from service.rewards.redemptions.stepping import actor, created, refusal_of, step_once
from service.rewards.redemptions.steps import Redemption, unknown
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction
from service.web.idempotency import Answer
from service.web.pagination import Page, list_view
from service.web.refusals import FieldFault, ValidationFailed
from service.web.verdicts import Begun, answer_once_gathered

blueprint = Blueprint(
    "overseeing", __name__, url_prefix="/v1", description="Disputes, and what nobody knows"
)


@blueprint.post("/redemptions/<redemption_id>/disputes")
@requires("citizen")
@requires("partner", scope="redemptions:reverse")
@blueprint.repeatable()
@blueprint.arguments(schemas.DisputeRequest)
@blueprint.response(201, RecordView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "dispute-too-late")
def open_dispute(body: dict[str, Any], redemption_id: str) -> Response:
    """Say that a settled benefit is not as it should be; nothing moves until staff have decided.

    Possible for 180 days after the capture. A citizen says it in her own words, which only she and
    staff see.
    """
    _require_own_words(body["words"])
    return step_once(
        redemption_id,
        lambda connection, redemption: created(
            dispute(connection, redemption, actor(), body["reason"], body["words"])
        ),
    )


@blueprint.get("/redemptions/<redemption_id>/disputes")
@requires("citizen")
@blueprint.response(200, schemas.DisputeView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
def show_dispute(redemption_id: str) -> Response:
    """Show what she, or her partner, has disputed, and what staff answered."""
    with raw_transaction() as connection:
        redemption = redemption_of(connection, uuid_of(REDEMPTION, redemption_id))
        if redemption.citizen_id != current_caller().id:
            raise unknown()
        return jsonify({"items": [step.view() for step in dispute_of(connection, redemption)]})


@blueprint.post("/redemptions/<redemption_id>/resolutions")
@requires("staff", role="operator")
@blueprint.repeatable()
@blueprint.arguments(schemas.ResolutionRequest)
@blueprint.response(201, RecordView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict")
def resolve_dispute(body: dict[str, Any], redemption_id: str) -> Response:
    """Decide a dispute: the benefit stands, or all that is left of it returns to her."""
    return step_once(
        redemption_id,
        lambda connection, redemption: created(
            resolve(connection, redemption, actor(), body["outcome"], body["reason"])
        ),
    )


@blueprint.post("/redemptions/<redemption_id>/forced-resolutions")
@requires("staff", role="operator")
@blueprint.repeatable()
@blueprint.arguments(schemas.ForcedResolutionRequest)
@blueprint.response(201, schemas.ForcedResolutionView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "terms-mismatch")
@blueprint.refusals(422, "benefit-differs")
def propose_forced_resolution(body: dict[str, Any], redemption_id: str) -> Response:
    """Say what became of a redemption that its partner does not answer for.

    It happens when another operator approves it.
    """
    outcome, kept = body["outcome"], {"evidence": _given(body["evidence"])}
    if body["capture"] is not None:
        kept["capture"] = _capture(CaptureWish(**body["capture"]))

    def step(connection: Connection, redemption: Redemption) -> Answer:
        return 201, propose(connection, redemption, current_caller().id, outcome, kept).view()

    return step_once(redemption_id, step)


@blueprint.post("/forced-resolutions/<proposal_id>/approvals")
@requires("staff", role="operator")
@blueprint.repeatable()
@blueprint.response(201, RecordView)
@blueprint.refusals(403, "same-person-approval")
@blueprint.refusals(404, "forced-resolution-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "partner-reference-reused")
@blueprint.refusals(422, "capture-exceeds-hold")
def approve_forced_resolution(proposal_id: str) -> Response:
    """Approve what a colleague has proposed; it happens in the same moment."""
    wanted = uuid_of(FORCED_RESOLUTION, proposal_id)

    def begin(connection: Connection) -> Begun:
        return lambda: created(approve(connection, wanted, actor()))

    return answer_once_gathered(begin, refusal_of)


@blueprint.get("/redemption-cases")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(schemas.CasesQuery, location="query")
@blueprint.response(200, list_view(schemas.CaseLineView))
@blueprint.refusals(400, "cursor-invalid")
def list_cases(query: dict[str, Any]) -> Any:
    """List the redemptions that are unknown or disputed, the oldest first; they name nobody."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = cases(
            connection,
            state=query["state"],
            needs_human=query["needs_human"],
            rows=page.rows_needed,
            after=_after(page),
        )
    body, status, headers = page.answer(found, _position)
    items = [case.view() for case in body["items"]]
    return jsonify({**body, "items": items}), status, headers


@blueprint.get("/redemption-cases/<redemption_id>")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.response(200, schemas.CaseView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
def show_case(redemption_id: str) -> Response:
    """Show all that staff decide by: records, questions to the partner, disputes, proposals."""
    with raw_transaction() as connection:
        return jsonify(case_view(connection, uuid_of(REDEMPTION, redemption_id)))


# --- what the views share ----------------------------------------------------------------------


def _require_own_words(words: str | None) -> None:
    is_citizen = current_caller().kind == "citizen"
    if is_citizen and words is None:
        raise _wrong_words("field-missing", "Missing data for required field.")
    if not is_citizen and words is not None:
        raise _wrong_words("unknown-field", "Unknown field.")


def _wrong_words(code: str, sentence: str) -> ValidationFailed:
    return ValidationFailed(
        "Please correct the fields named in errors.",
        errors=[FieldFault("/words", code, sentence)],
    )


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _capture(wish: CaptureWish) -> dict[str, Any]:
    said = {"partner_reference": wish.partner_reference, "points": wish.points}
    return _given(said) | wish.body()


def _position(case: Case) -> list[str | int]:
    return [case.recorded_at.isoformat(), case.id.hex]


def _after(page: Page) -> tuple[datetime, UUID] | None:
    if page.after is None:
        return None
    recorded_at, redemption_id = page.after
    return datetime.fromisoformat(str(recorded_at)), UUID(hex=str(redemption_id))
