"""A step of a redemption over HTTP: locked, for those it concerns, and answered once."""

from collections.abc import Callable
from typing import Any

import psycopg
from flask import Response

from service.errors import DomainError
from service.identity.consents.checking import refusal_of_use
from service.ids import REDEMPTION, uuid_of
from service.pipelining import Connection
from service.rewards.offers.counters import refusal_of as refusal_of_count
from service.rewards.redemptions.reading import written_view
from service.rewards.redemptions.steps import (
    Actor,
    Redemption,
    Written,
    ask_locked,
    redemption_from,
    refusal_of_step,
    unknown,
)
from service.web.access import current_caller
from service.web.idempotency import Answer, requested_key
from service.web.verdicts import Begun, answer_once_gathered

Step = Callable[[Connection, Redemption], Answer]


def step_once(redemption_id: str, step: Step) -> Response:
    """Take a step of a redemption that concerns the caller, once for each key.

    Staff may look at any; a partner at what was submitted to it.

    Raises:
        RedemptionUnknown: there is none, or it does not concern the caller.
    """
    wanted = uuid_of(REDEMPTION, redemption_id)

    def begin(connection: Connection) -> Begun:
        asked = ask_locked(connection, wanted)

        def act() -> Answer:
            redemption = redemption_from(asked)
            _require_concerned(redemption)
            return step(connection, redemption)

        return act

    return answer_once_gathered(begin, refusal_of)


def _require_concerned(redemption: Redemption) -> None:
    caller = current_caller()
    match caller.kind:
        case "citizen":
            concerned = redemption.citizen_id == caller.id
        case "partner":
            concerned = redemption.partner_id == caller.id and was_shown(redemption)
        case _:
            concerned = caller.kind == "staff"
    if not concerned:
        raise unknown()


def was_shown(redemption: Redemption) -> bool:
    """Say whether a redemption was ever submitted to its partner."""
    return redemption.status_index is not None


def refusal_of(error: psycopg.errors.IntegrityError) -> DomainError | None:
    """Return what the constraints mean that may refuse a step."""
    if isinstance(error, psycopg.errors.CheckViolation):
        return refusal_of_use(error) or refusal_of_count(error)
    return refusal_of_step(error)


def actor() -> Actor:
    """Return the caller, and the number that this request has from him."""
    caller = current_caller()
    return Actor(caller.kind, caller.id, requested_key() or "")


def said_of(body: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return what stands in the record's body, and the partner's reference."""
    said = {name: value for name, value in body.items() if value is not None}
    return said, said.pop("partner_reference", None)


def created(written: Written) -> Answer:
    """Return the answer to a step that has been taken."""
    return 201, written_view(written)
