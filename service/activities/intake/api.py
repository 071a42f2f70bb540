"""Activities over HTTP: sources' feeds, a citizen's own records, and what became of them."""

from typing import Any
from uuid import UUID

import msgspec
from flask import Response, current_app, request

from service import ids
from service.activities.errors import ActivityConflict, SourceSuspended
from service.activities.intake import schemas
from service.activities.intake.answers import feed_answer, item
from service.activities.intake.candidates import SELF_RECORDED, Source
from service.activities.intake.desk import Intake
from service.activities.intake.feed_body import FEED_BODY_BYTES_MAX, read_feed
from service.activities.intake.lines import Unreadable, read_own_line
from service.activities.intake.outcomes import Outcome
from service.activities.intake.records import activities_of, activity_of
from service.activities.reasons import sentence
from service.messages import Language, language_of
from service.partners.organisations import partner_by_id
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime
from service.web.json_bodies import refuse_unknown_length
from service.web.pagination import Page, PageQuery, list_view
from service.web.rate_limits import rate_policy
from service.web.refusals import (
    EncodingUnsupported,
    FieldFault,
    MediaTypeUnsupported,
    ValidationFailed,
)

INTAKE = "carbon.intake"
PREFER = {
    "in": "header",
    "name": "Prefer",
    "required": False,
    "schema": {"type": "string", "example": "return=minimal"},
    "description": "`return=minimal`: certified lines are counted and not listed.",
}
NDJSON = ("application/x-ndjson", "application/ndjson")

blueprint = Blueprint("activities", __name__, description="Acts, their verdicts and reasons")


def intake() -> Intake:
    """Return the process's intake desk."""
    found: Intake = current_app.extensions[INTAKE]
    return found


@blueprint.post("/v1/activity-batches")
@requires("partner", role="source")
@rate_policy("feed")
@blueprint.doc(
    requestBody={
        "required": True,
        "description": "At most 10,000 lines, each one activity; plain or gzip.",
        "content": {"application/x-ndjson": {"schema": schemas.ActivityLine}},
    },
    parameters=[PREFER],
)
@blueprint.response(200, schemas.FeedView)
@blueprint.refusals(400, "feed-empty", "feed-not-gzip")
@blueprint.refusals(413, "feed-too-many-lines")
@blueprint.refusals(415, "media-type-unsupported", "content-encoding-unsupported")
def record_feed() -> Response:
    """Record a source's feed; every line gets its own verdict.

    Lines have natural keys, so a feed may be sent again as it is: nothing is recorded twice.
    """
    is_gzip = _feed_is_gzip()
    lines = read_feed(request.stream, is_gzip=is_gzip)
    feed = intake().record_feed(calling_source(), lines)
    minimal = "return=minimal" in request.headers.get("Prefer", "")
    answer = feed_answer(feed, _language(), minimal=minimal)
    response = _json(200, answer)
    if minimal:
        response.headers["Preference-Applied"] = "return=minimal"
    return response


@blueprint.post("/v1/activities")
@requires("citizen")
@blueprint.doc(
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": schemas.ActivityRequest}},
    }
)
@blueprint.response(201, schemas.ItemView)
@blueprint.alt_response(200, schema=schemas.ItemView, description="It was recorded before")
@blueprint.refusals(409, "activity-conflict")
@blueprint.refusals(422, "validation-failed")
def record_own_activity() -> Response:
    """Record an act by herself: of a lower evidence tier, never certified on receipt."""
    request.get_json()
    line = read_own_line(request.get_data())
    if isinstance(line, Unreadable):
        raise invalid(line)
    source = Source(None, runtime().settings.region, SELF_RECORDED, None)
    return _own_answer(intake().record_own(source, current_caller().id, line))


@blueprint.get("/v1/me/activities")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, list_view(schemas.ActivityView))
def list_own_activities(query: dict[str, Any]) -> Any:
    """List her activities, the newest first, with verdicts and reasons."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = activities_of(connection, current_caller().id, page.after, page.rows_needed)
    body, status, headers = page.answer(found, lambda each: each.position)
    shown = [each.view(_language()) for each in body["items"]]
    return {**body, "items": shown}, status, headers


@blueprint.get("/v1/activities/<activity_id>")
@requires("citizen")
@blueprint.response(200, schemas.ActivityView)
@blueprint.refusals(404, "activity-unknown", "id-unknown")
def show_activity(activity_id: str) -> dict[str, Any]:
    """Show one of her activities with every decision about it."""
    wanted = ids.uuid_of(ids.ACTIVITY, activity_id)
    with raw_transaction() as connection:
        found = activity_of(connection, current_caller().id, wanted)
    return found.view(_language())


def _feed_is_gzip() -> bool:
    """Make the body readable here, where it may be large and packed, and say how it is packed."""
    if request.mimetype not in NDJSON:
        raise MediaTypeUnsupported("Please send the feed as application/x-ndjson.")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise EncodingUnsupported("Please send the feed plain or with Content-Encoding: gzip.")
    refuse_unknown_length(request)
    request.max_content_length = FEED_BODY_BYTES_MAX
    return encoding == "gzip"


def calling_source() -> Source:
    """Return the partner that calls, as intake sees it."""
    with raw_transaction() as connection:
        partner = partner_by_id(connection, current_caller().id)
    if not partner.is_active:
        raise SourceSuspended("This source is suspended. Please ask the scheme's operator.")
    return Source(
        partner.id,
        partner.region or runtime().settings.region,
        partner.evidence_tier,
        partner.settlement_delay_days,
    )


def _own_answer(outcome: Outcome) -> Response:
    if outcome.activity_id is None:
        raise invalid(Unreadable(outcome.code or "json-malformed", outcome.params or {}))
    if outcome.verdict == "conflict":
        raise ActivityConflict(
            "You have recorded {external_id} before with other content.",
            external_id=outcome.external_id,
            activity_id=ids.public_id(ids.ACTIVITY, UUID(outcome.activity_id)),
        )
    return _json(200 if outcome.verdict == "duplicate" else 201, item(outcome, _language()))


def invalid(flaw: Unreadable) -> ValidationFailed:
    """Return the refusal of a record that cannot be read."""
    detail = sentence(flaw.code, flaw.params, _language())
    pointer = str(flaw.params.get("pointer", ""))
    return ValidationFailed(
        "Please correct the fields that are named in errors.",
        errors=[FieldFault(pointer, flaw.code, "{sentence}", sentence=detail)],
    )


def _language() -> Language:
    return language_of(request.headers.get("Accept-Language"))


def _json(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, mimetype="application/json")
