"""A hold: points are reserved, and then released or captured.

A lot that lapses under a hold stays spendable by that hold, and by nothing else.
"""

from datetime import date
from uuid import UUID

from service.ledger.accounts import lock_account
from service.ledger.apportioning import parts_of, shares_by_points
from service.ledger.carrying import require_carry_date
from service.ledger.errors import HoldExceeded, InsufficientPoints, points_short
from service.ledger.lots import ask_live_lots, live_lots
from service.ledger.postings import Movement, Outcome, Posting, Terms, require_amount
from service.ledger.story import Story, ask_story, movements_back, movements_of
from service.pipelining import Connection


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
    new = NewHold(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, Terms("hold", points))
    if before := posting.answered_before():
        return before
    try:
        return new.carry_out(posting, points)
    except InsufficientPoints as short:
        available = short.members["available"]
        return posting.refuse(new.accounts, InsufficientPoints, asked=points, available=available)


class NewHold:
    """A hold under an id that has just been made up, so that it cannot have come before.

    Nothing of it waits for an answer but the lots. Whoever asks for more than there is is refused
    and leaves no trace: the caller's transaction ends with it.
    """

    def __init__(self, connection: Connection, citizen_id: UUID) -> None:
        """Lock the account, and ask for the lots."""
        self._connection = connection
        self._citizen_id = citizen_id
        self.accounts = lock_account(connection, citizen_id)
        self._lots = ask_live_lots(connection, citizen_id)

    def write(self, posting_id: UUID, points: int) -> Outcome:
        """Reserve points, those that expire soonest first; as `hold`.

        Raises:
            AmountInvalid: no such number of points can be held.
            InsufficientPoints
        """
        require_amount(points)
        terms = Terms("hold", points)
        return self.carry_out(
            Posting(self._connection, self._citizen_id, posting_id, terms), points
        )

    def carry_out(self, posting: Posting, points: int) -> Outcome:
        """Carry out what was asked for under an id.

        Raises:
            InsufficientPoints
        """
        shares = shares_by_points(live_lots(self._lots), points)
        held = sum(share.points for share in shares)
        if held < points:
            raise points_short(asked=points, available=held)
        movements = [Movement("hold", *share, hold_line=n) for n, share in enumerate(shares)]
        return posting.carry_out(self.accounts, movements)


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
    story = ask_story(connection, citizen_id, hold_id)
    if before := posting.answered_before():
        return before
    require_carry_date(carry_to)  # a repeat is answered whatever day it is
    lines = Story.read(story).held_lines()
    held = sum(line.points_left for line in lines)
    wanted = held if points is None else points
    if not 0 < wanted <= held:
        return posting.refuse(accounts, HoldExceeded, asked=wanted, held=held)
    parts = parts_of(lines, wanted, backwards=True)
    return posting.carry_out(accounts, movements_back("release", parts, carry_to))


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
    story = ask_story(connection, citizen_id, hold_id)
    if before := posting.answered_before():
        return before
    lines = Story.read(story).held_lines()
    held = sum(line.points_left for line in lines)
    if points > held:
        return posting.refuse(accounts, HoldExceeded, asked=points, held=held)
    parts = parts_of(lines, points, backwards=False)
    return posting.carry_out(accounts, movements_of("capture", parts))
