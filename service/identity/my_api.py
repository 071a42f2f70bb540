"""A citizen's own account, over HTTP: seeing it, taking it along, changing it, leaving."""

from typing import Any

import psycopg
import structlog

from service import clock
from service.db import DatabaseUnavailable
from service.identity.blueprint import blueprint, settled
from service.identity.citizens import (
    CitizenRecord,
    citizen_record,
    phone_of,
    spending_held_until,
)
from service.identity.consequences import of_application
from service.identity.erasure import begin_erasure, complete_erasure
from service.identity.export import records_of
from service.identity.schemas import (
    CitizenView,
    DeviceRequest,
    DeviceView,
    ExportView,
    PhoneChangeRequest,
)
from service.identity.sign_in import add_device, change_number, read_proof
from service.web.access import current_caller, requires, sessions
from service.web.context import raw_transaction, runtime, transaction

log = structlog.get_logger()


@blueprint.get("/v1/me")
@requires("citizen")
@blueprint.response(200, CitizenView)
def read_me() -> CitizenRecord:
    """Show a citizen her account."""
    with transaction() as session:
        return citizen_record(session, runtime().keys, current_caller().id)


@blueprint.delete("/v1/me")
@requires("citizen")
@blueprint.response(204)
@blueprint.doc(responses={"202": {"description": "She has left; the rest is deleted shortly."}})
def leave() -> tuple[None, int]:
    """Leave: everything personal is deleted, and what remains names nobody."""
    caller = current_caller()
    with transaction() as session:
        begin_erasure(session, caller.id, "citizen", of_application())
    sessions().forget_all()
    try:
        with runtime().eraser.raw_transaction() as connection:
            complete_erasure(connection, caller.id)
    except (DatabaseUnavailable, psycopg.OperationalError):
        # She has left all the same: the first commit says so, and finish_erasures does the rest.
        log.warning("erasure_unfinished", citizen_id=str(caller.id))
        return None, 202
    return None, 204


@blueprint.post("/v1/me/phone-changes")
@requires("citizen")
@blueprint.arguments(PhoneChangeRequest)
@blueprint.response(201, CitizenView)
@blueprint.refusals(401, "otp-invalid")
@blueprint.refusals(403, "recent-sign-in-needed")
@blueprint.refusals(409, "phone-in-use")
def change_phone(body: dict[str, Any]) -> CitizenRecord:
    """Change the number to one that has just received a code; points rest for 72 hours."""
    proof = read_proof(body["request_id"], body["code"])
    caller, keys = current_caller(), runtime().keys
    with transaction() as session:
        outcome = change_number(session, keys, caller.id, caller.session_id, proof)
    settled(outcome)
    with transaction() as session:
        return citizen_record(session, keys, caller.id)


@blueprint.post("/v1/me/devices")
@requires("citizen")
@blueprint.arguments(DeviceRequest)
@blueprint.response(201, DeviceView)
@blueprint.refusals(403, "recent-sign-in-needed")
def add_my_device(body: dict[str, Any]) -> dict[str, Any]:
    """Name another device that may sign in; points rest for 72 hours when it is new."""
    caller = current_caller()
    with transaction() as session:
        add_device(session, runtime().keys, caller.id, caller.session_id, body["device_id"])
        held_until = spending_held_until(session, caller.id)
    return {"device_id": body["device_id"], "spending_held_until": held_until}


@blueprint.get("/v1/me/exports")
@requires("citizen")
@blueprint.response(200, ExportView)
def export_me() -> dict[str, Any]:
    """Give a citizen everything that is stored of her."""
    citizen_id = current_caller().id
    with transaction() as session:
        phone = phone_of(session, runtime().keys, citizen_id)
    with raw_transaction() as connection:
        records = records_of(connection, citizen_id)
    return {
        "citizen_id": citizen_id,
        "exported_at": clock.now(),
        "phone": phone.e164 if phone else None,
        "records": records,
    }
