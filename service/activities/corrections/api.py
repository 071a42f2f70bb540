"""Corrections and invalidations over HTTP: sources restate, two operators take back."""

from collections.abc import Callable
from typing import Any

import psycopg
from flask import Response, request

from service import ids
from service.activities.corrections.correcting import Desk, correct
from service.activities.corrections.invalidations import (
    approve_invalidation,
    propose_invalidation,
)
from service.activities.corrections.records import whose_activity, whose_record
from service.activities.corrections.restatements import read_correction
from service.activities.corrections.schemas import (
    CORRECTION_REQUEST,
    CorrectionView,
    InvalidationRequest,
    InvalidationView,
    correction_view,
    invalidation_view,
)
from service.activities.intake.api import calling_source, intake, invalid
from service.activities.intake.lines import Unreadable
from service.db import driver_connection
from service.identity.staff import name_of_staff
from service.messages import language_of
from service.retries import retried
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_anew, answer_once

blueprint = Blueprint("corrections", __name__, description="What was recorded was wrong")

CORRECTED_BEFORE = {
    "description": "It was corrected so before.",
    "content": {"application/json": {"schema": CorrectionView}},
}
DECIDED_BEFORE = {
    "description": "It was proposed, or decided, before.",
    "content": {"application/json": {"schema": InvalidationView}},
}


@blueprint.post("/v1/activities/<activity_id>/corrections")
@requires("partner", role="source")
@blueprint.doc(
    requestBody={
        "required": True,
        "description": "What a restated record has, or that there never was such an act.",
        "content": {"application/json": {"schema": CORRECTION_REQUEST}},
    },
    responses={"200": CORRECTED_BEFORE},
)
@blueprint.repeatable()
@blueprint.response(201, CorrectionView)
@blueprint.refusals(404, "activity-unknown", "id-unknown")
@blueprint.refusals(
    409,
    "restatement-not-covered",
    "corrected-too-often",
    "correction-superseded",
    "not-correctable",
    "nothing-corrected",
)
@blueprint.refusals(422, "validation-failed")
def create_correction(activity_id: str) -> Response:
    """Restate a record, or withdraw it; what it had given is taken back in the same moment.

    The restated record is judged like every other. Sent again, the correction has no second effect.
    """
    request.get_json()
    asked = read_correction(request.get_data())
    if isinstance(asked, Unreadable):
        raise invalid(asked)
    wanted = ids.uuid_of(ids.ACTIVITY, activity_id)
    source = calling_source()
    with raw_transaction() as connection:
        citizen_id = whose_record(connection, current_caller().id, wanted)
    with raw_transaction() as connection:
        desk = Desk(source, intake().shelf.rulebook(connection), runtime().keys)

    def effect(connection: psycopg.Connection[Any]) -> Answer:
        found = correct(connection, desk, citizen_id, wanted, asked)
        if isinstance(found, Unreadable):
            raise invalid(found)
        corrected, new = found
        language = language_of(request.headers.get("Accept-Language"))
        view = correction_view(corrected, language)
        return 201 if new else 200, CorrectionView().dump(view)

    def once() -> Response:
        with transaction() as session:
            return answer_once(session, lambda: effect(driver_connection(session)))

    return retried(once)


@blueprint.post("/v1/activities/<activity_id>/invalidations")
@requires("staff", role="operator")
@blueprint.arguments(InvalidationRequest)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, InvalidationView)
@blueprint.doc(responses={"200": DECIDED_BEFORE})
@blueprint.refusals(404, "activity-unknown", "id-unknown")
@blueprint.refusals(409, "nothing-to-invalidate")
def create_invalidation(body: dict[str, Any], activity_id: str) -> Response:
    """Propose to invalidate an activity; nothing changes until another operator approves.

    Sent again, with or without an `Idempotency-Key`, it answers with the first proposal.
    """
    wanted = ids.uuid_of(ids.ACTIVITY, activity_id)
    with raw_transaction() as connection:
        citizen_id = whose_activity(connection, wanted)

    def effect(connection: psycopg.Connection[Any]) -> Answer:
        name = name_of_staff(connection, current_caller().id)
        proposed, new = propose_invalidation(connection, citizen_id, wanted, body["reason"], name)
        return 201 if new else 200, InvalidationView().dump(invalidation_view(proposed))

    return _answered_anew(effect)


@blueprint.post("/v1/activities/<activity_id>/invalidations/approvals")
@requires("staff", role="operator")
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, InvalidationView)
@blueprint.doc(responses={"200": DECIDED_BEFORE})
@blueprint.refusals(404, "activity-unknown", "id-unknown")
@blueprint.refusals(
    409, "invalidation-not-proposed", "nothing-to-invalidate", "second-person-needed"
)
def create_invalidation_approval(activity_id: str) -> Response:
    """Approve what another operator has proposed: the activity counts no more.

    Sent again, with or without an `Idempotency-Key`, it answers with what was decided.
    """
    wanted = ids.uuid_of(ids.ACTIVITY, activity_id)
    with raw_transaction() as connection:
        citizen_id = whose_activity(connection, wanted)

    def effect(connection: psycopg.Connection[Any]) -> Answer:
        name = name_of_staff(connection, current_caller().id)
        decided, new = approve_invalidation(connection, citizen_id, wanted, name)
        return 201 if new else 200, InvalidationView().dump(invalidation_view(decided))

    return _answered_anew(effect)


def _answered_anew(effect: Callable[[psycopg.Connection[Any]], Answer]) -> Response:
    """Carry out a request of staff, whose words only their own tables keep."""

    def once() -> Response:
        with raw_transaction() as connection:
            return answer_anew(lambda: effect(connection))

    return retried(once)
