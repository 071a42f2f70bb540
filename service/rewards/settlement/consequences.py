"""What follows from a resolution for the redemption that the exception is about."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import psycopg

from service.clock import start_of
from service.errors import DomainError
from service.ids import RECONCILIATION_EXCEPTION, public_id
from service.rewards.offers.catalogue import terms_of
from service.rewards.redemptions.capturing import CaptureWish, capture_redemption
from service.rewards.redemptions.ending import decline, void
from service.rewards.redemptions.reversing import ReversalWish, reverse
from service.rewards.redemptions.states import AFTER_CAPTURE
from service.rewards.redemptions.steps import (
    Actor,
    Redemption,
    ask_locked,
    redemption_from,
    refusal_of_step,
)
from service.rewards.settlement.errors import ResolutionNotAllowed
from service.rewards.settlement.exceptions import NotedDifference
from service.rewards.settlement.lines import VALUE_OF_KIND

REVERSED: Final = frozenset({"reversed", "partially_reversed"})
NOT_IN_FORCE: Final = REVERSED | {"declined", "voided", "expired"}
"""What a partner may say of a benefit that it does not, or no longer, give."""

OPEN_FOR_AN_ANSWER: Final = frozenset({"submitted", "unknown", "expired"})
"""States in which the partner's word was still awaited, or may still come."""


def carry_out(
    connection: psycopg.Connection[Any],
    found: NotedDifference,
    resolution: str,
    by: UUID,
) -> None:
    """Do what a resolution says, with the exception as evidence in the redemption's record.

    `accept_ours` and `write_off` change nothing: they are written down with the exception.

    Args:
        connection: inside the caller's transaction, which has locked the exception.
        found: the exception.
        resolution: as it was proposed.
        by: the member of staff whose word was the last.

    Raises:
        ResolutionNotAllowed: the redemption's state does not allow it (any more).
    """
    if resolution not in {"reverse", "accept_partner"} or found.redemption_id is None:
        return
    exception_id = public_id(RECONCILIATION_EXCEPTION, found.id)
    actor = Actor("staff", by, request_no=f"{exception_id}/{found.version}")
    # Staff's own words and evidence stay with the exception: records are shown to both sides.
    proof = {"exception_id": exception_id, "theirs": found.theirs}
    redemption = redemption_from(ask_locked(connection, found.redemption_id))
    try:
        if resolution == "reverse":
            reverse(connection, redemption, ReversalWish("other"), actor)
        else:
            _believe_partner(connection, redemption, found, actor, proof)
    except psycopg.errors.UniqueViolation as error:
        refusal = refusal_of_step(error)
        if refusal is None:
            raise
        raise _not_allowed(refusal) from error
    except DomainError as refusal:
        raise _not_allowed(refusal) from refusal


def _believe_partner(
    connection: psycopg.Connection[Any],
    redemption: Redemption,
    found: NotedDifference,
    actor: Actor,
    proof: dict[str, Any],
) -> None:
    """Take the step that the partner's line tells of."""
    theirs = found.theirs or {}
    said, points = theirs.get("state"), theirs.get("points")
    body = {"reason": "other", "evidence": proof}
    if found.code == "LATE":
        return  # it stands in our books already, on its own day
    if found.code == "AMOUNT_MISMATCH":
        _reverse_surplus(connection, redemption, found, points, actor)
    elif redemption.state in AFTER_CAPTURE and said in NOT_IN_FORCE:
        left = redemption.captured_points - redemption.reversed_points
        part = points if said in REVERSED and points and points < left else None
        reverse(connection, redemption, ReversalWish("other", points=part), actor)
    elif redemption.state not in OPEN_FOR_AN_ANSWER:
        return  # both sides say the same by now
    elif said == "declined":
        decline(connection, redemption, actor, body)
    elif said == "voided":
        void(connection, redemption, actor, body)
    elif said in {"captured", "settled"}:
        wish = _capture_wish(connection, redemption, theirs)
        capture_redemption(connection, redemption, wish, actor, proof)


def _reverse_surplus(
    connection: psycopg.Connection[Any],
    redemption: Redemption,
    found: NotedDifference,
    points: int | None,
    actor: Actor,
) -> None:
    """Give back what we captured beyond the partner's figure, or reversed short of it.

    What she has again is hers: it can never become less.
    """
    ours = found.ours or {}
    if points is None:
        return
    surplus = ours["points"] - points
    if ours["record_type"] == "REVERSAL":
        surplus = -surplus
    if surplus < 0:
        raise ResolutionNotAllowed(
            "{points} points are in our books. Nothing can be taken from her afterwards.",
            points=ours["points"],
        )
    if surplus:
        reverse(connection, redemption, ReversalWish("other", points=surplus), actor)


def _capture_wish(
    connection: psycopg.Connection[Any], redemption: Redemption, theirs: Mapping[str, Any]
) -> CaptureWish:
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    return CaptureWish(
        partner_reference=theirs.get("partner_reference") or redemption.public_id,
        terms_hash=theirs.get("terms_hash") or terms.terms_hash,
        points=theirs.get("points"),
        effective_from=_moment(theirs.get("effective_from")),
        effective_to=_moment(theirs.get("effective_to")),
        benefit_actual=_benefit(terms.benefit, theirs.get("benefit_value")),
    )


def _benefit(quoted: Mapping[str, Any], value: str | None) -> dict[str, Any] | None:
    """Return the benefit that the partner's line names; None: the quoted one, or it names none."""
    member, _ = VALUE_OF_KIND.get(quoted["kind"], (None, None))
    if not value or member is None or Decimal(value) == Decimal(quoted[member]):
        return None
    return {member: value.removeprefix("+")}


def _moment(text: str | None) -> datetime | None:
    """Return a moment, or the beginning of a day in Shanghai."""
    if not text:
        return None
    said = datetime.fromisoformat(text)
    return start_of(said.date()) if said.tzinfo is None else said


def _not_allowed(refusal: DomainError) -> ResolutionNotAllowed:
    return ResolutionNotAllowed(
        "The redemption does not allow this: {refusal}.", refusal=refusal.code
    )
