"""The methodology library, for everybody to read."""

import hashlib
from typing import Any

import msgspec
from flask import Response, current_app, request
from marshmallow import Schema, fields, validate

from service import clock
from service.activities.intake.api import intake
from service.activities.rules.rulebook import Rulebook
from service.activities.rules.views import Showcase, proposed_factors
from service.methodologies import MethodologyNotFound
from service.web.access import requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction
from service.web.pagination import LIMIT_MAX, Page, PageQuery, list_view
from service.web.query_values import WholeNumber

SHOWCASE = "carbon.showcase"
CACHED_S = 60

blueprint = Blueprint("library", __name__, url_prefix="/v1", description="How grams are computed")


class LibraryQuery(PageQuery):
    """A page of the library is as long as pages can be."""

    limit = WholeNumber(load_default=LIMIT_MAX, validate=validate.Range(min=1, max=LIMIT_MAX))


class MethodologyQuery(LibraryQuery):
    """Which methodologies."""

    behavior = fields.String(load_default=None, validate=validate.Length(max=64))


class FactorQuery(LibraryQuery):
    """Which factors."""

    key = fields.String(load_default=None, validate=validate.Length(max=64))
    region = fields.String(load_default=None, validate=validate.Length(max=6))


class MethodologyView(Schema):
    """One published version of a rule, with everything that a reader needs to apply it."""

    code = fields.String(required=True)
    version = fields.Integer(required=True)
    behavior = fields.String(required=True)
    title = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    status = fields.String(
        required=True,
        metadata={
            "description": "`certifying`, `recorded-only`, `awaiting-authority`, `not-in-force`"
        },
    )
    formula = fields.String(required=True)
    conditions = fields.List(fields.String(), required=True)
    exclusions = fields.List(fields.String(), required=True)
    excluded_by = fields.List(fields.String(), required=True)
    evidence = fields.String(required=True, metadata={"description": "The lowest tier accepted."})
    is_trip = fields.Boolean(required=True)
    plausibility = fields.Dict(required=True, allow_none=True)
    caps = fields.List(fields.Dict(), required=True)
    once_per = fields.Dict(required=True, allow_none=True)
    rounding = fields.String(required=True)
    uncertainty = fields.String(required=True)
    regions = fields.List(fields.String(), required=True)
    factors = fields.List(fields.Dict(), required=True)
    parameters_awaited = fields.List(fields.String(), required=True)
    activity_data = fields.Dict(required=True, metadata={"description": "JSON Schema."})
    sources = fields.List(fields.String(), required=True)
    in_force_from = fields.Date(required=True)
    in_force_to = fields.Date(required=True, allow_none=True)
    replaces = fields.String(required=True, allow_none=True)


class FactorView(Schema):
    """One value of a factor, or a line for a factor that no source gives a value for."""

    version_id = fields.String(required=True, allow_none=True)
    key = fields.String(required=True)
    description = fields.String(required=True)
    unit = fields.String(required=True)
    region = fields.String(required=True, allow_none=True)
    value = fields.String(required=True, allow_none=True, metadata={"description": "Decimal."})
    year = fields.Integer(required=True, allow_none=True)
    in_force_from = fields.Date(required=True, allow_none=True)
    in_force_to = fields.Date(required=True, allow_none=True)
    status = fields.String(
        required=True,
        metadata={
            "description": "`in-force`, `superseded`, `not-yet-in-force`, `awaiting-authority`"
            " (no value yet), `awaiting-approval` (entered, not in use)"
        },
    )
    sources = fields.List(fields.String(), required=True)
    grade = fields.String(required=True, allow_none=True)
    mark = fields.String(required=True, allow_none=True)
    uncertainty = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    entered = fields.String(required=True, allow_none=True)


@blueprint.get("/methodologies")
@requires("anyone")
@blueprint.arguments(MethodologyQuery, location="query")
@blueprint.response(200, list_view(MethodologyView))
@blueprint.refusals(400, "cursor-invalid")
def list_methodologies(query: dict[str, Any]) -> Response:
    """Return every published methodology version."""
    wanted = [
        view for view in showcase().methodologies if query["behavior"] in {None, view["behavior"]}
    ]
    return _page(query, wanted)


@blueprint.get("/methodologies/<code>/versions/<int:version>")
@requires("anyone")
@blueprint.response(200, MethodologyView)
@blueprint.refusals(404, "methodology-not-found")
def read_methodology(code: str, version: int) -> Response:
    """Return one published methodology version."""
    for view in showcase().methodologies:
        if (view["code"], view["version"]) == (code, version):
            return _cacheable(view)
    raise MethodologyNotFound(
        "There is no methodology {code} version {version}.", code=code[:64], version=version
    )


@blueprint.get("/factors")
@requires("anyone")
@blueprint.arguments(FactorQuery, location="query")
@blueprint.response(200, list_view(FactorView))
@blueprint.refusals(400, "cursor-invalid")
def list_factors(query: dict[str, Any]) -> Response:
    """Return every factor value with its source, and every factor that awaits one."""
    known = showcase().factors
    with raw_transaction() as connection:
        proposed = proposed_factors(connection, known)
    wanted = [
        view
        for view in (*known, *proposed)
        if query["key"] in {None, view["key"]} and query["region"] in {None, view["region"]}
    ]
    return _page(query, wanted)


def showcase() -> Showcase:
    """Return the library as it stands today, made anew when an edition or a day begins."""
    with raw_transaction() as connection:
        rulebook: Rulebook = intake().shelf.rulebook(connection)
    day = clock.today()
    shown: Showcase | None = current_app.extensions.get(SHOWCASE)
    if shown is None or not shown.shows(rulebook, day):
        shown = current_app.extensions[SHOWCASE] = Showcase.of(rulebook, day)
    return shown


def _page(query: dict[str, Any], views: list[dict[str, Any]]) -> Response:
    """Answer with the part of a list that is asked for; its position is a row's number."""
    page = Page.asked(query)
    start = 0 if page.after is None else int(page.after[0])
    rows = list(enumerate(views[start : start + page.rows_needed], start + 1))
    body, _, headers = page.answer(rows, lambda row: [row[0]])
    return _cacheable({**body, "items": [view for _, view in body["items"]]}, headers)


def _cacheable(document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode(document)
    response = Response(body, mimetype="application/json", headers=headers)
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = f"public, max-age={CACHED_S}"
    response.make_conditional(request)
    return response
