"""Carbon reports over HTTP: the citizen takes one with her, and anybody can check it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service import clock, ids
from service.documents import LONGEST_DOCUMENT
from service.reports.carbon_report_claims import Wish
from service.reports.carbon_reports import (
    Issued,
    Report,
    check_report,
    issue_report,
    report_id_for,
    reports_of,
    status_of,
    withdraw_report,
)
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime
from service.web.idempotency import requested_key
from service.web.pagination import Page, PageQuery, list_view

PARTS = ("totals", "category_totals", "grade", "active_days")
VALID_DAYS_MAX = 90
VALID_DAYS_DEFAULT = 30
STATUSES = ("valid", "expired", "withdrawn", "unknown")

blueprint = Blueprint(
    "carbon_reports", __name__, url_prefix="/v1", description="A report that a citizen carries"
)


class CarbonReportRequest(Schema):
    """Body of POST /v1/me/carbon-reports."""

    # `from` is a word of Python's own.
    first_day = fields.Date(
        required=True, data_key="from", metadata={"description": "Asia/Shanghai."}
    )
    last_day = fields.Date(
        required=True, data_key="to", metadata={"description": "Not after today."}
    )
    include = fields.List(
        fields.String(validate=validate.OneOf(PARTS)),
        required=True,
        validate=validate.Length(1, len(PARTS)),
        metadata={"description": "Nothing else is in it; never a trip, a time or a place."},
    )
    rules = fields.String(
        load_default=None,
        validate=validate.Length(1, 64),
        metadata={"description": "By which the grade is told; exactly with `grade`."},
    )
    audience = fields.String(
        load_default=None,
        validate=validate.Length(1, 64),
        metadata={"description": "The name of the partner it is for."},
    )
    valid_days = fields.Integer(
        load_default=VALID_DAYS_DEFAULT,
        strict=True,
        validate=validate.Range(min=1, max=VALID_DAYS_MAX),
    )

    @validates_schema(skip_on_field_errors=True)
    def fits_together(self, data: dict[str, Any], **_: Any) -> None:
        """Ask for rules exactly with a grade, and for no day to come."""
        if "grade" in data["include"] and data["rules"] is None:
            raise ValidationError("Missing data for required field.", "rules")
        if "grade" not in data["include"] and data["rules"] is not None:
            raise ValidationError("Unknown field.", "rules")
        if data["last_day"] > clock.today():
            raise ValidationError("The last day of a report has to have begun.", "to")


class CarbonReportView(Schema):
    """What is kept of a report."""

    id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    issued_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True)
    withdrawn_at = fields.AwareDateTime(required=True, allow_none=True)


class IssuedCarbonReportView(CarbonReportView):
    """A report that was just issued."""

    report = fields.String(
        required=True,
        metadata={"description": "Compact JWS, `typ` `carbon-report+jwt`; kept by you alone."},
    )


class CarbonReportStatusView(Schema):
    """What has become of a report; says nothing of anybody."""

    status = fields.String(required=True, validate=validate.OneOf(STATUSES))


class CarbonReportCheckRequest(Schema):
    """Body of POST /v1/carbon-report-checks."""

    report = fields.String(required=True, validate=validate.Length(1, LONGEST_DOCUMENT))


class CarbonReportCheckView(Schema):
    """What came of checking a report."""

    is_valid = fields.Boolean(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf([*STATUSES, "invalid"]),
        metadata={"description": "`invalid`: not signed here, or not as a report."},
    )
    claims = fields.Dict(
        required=True, allow_none=True, metadata={"description": "What it says, if we signed it."}
    )


@blueprint.post("/me/carbon-reports")
@requires("citizen")
@blueprint.arguments(CarbonReportRequest)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, IssuedCarbonReportView)
@blueprint.refusals(404, "grade-rules-not-in-force", "partner-unknown")
@blueprint.refusals(409, "report-differs")
@blueprint.refusals(422, "report-period-invalid")
def create_carbon_report(body: dict[str, Any]) -> Any:
    """Issue a report on oneself, to be shown to whom one likes.

    Nothing of what it says is kept. Sent again with its `Idempotency-Key`, it is signed again.
    """
    citizen_id = current_caller().id
    wish = Wish(**{**body, "include": frozenset(body["include"])})
    with raw_transaction() as connection:
        issued = issue_report(
            connection,
            runtime().keys,
            runtime().settings.issuer,
            citizen_id,
            report_id_for(citizen_id, requested_key()),
            wish,
            clock.now(),
        )
    return _issued_view(issued)


@blueprint.get("/me/carbon-reports")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, list_view(CarbonReportView))
@blueprint.refusals(400, "cursor-invalid")
def list_carbon_reports(query: dict[str, Any]) -> Any:
    """List one's own reports, the newest first; what they say is not kept."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = reports_of(
            connection, current_caller().id, rows=page.rows_needed, after=_position(page)
        )
    body, status, headers = page.answer(
        found, lambda report: [report.recorded_at.isoformat(), report.id.hex]
    )
    return {**body, "items": [_view(each) for each in body["items"]]}, status, headers


@blueprint.delete("/me/carbon-reports/<report_id>")
@requires("citizen")
@blueprint.response(204)
@blueprint.refusals(404, "id-unknown")
def withdraw_carbon_report(report_id: str) -> None:
    """Let a report count no more; whoever checks it from now on is told so."""
    wanted = ids.uuid_of(ids.CARBON_REPORT, report_id)
    with raw_transaction() as connection:
        withdraw_report(connection, current_caller().id, wanted, clock.now())


@blueprint.get("/carbon-reports/<report_id>/status")
@requires("anyone")
@blueprint.response(200, CarbonReportStatusView)
def read_carbon_report_status(report_id: str) -> Any:
    """Return whether a report still counts; of what is none, `unknown`."""
    with raw_transaction() as connection:
        return {"status": status_of(connection, report_id, clock.now())}


@blueprint.post("/carbon-report-checks")
@requires("anyone")
@blueprint.arguments(CarbonReportCheckRequest)
@blueprint.response(200, CarbonReportCheckView)
def check_carbon_report(body: dict[str, Any]) -> Any:
    """Verify a report that one was shown: signature, content, time and status."""
    with raw_transaction() as connection:
        status, claims = check_report(connection, runtime().keys, body["report"], clock.now())
    return {"is_valid": status == "valid", "status": status, "claims": claims}


def _view(report: Report) -> dict[str, Any]:
    return {
        "id": ids.public_id(ids.CARBON_REPORT, report.id),
        "status": report.status(clock.now()),
        "issued_at": report.recorded_at,
        "expires_at": report.expires_at,
        "withdrawn_at": report.withdrawn_at,
    }


def _issued_view(issued: Issued) -> dict[str, Any]:
    return {**_view(issued.report), "report": issued.document}


def _position(page: Page) -> tuple[datetime, UUID] | None:
    if page.after is None:
        return None
    recorded_at, report_id = page.after
    return datetime.fromisoformat(str(recorded_at)), UUID(str(report_id))
