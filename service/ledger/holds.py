"""The story of a hold: points are reserved, captured or released, given back, pooled.

A hold is made of lot lines, and every later transfer of its story names one of them. So what a
partner confirms, and what is undone months later, concerns exactly the points and grams that were
set aside. A lot that lapses under a hold stays spendable by that hold, and by nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from service.ledger.accounts import lock_account
from service.ledger.apportioning import Line, Part, parts_of, shares_by_points
from service.ledger.carrying import movements_on, require_carry_date
from service.ledger.errors import (
    CaptureUnknown,
    HoldUnknown,
    capture_exceeded,
    grams_owed,
    hold_exceeded,
    points_short,
)
from service.ledger.lots import ask_live_lots, live_lots
from service.ledger.postings import Movement, Outcome, Posting, Terms, require_amount
from service.pipelining import Connection, Rows

STORY: Final = """
SELECT kind, posting_id, of_id, hold_line, expires_on, points, reduction_g, party FROM transfer
WHERE citizen_id = %s AND hold_id = %s ORDER BY recorded_at, line
"""

REDEEMED: Final = "SELECT coalesce(sum(redeemed_g), 0)::bigint FROM lot WHERE citizen_id = %s"

HOLD_OF_CAPTURE: Final = """
SELECT hold_id FROM posting WHERE citizen_id = %s AND id = %s AND kind = 'capture'
"""


def hold(connection: Connection, citizen_id: UUID, posting_id: UUID, points: int) -> Outcome:
    """Reserve points, those that expire soonest first.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller; from now on the hold's id.
        points: at least 1.

    Returns:
        The lot lines, or the refusal `insufficient-points`.

    Raises:
        AmountInvalid: no such number of points can be held.
        PostingConflict: the id was used for something else.
    """
    require_amount(points)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, Terms("hold", points))
    asked = ask_live_lots(connection, citizen_id)
    if before := posting.answered_before():
        return before
    shares = shares_by_points(live_lots(asked), points)
    held = sum(share.points for share in shares)
    if held < points:
        short = {"asked": points, "available": held}
        return posting.refuse(accounts, points_short(**short), **short)
    movements = [Movement("hold", *share, hold_line=n) for n, share in enumerate(shares)]
    return posting.carry_out(accounts, movements)


def release(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    hold_id: UUID,
    points: int | None = None,
    carry_to: date | None = None,
) -> Outcome:
    """Give held points back to the lots they came from, the last line first.

    What returns into a lot that has lapsed meanwhile is expired, unless it is carried on.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        hold_id: which hold.
        points: None: all that is still held.
        carry_to: the last day of a grace lot for what comes back lapsed.

    Returns:
        The lot lines, or the refusal `hold-exceeded`.

    Raises:
        AmountInvalid: no such number of points can be released.
        CarryDateInvalid: a grace lot lives from today to ten years at most.
        HoldUnknown: she has no such hold.
        PostingConflict: the id was used for something else.
    """
    require_amount(points)
    terms = Terms("release", points, hold_id=hold_id, carry_to=carry_to)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    story = connection.execute(STORY, (citizen_id, hold_id))
    if before := posting.answered_before():
        return before
    require_carry_date(carry_to)  # a repeat is answered whatever day it is
    lines = Story.read(story).held_lines()
    held = sum(line.points_left for line in lines)
    wanted = held if points is None else points
    if not 0 < wanted <= held:
        exceeded = {"asked": wanted, "held": held}
        return posting.refuse(accounts, hold_exceeded(**exceeded), **exceeded)
    parts = parts_of(lines, wanted, backwards=True)
    return posting.carry_out(accounts, _back_to_lots("release", parts, carry_to))


def capture(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    hold_id: UUID,
    points: int,
    party: UUID,
) -> Outcome:
    """Redeem held points, all or a part; the rest stays held.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller; from now on the capture's id.
        hold_id: which hold, whether or not its lots have lapsed.
        points: at least 1.
        party: the partner that honours them.

    Returns:
        The lot lines, or the refusal `hold-exceeded`.

    Raises:
        AmountInvalid: no such number of points can be captured.
        HoldUnknown: she has no such hold.
        PostingConflict: the id was used for something else.
    """
    require_amount(points)
    terms = Terms("capture", points, hold_id=hold_id, party=party)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    story = connection.execute(STORY, (citizen_id, hold_id))
    if before := posting.answered_before():
        return before
    lines = Story.read(story).held_lines()
    held = sum(line.points_left for line in lines)
    if points > held:
        exceeded = {"asked": points, "held": held}
        return posting.refuse(accounts, hold_exceeded(**exceeded), **exceeded)
    parts = parts_of(lines, points, backwards=False)
    return posting.carry_out(accounts, _movements("capture", parts))


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
    return _go_on_with_capture(connection, citizen_id, posting_id, terms)


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
    return _go_on_with_capture(connection, citizen_id, posting_id, terms)


def _go_on_with_capture(
    connection: Connection, citizen_id: UUID, posting_id: UUID, terms: Terms
) -> Outcome:
    assert terms.of_id is not None  # noqa: S101  both callers name the capture
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    if before := posting.answered_before():
        return before
    require_carry_date(terms.carry_to)
    found = connection.execute(HOLD_OF_CAPTURE, (citizen_id, terms.of_id)).fetchone()
    if found is None:
        raise CaptureUnknown("There is no such capture.")
    posting.hold_id = found[0]
    story = Story.read(connection.execute(STORY, (citizen_id, posting.hold_id)))
    lines = story.captured_lines(terms.of_id)
    if not lines:
        raise CaptureUnknown("There is no such capture.")
    left = sum(line.points_left for line in lines)
    wanted = left if terms.points is None else terms.points
    if not 0 < wanted <= left:
        exceeded = {"asked": wanted, "left": left}
        return posting.refuse(accounts, capture_exceeded(**exceeded), **exceeded)
    if terms.kind == "pool":
        parts = parts_of(lines, wanted, backwards=False)
        grams = sum(part.reduction_g for part in parts)
        spare = _redeemed_g(connection, citizen_id) - accounts[citizen_id.hex].owed_g
        if grams > spare:
            owed = {"asked": grams, "available": spare}
            return posting.refuse(accounts, grams_owed(**owed), **owed)
        return posting.carry_out(accounts, _movements("pool", parts))
    posting.party = story.party_of(terms.of_id)
    parts = parts_of(lines, wanted, backwards=True)
    return posting.carry_out(accounts, _back_to_lots("restore", parts, terms.carry_to))


def _redeemed_g(connection: Connection, citizen_id: UUID) -> int:
    row = connection.execute(REDEEMED, (citizen_id,)).fetchone()
    return int(row[0]) if row else 0


def _movements(kind: str, parts: Sequence[Part]) -> list[Movement]:
    return [
        Movement(kind, part.line.expires_on, part.points, part.reduction_g, part.line.number)
        for part in parts
    ]


def _back_to_lots(kind: str, parts: Sequence[Part], carry_to: date | None) -> list[Movement]:
    """Return to the lots, and carry on at once what comes back lapsed."""
    back = _movements(kind, parts)
    return [*back, *(step for each in back for step in movements_on(each, carry_to))]


@dataclass(slots=True)
class _Entry:
    kind: str
    posting_id: UUID
    of_id: UUID | None
    hold_line: int
    expires_on: date
    points: int
    reduction_g: int
    party: UUID | None


class Story:
    """Every transfer of one hold, in order."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = entries

    @classmethod
    def read(cls, asked: Rows) -> "Story":
        """Return the story that was asked for.

        Raises:
            HoldUnknown: there is none.
        """
        entries = [_Entry(*row) for row in asked.fetchall()]
        if not entries:
            raise HoldUnknown("There is no such hold.")
        return cls(entries)

    def held_lines(self) -> list[Line]:
        """Return the hold's lines and what is still held of each."""
        lines = [entry for entry in self._entries if entry.kind == "hold"]
        gone = [entry for entry in self._entries if entry.kind in {"release", "capture"}]
        return _lines_left(lines, gone)

    def captured_lines(self, capture_id: UUID) -> list[Line]:
        """Return a capture's lines and what is neither restored nor pooled of each."""
        lines = [entry for entry in self._entries if entry.posting_id == capture_id]
        gone = [entry for entry in self._entries if entry.of_id == capture_id]
        return _lines_left(lines, gone)

    def party_of(self, capture_id: UUID) -> UUID | None:
        """Return the partner that a capture was for."""
        return next(each.party for each in self._entries if each.posting_id == capture_id)


def _lines_left(lines: Sequence[_Entry], gone: Sequence[_Entry]) -> list[Line]:
    left = {line.hold_line: (line.points, line.reduction_g) for line in lines}
    for entry in gone:
        points, grams = left[entry.hold_line]
        left[entry.hold_line] = points - entry.points, grams - entry.reduction_g
    return [
        Line(each.hold_line, each.expires_on, each.points, each.reduction_g, *left[each.hold_line])
        for each in lines
    ]
