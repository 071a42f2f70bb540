"""What operators do to accounts, over HTTP: freeze and release them, with a reason."""

from typing import Any

from service.identity.actors import Actor
from service.identity.blueprint import blueprint
from service.identity.citizens import Action, freeze, release
from service.identity.schemas import AccountActionView, ReasonRequest
from service.ids import CITIZEN, uuid_of
from service.web.access import current_caller, requires, sessions
from service.web.context import transaction


@blueprint.post("/v1/citizens/<string:citizen_id>/freezes")
@requires("staff", role="operator")
@blueprint.arguments(ReasonRequest)
@blueprint.response(201, AccountActionView)
@blueprint.refusals(404, "citizen-unknown")
@blueprint.refusals(409, "citizen-state-conflict")
def freeze_citizen(body: dict[str, Any], citizen_id: str) -> Action:
    """Stop an account: it signs in, earns and spends no more until it is released."""
    with transaction() as session:
        action = freeze(session, uuid_of(CITIZEN, citizen_id), _operator(), body["reason"])
    sessions().forget_all()
    return action


@blueprint.post("/v1/citizens/<string:citizen_id>/releases")
@requires("staff", role="operator")
@blueprint.arguments(ReasonRequest)
@blueprint.response(201, AccountActionView)
@blueprint.refusals(404, "citizen-unknown")
@blueprint.refusals(409, "citizen-state-conflict")
def release_citizen(body: dict[str, Any], citizen_id: str) -> Action:
    """Let a frozen account live again."""
    with transaction() as session:
        return release(session, uuid_of(CITIZEN, citizen_id), _operator(), body["reason"])


def _operator() -> Actor:
    return Actor("staff", current_caller().id)
