"""The partner takes a benefit back: as much of the points returns as was for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from service import clock
from service.ledger.captures import restore
from service.ledger.holds import release
from service.ledger.postings import Outcome
from service.pipelining import Connection
from service.rewards.offers.catalogue import terms_of
from service.rewards.redemptions.carrying import grace_day
from service.rewards.redemptions.errors import ReversalExceedsCapture, ReversalTooLate
from service.rewards.redemptions.steps import Actor, Record, Redemption, Written, record_id, take

READ_CAPTURE: Final = """
SELECT id, recorded_at FROM redemption_record WHERE redemption_id = %s AND kind = 'capture'
"""

READ_BURN: Final = """
SELECT posting_id FROM redemption_record
WHERE redemption_id = %s AND kind IN ('capture', 'maturity') AND posting_id IS NOT NULL
ORDER BY no DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class ReversalWish:
    """What a partner takes back; of `points` and `share` at most one, neither: all that is left."""

    reason: str
    partner_reference: str | None = None
    points: int | None = None
    share: Decimal | None = None
    """Of what was captured, over 0 and at most 1; points are rounded down."""
    policy_ref: str | None = None

    def body(self) -> dict[str, Any]:
        """What of it stands in the record, beside the columns."""
        said = {
            "reason": self.reason,
            "share": None if self.share is None else str(self.share),
            "policy_ref": self.policy_ref,
        }
        return {name: value for name, value in said.items() if value is not None}


def reverse(
    connection: Connection, redemption: Redemption, wish: ReversalWish, actor: Actor
) -> Written:
    """Carry out a reversal; quota, budget and caps stay taken.

    Args:
        connection: inside the caller's transaction.
        redemption: locked by it.
        wish: how much and why.
        actor: who takes it back.

    Raises:
        StateConflict: nothing is captured, or everything was reversed.
        ReversalTooLate
        ReversalExceedsCapture
    """
    redemption.require_step("reversal")
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    capture_id, captured_at = capture_of(connection, redemption)
    last = captured_at + timedelta(days=terms.reversal.window_days)
    if clock.now() > last:
        raise ReversalTooLate("This capture could be reversed until {last}.", last=last.isoformat())
    points = points_to_reverse(redemption, wish)
    this_id = record_id(redemption.id, redemption.version + 1)
    outcome = give_points_back(connection, redemption, points, this_id)
    after = reversed_by(redemption, points)
    record = Record(
        "reversal",
        actor,
        points=points,
        reduction_g=outcome.reduction_g if outcome else 0,
        subsidy_minor=subsidy_reversed(redemption, points),
        posting_id=this_id if outcome else None,
        of_id=capture_id,
        partner_reference=wish.partner_reference,
        body=wish.body(),
    )
    return take(connection, after, record)


def points_to_reverse(redemption: Redemption, wish: ReversalWish) -> int:
    """Return how many points a wish is about.

    Raises:
        ReversalExceedsCapture: more than is left, or a part of what has no parts.
    """
    left = redemption.captured_points - redemption.reversed_points
    asked = wish.points
    if wish.share is not None:
        asked = int(redemption.captured_points * wish.share)
    whole = redemption.mode == "attest"
    if whole and (asked or wish.share not in {None, Decimal(1)}):
        raise ReversalExceedsCapture("A benefit without points is reversed as a whole.")
    if asked is None or whole:
        return left
    if not 0 < asked <= left:
        raise ReversalExceedsCapture(
            "{asked} points are to be reversed, and {left} are left of the capture.",
            asked=asked,
            left=left,
        )
    return asked


def reversed_by(redemption: Redemption, points: int) -> Redemption:
    """Return a redemption of whose captured points so many more are reversed."""
    total = redemption.reversed_points + points
    is_all = total == redemption.captured_points
    return redemption._replace(
        state="reversed" if is_all else "partially_reversed",
        reversed_points=total,
        deadline_at=None if is_all else redemption.deadline_at,
    )


def give_points_back(
    connection: Connection, redemption: Redemption, points: int, posting_id: UUID
) -> Outcome | None:
    """Move points back to where the mode has taken them from; None: there is nothing to move."""
    citizen_id = redemption.citizen_id
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    carry_to = grace_day(terms)
    if not points or redemption.matured_as == "release":
        return None
    if redemption.mode == "lock" and redemption.matured_as is None:
        hold_id = redemption.hold_id
        return release(
            connection, citizen_id, posting_id, hold_id, points, carry_to
        ).raise_refusal()
    burned = connection.execute(READ_BURN, (redemption.id,)).fetchone()
    assert burned is not None  # noqa: S101  what is captured in this mode is burned
    return restore(connection, citizen_id, posting_id, burned[0], points, carry_to).raise_refusal()


def capture_of(connection: Connection, redemption: Redemption) -> tuple[UUID, datetime]:
    """Return the id and the moment of the capture of what was captured."""
    found = connection.execute(READ_CAPTURE, (redemption.id,)).fetchone()
    assert found is not None  # noqa: S101  its state says that it was captured
    return found[0], found[1]


def subsidy_reversed(redemption: Redemption, points: int) -> int:
    """Return the part of the captured subsidy that points stand for, rounded down; last: the rest.

    What was reversed before has taken its own part by the same rule.
    """
    if redemption.mode == "attest":
        return redemption.captured_subsidy_minor
    captured, subsidy = redemption.captured_points, redemption.captured_subsidy_minor
    before = subsidy * redemption.reversed_points // captured
    return subsidy * (redemption.reversed_points + points) // captured - before
