"""The second person's word on a change, and the change itself, in one moment."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import psycopg

from service import clock, ids
from service.partners.events import record_event
from service.rewards.errors import (
    ChangeRequestDecided,
    LimitsBelowTaken,
    StateConflict,
    same_person_approval,
)
from service.rewards.offers.catalogue import OfferState, ask_version, terms_from
from service.rewards.offers.changes import ChangeRequest, Kind, Verdict, request_by_id
from service.rewards.offers.counters import Counter
from service.rewards.offers.drafting import Author, LockedOffer, locked_offer

BECOMES: Final[Mapping[Kind, OfferState]] = {
    "activation": "active",
    "pause": "paused",
    "retirement": "retired",
}

POSSIBLE_IN: Final[Mapping[Kind, frozenset[OfferState]]] = {
    "activation": frozenset({"draft", "active", "paused"}),
    "pause": frozenset({"active"}),
    "retirement": frozenset({"draft", "active", "paused"}),
    "limits": frozenset({"draft", "active", "paused"}),
}

EVENT_OF: Final[Mapping[Kind, str]] = {
    "activation": "offer.activated",
    "pause": "offer.paused",
    "retirement": "offer.retired",
    "limits": "offer.limits_changed",
}

STORE_DECISION: Final = """
INSERT INTO change_decision (change_request_id, decision, reason, decided_by)
VALUES (%s, %s, %s, %s)
"""

LOCK_COUNTER: Final = """
SELECT quota, taken, budget_minor, budget_taken_minor FROM offer_counter WHERE offer_id = %s
FOR UPDATE
"""

SET_STATE: Final = """
UPDATE offer SET state = %s, active_version = %s, version = version + 1 WHERE id = %s
"""

SET_LIMITS: Final = "UPDATE offer_counter SET quota = %s, budget_minor = %s WHERE offer_id = %s"

GO_ON: Final = "UPDATE offer SET version = version + 1 WHERE id = %s"


def decide(
    connection: psycopg.Connection[Any],
    staff_id: UUID,
    request_id: UUID,
    verdict: Verdict,
    reason: str,
) -> ChangeRequest:
    """Decide a request, once; an approved change happens with the decision.

    Raises, in this order:
        ChangeRequestUnknown
        SamePersonApproval: who asked decides nothing.
        ChangeRequestDecided
        StateConflict: the offer is not as the request expects it, or cannot change so.
        LimitsBelowTaken: more than the wished limits is taken.
    """
    request = request_by_id(connection, request_id)
    if (request.requested_by_kind, request.requested_by) == ("staff", staff_id):
        raise same_person_approval()
    offer = locked_offer(connection, Author("staff", staff_id), request.offer_id)
    _require_open(request_by_id(connection, request_id))  # again, under the offer's lock
    if verdict == "approved":
        _carry_out(connection, offer, request)
    connection.execute(STORE_DECISION, (request_id, verdict, reason, staff_id))
    _tell(connection, offer, request, verdict)
    return request_by_id(connection, request_id)


def _require_open(request: ChangeRequest) -> None:
    if request.decision is not None:
        raise ChangeRequestDecided("This request was {decision} before.", decision=request.decision)


def _carry_out(
    connection: psycopg.Connection[Any], offer: LockedOffer, request: ChangeRequest
) -> None:
    counter = _locked_counter(connection, offer.id)
    current = {
        "state": offer.state,
        "active_version": offer.active_version,
        "quota": counter.quota,
        "budget_minor": counter.budget_minor,
    }
    _require_expected(current, request)
    if request.kind == "limits":
        _set_limits(connection, offer.id, counter, request.target)
    else:
        _set_state(connection, offer, request)


def _require_expected(current: Mapping[str, Any], request: ChangeRequest) -> None:
    differs = any(current[name] != value for name, value in request.expected_current.items())
    if differs or current["state"] not in POSSIBLE_IN[request.kind]:
        raise StateConflict(
            "The offer is not as this request expects it. Please reject it and ask again.",
            current_state=current["state"],
            current=dict(current),
            expected_current=request.expected_current,
        )


def _set_state(
    connection: psycopg.Connection[Any], offer: LockedOffer, request: ChangeRequest
) -> None:
    active_version = request.offer_version or offer.active_version
    if request.kind == "activation" and active_version is not None:
        terms = terms_from(ask_version(connection, offer.id, active_version))
        if terms.valid_to <= clock.now():
            raise StateConflict(
                "This version's time was over on {valid_to}.",
                current_state=offer.state,
                valid_to=terms.valid_to.isoformat(),
            )
    connection.execute(SET_STATE, (BECOMES[request.kind], active_version, offer.id))


def _set_limits(
    connection: psycopg.Connection[Any], offer_id: UUID, counter: Counter, target: Mapping[str, Any]
) -> None:
    quota, budget_minor = target["quota"], target["budget_minor"]
    too_few = quota is not None and quota < counter.taken
    too_little = budget_minor is not None and budget_minor < counter.budget_taken_minor
    if too_few or too_little:
        raise LimitsBelowTaken(
            "{taken} redemptions and {budget_taken_minor} fen are taken already.",
            taken=counter.taken,
            budget_taken_minor=counter.budget_taken_minor,
        )
    connection.execute(SET_LIMITS, (quota, budget_minor, offer_id))
    connection.execute(GO_ON, (offer_id,))


def _locked_counter(connection: psycopg.Connection[Any], offer_id: UUID) -> Counter:
    row = connection.execute(LOCK_COUNTER, (offer_id,)).fetchone()
    assert row is not None  # noqa: S101  it is made together with the offer
    return Counter(*row)


def _tell(
    connection: psycopg.Connection[Any],
    offer: LockedOffer,
    request: ChangeRequest,
    verdict: Verdict,
) -> None:
    if verdict == "approved":
        state = BECOMES.get(request.kind, offer.state)
        offer_id = ids.public_id(ids.OFFER, offer.id)
        record_event(
            connection, offer.partner_id, EVENT_OF[request.kind], offer_id, state, offer.version + 1
        )
    else:
        request_id = ids.public_id(ids.CHANGE_REQUEST, request.id)
        record_event(
            connection, offer.partner_id, "change_request.rejected", request_id, "rejected", 1
        )
