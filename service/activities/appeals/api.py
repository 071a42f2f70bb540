"""Appeals over HTTP: citizens make them, operators decide."""

from typing import Any

from flask import Response

from service import ids
from service.activities.appeals.appeals import appeals, decide_appeal, make_appeal
from service.activities.appeals.schemas import (
    AppealDecisionRequest,
    AppealQuery,
    AppealRequest,
    AppealView,
    appeal_view,
)
from service.db import driver_connection
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_anew, answer_once
from service.web.pagination import Page, PageQuery, list_view

blueprint = Blueprint("appeals", __name__, description="A human looks at a refusal again")

AppealListView = list_view(AppealView)
_APPEAL = {"application/json": {"schema": AppealView}}
MADE_BEFORE = {"description": "The same appeal was made before.", "content": _APPEAL}
DECIDED_BEFORE = {"description": "It was decided so before.", "content": _APPEAL}


@blueprint.post("/v1/activities/<activity_id>/appeals")
@requires("citizen")
@blueprint.arguments(AppealRequest)
@blueprint.repeatable()
@blueprint.response(201, AppealView)
@blueprint.doc(responses={"200": MADE_BEFORE})
@blueprint.refusals(404, "activity-unknown", "id-unknown")
@blueprint.refusals(409, "not-appealable", "appeal-already-made")
def create_appeal(body: dict[str, Any], activity_id: str) -> Response:
    """Ask for a human to look at the refusal of one of one's own activities."""
    wanted = ids.uuid_of(ids.ACTIVITY, activity_id)
    with transaction() as session:

        def effect() -> Answer:
            made, new = make_appeal(
                driver_connection(session), current_caller().id, wanted, body["statement"]
            )
            return 201 if new else 200, AppealView().dump(appeal_view(made))

        return answer_once(session, effect)


@blueprint.get("/v1/me/appeals")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, AppealListView)
def list_own_appeals(query: dict[str, Any]) -> Any:
    """List one's own appeals with their answers, the oldest first."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = appeals(connection, page.after, page.rows_needed, citizen_id=current_caller().id)
    body, status, headers = page.answer(found, lambda appeal: appeal.position)
    return {**body, "items": [appeal_view(appeal) for appeal in body["items"]]}, status, headers


@blueprint.get("/v1/appeals")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(AppealQuery, location="query")
@blueprint.response(200, AppealListView)
def list_appeals(query: dict[str, Any]) -> Any:
    """List everybody's appeals, the oldest first; they do not say whose they are."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = appeals(connection, page.after, page.rows_needed, state=query["state"])
    body, status, headers = page.answer(found, lambda appeal: appeal.position)
    return {**body, "items": [appeal_view(appeal) for appeal in body["items"]]}, status, headers


@blueprint.post("/v1/appeals/<appeal_id>/decisions")
@requires("staff", role="operator")
@blueprint.arguments(AppealDecisionRequest)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, AppealView)
@blueprint.doc(responses={"200": DECIDED_BEFORE})
@blueprint.refusals(404, "appeal-unknown", "id-unknown")
@blueprint.refusals(
    409,
    "appeal-already-decided",
    "appellant-frozen",
    "not-appealable",
    "nothing-to-certify",
    "overlap-stands",
    "rule-stands",
)
def create_appeal_decision(body: dict[str, Any], appeal_id: str) -> Response:
    """Uphold or dismiss an appeal, once; an upheld one certifies the activity.

    Sent again, with or without an `Idempotency-Key`, the decision is answered as it was made.
    """
    wanted = ids.uuid_of(ids.APPEAL, appeal_id)
    with raw_transaction() as connection:

        def effect() -> Answer:
            decided, new = decide_appeal(
                connection,
                runtime().keys,
                runtime().settings.region,
                wanted,
                body["decision"],
                body["statement"],
                current_caller().id,
            )
            return 201 if new else 200, AppealView().dump(appeal_view(decided))

        return answer_anew(effect)
