"""A capture: it is undone, or what can no longer be undone is pooled."""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from service.ledger.accounts import lock_account
from service.ledger.apportioning import Line, parts_of
from service.ledger.carrying import require_carry_date
from service.ledger.errors import CaptureExceeded, CaptureUnknown, GramsOwed
from service.ledger.postings import Outcome, Posting, Terms, require_amount
from service.ledger.story import Story, ask_story, movements_back, movements_of
from service.pipelining import Connection

REDEEMED: Final = "SELECT coalesce(sum(redeemed_g), 0)::bigint FROM lot WHERE citizen_id = %s"

HOLD_OF_CAPTURE: Final = """
SELECT hold_id FROM posting WHERE citizen_id = %s AND id = %s AND kind = 'capture'
"""


class Captured(NamedTuple):
    """A capture, and what is neither restored nor pooled of it."""

    hold_id: UUID
    party: UUID | None
    """The partner that it was for."""
    lines: Sequence[Line]

    @classmethod
    def read(cls, connection: Connection, citizen_id: UUID, capture_id: UUID) -> "Captured":
        """Return a citizen's capture, as it stands under her lock.

        Raises:
            CaptureUnknown: she has no such capture.
        """
        found = connection.execute(HOLD_OF_CAPTURE, (citizen_id, capture_id)).fetchone()
        if found is None:
            raise CaptureUnknown("There is no such capture.")
        story = Story.read(ask_story(connection, citizen_id, found[0]))
        lines = story.captured_lines(capture_id)
        if not lines:
            raise CaptureUnknown("There is no such capture.")
        return cls(found[0], story.party_of(capture_id), lines)

    @property
    def points_left(self) -> int:
        """The points of it that can still be restored or pooled."""
        return sum(line.points_left for line in self.lines)


def restore(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    capture_id: UUID,
    points: int | None = None,
    carry_to: date | None = None,
) -> Outcome:
    """Undo a capture, all or a part: the points return to the lots they came from.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        capture_id: which capture.
        points: None: all that is neither restored nor pooled.
        carry_to: the last day of a grace lot for what comes back lapsed.

    Returns:
        The lot lines, or the refusal `capture-exceeded`.

    Raises:
        AmountInvalid: no such number of points can be restored.
        CarryDateInvalid: a grace lot lives from today to ten years at most.
        CaptureUnknown: she has no such capture.
        PostingConflict: the id was used for something else.
    """
    require_amount(points)
    terms = Terms("restore", points, of_id=capture_id, carry_to=carry_to)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    if before := posting.answered_before():
        return before
    require_carry_date(carry_to)  # a repeat is answered whatever day it is
    captured = Captured.read(connection, citizen_id, capture_id)
    posting.hold_id, posting.party = captured.hold_id, captured.party
    wanted = captured.points_left if points is None else points
    if not 0 < wanted <= captured.points_left:
        left = captured.points_left
        return posting.refuse(accounts, CaptureExceeded, asked=wanted, left=left)
    parts = parts_of(captured.lines, wanted, backwards=True)
    return posting.carry_out(accounts, movements_back("restore", parts, carry_to))


def pool(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    capture_id: UUID,
    party: UUID,
    points: int | None = None,
) -> Outcome:
    """Hand the grams of a capture that can no longer be undone to a pool.

    Whether every window of reversal and dispute is closed, the caller knows. What she owes after a
    claw-back is deducted first: so many of her redeemed grams are pooled by nobody.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        capture_id: which capture.
        party: the pool.
        points: None: all that is neither restored nor pooled.

    Returns:
        The lot lines, or the refusal `capture-exceeded` or `grams-owed`.

    Raises:
        AmountInvalid: no such number of points can be pooled.
        CaptureUnknown: she has no such capture.
        PostingConflict: the id was used for something else.
    """
    require_amount(points)
    terms = Terms("pool", points, of_id=capture_id, party=party)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    if before := posting.answered_before():
        return before
    captured = Captured.read(connection, citizen_id, capture_id)
    posting.hold_id = captured.hold_id
    wanted = captured.points_left if points is None else points
    if not 0 < wanted <= captured.points_left:
        left = captured.points_left
        return posting.refuse(accounts, CaptureExceeded, asked=wanted, left=left)
    parts = parts_of(captured.lines, wanted, backwards=False)
    grams = sum(part.reduction_g for part in parts)
    spare = _redeemed_g(connection, citizen_id) - accounts[citizen_id.hex].owed_g
    if grams > spare:
        return posting.refuse(accounts, GramsOwed, asked=grams, available=spare)
    return posting.carry_out(accounts, movements_of("pool", parts))


def _redeemed_g(connection: Connection, citizen_id: UUID) -> int:
    row = connection.execute(REDEEMED, (citizen_id,)).fetchone()
    return int(row[0]) if row else 0
