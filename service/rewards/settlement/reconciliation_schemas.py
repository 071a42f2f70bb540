"""The shapes of reconciliation at the HTTP edge."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service import ids
from service.ids import public_id
from service.rewards.settlement.codes import ALLOWED
from service.rewards.settlement.exceptions import NotedDifference, Step
from service.rewards.settlement.partner_files import LINES_MAX
from service.rewards.settlement.runs import Run
from service.web.pagination import PageQuery
from service.web.query_values import WholeNumber

POINTS_MAX: Final = 10**15
REASON: Final = validate.Length(1, 500)
RESOLUTIONS: Final = ("accept_partner", "accept_ours", "reverse", "write_off")
EXCEPTION_STATES: Final = ("open", "proposed", "resolved", "cleared")


class PartnerFileQuery(Schema):
    """Query of POST /v1/partner-files: exactly one of the first two."""

    batch_id = fields.String(load_default=None)
    business_date = fields.Date(load_default=None)
    lines = WholeNumber(
        load_default=None,
        validate=validate.Range(0, LINES_MAX),
        metadata={"description": "How many lines the file has, without its header."},
    )
    points_total = WholeNumber(
        load_default=None,
        validate=validate.Range(0, POINTS_MAX),
        metadata={"description": "Sum of the file's points column."},
    )


class PartnerFileView(Schema):
    """A partner's file that was taken in."""

    id = fields.String(required=True)
    run_id = fields.String(required=True)
    batch_id = fields.String(required=True)
    sha256 = fields.String(required=True)


class ReconciliationRunView(Schema):
    """The comparison of a partner's file with its batch."""

    id = fields.String(required=True)
    partner_file_id = fields.String(required=True)
    batch_id = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(["queued", "matched", "exceptions", "overtaken"]),
        metadata={"description": "`overtaken`: a newer file or batch was compared instead."},
    )
    sha256 = fields.String(required=True)
    lines = fields.Integer(required=True)
    matched_lines = fields.Integer(required=True, allow_none=True)
    exceptions = fields.Integer(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)


class ReconciliationExceptionQuery(PageQuery):
    """Query of GET /v1/reconciliation-exceptions."""

    state = fields.String(load_default=None, validate=validate.OneOf(EXCEPTION_STATES))
    code = fields.String(load_default=None, validate=validate.OneOf(list(ALLOWED)))
    batch_id = fields.String(load_default=None)


class AmountAtRiskView(Schema):
    """What may be lost."""

    points = fields.Integer(required=True)
    subsidy_minor = fields.Integer(required=True, metadata={"description": "fen"})


class ExceptionOwnerView(Schema):
    """Who looks after an exception."""

    kind = fields.String(required=True, validate=validate.OneOf(["partner", "platform", "staff"]))
    id = fields.String(required=True, allow_none=True)


class ReconciliationExceptionView(Schema):
    """One difference between a batch and the partner's file."""

    id = fields.String(required=True)
    code = fields.String(required=True, validate=validate.OneOf(list(ALLOWED)))
    batch_id = fields.String(required=True)
    run_id = fields.String(required=True)
    partner_id = fields.String(required=True)
    redemption_id = fields.String(required=True, allow_none=True)
    record_id = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(EXCEPTION_STATES))
    version = fields.Integer(required=True)
    owner = fields.Nested(ExceptionOwnerView, required=True)
    age_days = fields.Integer(required=True)
    amount_at_risk = fields.Nested(AmountAtRiskView, required=True)
    ours = fields.Dict(required=True, allow_none=True)
    theirs = fields.Dict(required=True, allow_none=True)
    allowed_resolutions = fields.List(fields.String(), required=True)
    opened_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)


