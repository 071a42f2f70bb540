"""The public statistics, over HTTP."""

from flask import Response, current_app
from marshmallow import Schema, fields

from service.reports.latest import LatestStatistics
from service.web.access import requires
from service.web.blueprint import Blueprint
from service.web.context import runtime

LATEST = "carbon.statistics"
CACHED_S = 30

blueprint = Blueprint("statistics", __name__, url_prefix="/v1", description="The scheme in numbers")


class ActivityCountsView(Schema):
    """Activities by their present verdict."""

    recorded = fields.Integer(required=True, metadata={"description": "All of the others."})
    certified = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    withdrawn = fields.Integer(required=True)
    superseded = fields.Integer(required=True)
    erased = fields.Integer(required=True)
    corrected = fields.Integer(
        required=True, metadata={"description": "Not certified, and replaced by a revision."}
    )
    invalidated = fields.Integer(
        required=True, metadata={"description": "Certified once, and taken back."}
    )


class FatesView(Schema):
    """Where grams or points are.

    `recorded = certified + pending`, where certified is whatever ever was;
    `certified = available + held + redeemed + pooled + expired + invalidated + retired`;
    the behaviors' `certified + invalidated` are this `certified`, and their `invalidated` is this
    `invalidated + owed`.
    """

    recorded = fields.Integer(required=True)
    certified = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    available = fields.Integer(required=True)
    held = fields.Integer(required=True)
    redeemed = fields.Integer(required=True)
    pooled = fields.Integer(required=True)
    expired = fields.Integer(required=True)
    invalidated = fields.Integer(required=True)
    retired = fields.Integer(required=True)
    owed = fields.Integer(
        required=True,
        metadata={"description": "Invalidated after it was spent; not yet recovered."},
    )


class CountedView(Schema):
    """What is certified, what waits, and what was certified and is no more."""

    certified = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    invalidated = fields.Integer(required=True)


class BehaviorStatisticsView(Schema):
    """One behavior."""

    behavior = fields.String(required=True)
    activities = fields.Nested(ActivityCountsView, required=True)
    reduction_g = fields.Nested(CountedView, required=True)
    points = fields.Nested(CountedView, required=True)


class SchemeStatisticsView(Schema):
    """Sums over everybody."""

    activities = fields.Nested(ActivityCountsView, required=True)
    reduction_g = fields.Nested(
        FatesView, required=True, metadata={"description": "Grams of CO2e."}
    )
    points = fields.Nested(FatesView, required=True)
    behaviors = fields.List(fields.Nested(BehaviorStatisticsView), required=True)


class StatisticsView(SchemeStatisticsView):
    """The scheme in numbers; what was simulated stands apart and is in no other number."""

    as_of = fields.AwareDateTime(required=True, metadata={"description": "At most a minute ago."})
    simulated = fields.Nested(SchemeStatisticsView, required=True)


@blueprint.get("/statistics")
@requires("anyone")
@blueprint.response(200, StatisticsView)
def read_statistics() -> Response:
    """Return what has been recorded, certified, expired and retired, in sums that reconcile."""
    latest = current_app.extensions.get(LATEST)
    if latest is None:
        latest = current_app.extensions.setdefault(LATEST, LatestStatistics(runtime()))
    headers = {"Cache-Control": f"public, max-age={CACHED_S}"}
    return Response(latest.body(), mimetype="application/json", headers=headers)
