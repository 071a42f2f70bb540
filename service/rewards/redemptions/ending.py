"""A redemption that comes to nothing: declined, voided, expired; everything goes back."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Literal
from uuid import UUID

from service import clock
from service.ledger.holds import release
from service.pipelining import Connection
from service.rewards.offers.catalogue import terms_of
from service.rewards.offers.counters import give_back
from service.rewards.redemptions.carrying import grace_day
from service.rewards.redemptions.steps import (
    Actor,
    Record,
    Redemption,
    Written,
    record_id,
    take,
)


def decline(
    connection: Connection,
    redemption: Redemption,
    actor: Actor,
    body: dict[str, Any],
    partner_reference: str | None = None,
) -> Written:
    """Let the partner's no end a redemption.

    Raises:
        StateConflict: it is neither submitted nor unknown.
    """
    redemption.require_step("decline")
    return _end(connection, redemption, "decline", "declined", actor, body, partner_reference)


def void(
    connection: Connection,
    redemption: Redemption,
    actor: Actor,
    body: dict[str, Any],
    partner_reference: str | None = None,
) -> Written:
    """Let a redemption be as if it had not been: before the partner knew, or with its word.

    Raises:
        StateConflict: it is captured, or over.
    """
    redemption.require_step("void")
    return _end(connection, redemption, "void", "voided", actor, body, partner_reference)


def request_void(
    connection: Connection, redemption: Redemption, actor: Actor, body: dict[str, Any]
) -> Written:
    """Tell the partner that she no longer wants what it was shown; it voids, or captures.

    Raises:
        StateConflict: it is neither submitted nor unknown, or was asked for before.
    """
    redemption.require_step("void_request")
    if redemption.void_requested_at is not None:
        raise redemption.state_conflict()
    asked = redemption._replace(void_requested_at=clock.now())
    return take(connection, asked, Record("void_request", actor, body=body))


def expire(
    connection: Connection, redemption: Redemption, actor: Actor, body: dict[str, Any]
) -> Written:
    """Let a redemption's time be over.

    What the partner never saw gives everything back. What it saw stays held while its grace lasts,
    for a capture may still be on its way.

    Raises:
        StateConflict: it is neither reserved nor submitted.
    """
    redemption.require_step("expiry")
    if redemption.state == "reserved":
        return _end(connection, redemption, "expiry", "expired", actor, body)
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    grace_until = clock.now() + timedelta(seconds=terms.timers.grace_s)
    expired = redemption._replace(state="expired", deadline_at=grace_until)
    return take(connection, expired, Record("expiry", actor, body=body))


def close(connection: Connection, redemption: Redemption, actor: Actor) -> Written:
    """Give back what an expired redemption held, once its grace is over.

    Raises:
        StateConflict: it is not expired, or was closed before.
    """
    redemption.require_step("closure")
    if redemption.closed_at is not None:
        raise redemption.state_conflict()
    return _end(connection, redemption, "closure", "expired", actor, {})


def uses_held(redemption: Redemption) -> Iterator[tuple[Literal["citizen", "person"], bytes, date]]:
    """Yield whose caps a redemption counts for, and in which period."""
    if redemption.citizen_use_on is not None:
        yield "citizen", redemption.citizen_id.bytes, redemption.citizen_use_on
    if redemption.person_use_on is not None and redemption.person_id is not None:
        yield "person", redemption.person_id, redemption.person_use_on


def _end(
    connection: Connection,
    redemption: Redemption,
    kind: str,
    state: str,
    actor: Actor,
    body: dict[str, Any],
    partner_reference: str | None = None,
) -> Written:
    """Give points, quota, budget and caps back, and write down why."""
    posting_id: UUID | None = None
    reduction_g = 0
    if redemption.points:
        posting_id = record_id(redemption.id, redemption.version + 1)
        terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
        outcome = release(
            connection,
            redemption.citizen_id,
            posting_id,
            redemption.hold_id,
            carry_to=grace_day(terms),
        ).raise_refusal()
        reduction_g = outcome.reduction_g
    ended = redemption._replace(
        state=state, closed_at=clock.now(), deadline_at=None, needs_human=False
    )
    record = Record(
        kind,
        actor,
        points=redemption.points,
        reduction_g=reduction_g,
        subsidy_minor=redemption.subsidy_minor,
        posting_id=posting_id,
        partner_reference=partner_reference,
        body=body,
    )
    written = take(connection, ended, record)
    uses = list(uses_held(redemption))
    give_back(connection, redemption.offer_id, uses, redemption.subsidy_minor)
    return written