class ExceptionStepView(Schema):
    """Something that was done about an exception."""

    no = fields.Integer(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    actor_kind = fields.String(required=True)
    actor_id = fields.String(required=True, allow_none=True)
    resolution = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    evidence = fields.Dict(required=True, allow_none=True)
    done_at = fields.AwareDateTime(required=True)


class ReconciliationExceptionDetailView(ReconciliationExceptionView):
    """An exception with what was done about it; a partner is not told who of the staff did it."""

    steps = fields.List(fields.Nested(ExceptionStepView), required=True)


class ExceptionAssignmentRequest(Schema):
    """Body of POST /v1/reconciliation-exceptions/{id}/assignments."""

    owner = fields.String(required=True, validate=validate.OneOf(["partner", "platform", "staff"]))
    staff_id = fields.String(load_default=None)
    reason = fields.String(load_default=None, validate=REASON)

    @validates_schema
    def _names_staff(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data["owner"] == "staff") != (data["staff_id"] is not None):
            raise ValidationError("Missing data for required field.", "staff_id")


class ExceptionResolutionRequest(Schema):
    """Body of POST /v1/reconciliation-exceptions/{id}/resolutions."""

    resolution = fields.String(required=True, validate=validate.OneOf(RESOLUTIONS))
    reason = fields.String(required=True, validate=REASON)
    evidence = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 60)),
        values=fields.String(validate=validate.Length(max=500)),
        load_default=None,
        validate=validate.Length(max=20),
        metadata={"description": "What it rests on: a document's name, digest or address."},
    )


class ExceptionResolutionView(ReconciliationExceptionView):
    """An exception after a resolution was proposed or approved."""

    resolution_no = fields.Integer(
        required=True, metadata={"description": "By which a second person approves it."}
    )
    needs_approval = fields.Boolean(required=True)


def run_view(run: Run) -> dict[str, Any]:
    """Return a run as it is shown."""
    return {
        "id": public_id(ids.RECONCILIATION_RUN, run.id),
        "partner_file_id": public_id(ids.PARTNER_FILE, run.file_id),
        "batch_id": public_id(ids.SETTLEMENT_BATCH, run.batch_id),
        "state": run.state,
        "sha256": run.sha256.hex(),
        "lines": run.lines,
        "matched_lines": run.matched_lines,
        "exceptions": run.exceptions,
        "created_at": run.recorded_at,
        "ended_at": run.ended_at,
    }


def exception_view(found: NotedDifference) -> dict[str, Any]:
    """Return an exception as it is shown."""
    record, redemption, owner = found.record_id, found.redemption_id, found.owner_id
    return {
        "id": public_id(ids.RECONCILIATION_EXCEPTION, found.id),
        "code": found.code,
        "batch_id": public_id(ids.SETTLEMENT_BATCH, found.batch_id),
        "run_id": public_id(ids.RECONCILIATION_RUN, found.run_id),
        "partner_id": public_id(ids.PARTNER, found.partner_id),
        "redemption_id": redemption and public_id(ids.REDEMPTION, redemption),
        "record_id": record and public_id(ids.REDEMPTION_RECORD, record),
        "state": found.state,
        "version": found.version,
        "owner": {
            "kind": found.owner_kind,
            "id": owner and public_id(ids.STAFF, owner),
        },
        "age_days": found.age_days,
        "amount_at_risk": {"points": found.points, "subsidy_minor": found.subsidy_minor},
        "ours": found.ours,
        "theirs": found.theirs,
        "allowed_resolutions": list(ALLOWED[found.code]),
        "opened_at": found.opened_at,
        "ended_at": found.ended_at,
    }


def step_view(step: Step, *, to_staff: bool) -> dict[str, Any]:
    """Return a step as it is shown."""
    who = step.actor_id if to_staff else None
    return {
        "no": step.no,
        "kind": step.kind,
        "state": step.state,
        "actor_kind": step.actor_kind,
        "actor_id": who and public_id(ids.STAFF, who),
        "resolution": step.resolution,
        "reason": step.reason,
        "evidence": step.evidence if to_staff else None,
        "done_at": step.recorded_at,
    }
