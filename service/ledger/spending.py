"""What a citizen does with her own points: she retires their grams, or gives them away."""

from collections.abc import Sequence
from uuid import UUID

from service.ledger.accounts import lock_account
from service.ledger.apportioning import LiveLot, Share, shares_by_grams, shares_by_points
from service.ledger.errors import AmountInvalid, GramsOwed, InsufficientGrams, InsufficientPoints
from service.ledger.lots import ask_live_lots, live_lots
from service.ledger.postings import Movement, Outcome, Posting, Terms, require_amount
from service.pipelining import Connection


def retire(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    *,
    points: int | None = None,
    reduction_g: int | None = None,
) -> Outcome:
    """Use up grams for good, those that expire soonest first, so that nobody counts them again.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        points: to retire with the grams behind them; or:
        reduction_g: at least so many grams, with the fewest points that carry them.

    Returns:
        The lot lines, or the refusal `insufficient-points` or `insufficient-grams`.

    Raises:
        AmountInvalid: not exactly one amount is given, or it is none.
        PostingConflict: the id was used for something else.
    """
    if (points is None) == (reduction_g is None):
        raise AmountInvalid("Give either points or reduction_g.")
    return _spend(connection, citizen_id, posting_id, Terms("retire", points, reduction_g))


def donate(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    points: int,
    party: UUID,
) -> Outcome:
    """Give points, and the grams behind them, to a pool, those that expire soonest first.

    Grams that she owes after a claw-back are not hers to give.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        points: at least 1.
        party: the pool.

    Returns:
        The lot lines, or the refusal `insufficient-points` or `grams-owed`.

    Raises:
        AmountInvalid: no such number of points can be given.
        PostingConflict: the id was used for something else.
    """
    return _spend(connection, citizen_id, posting_id, Terms("donate", points, party=party))


def _spend(connection: Connection, citizen_id: UUID, posting_id: UUID, terms: Terms) -> Outcome:
    require_amount(terms.points)
    require_amount(terms.reduction_g)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    asked = ask_live_lots(connection, citizen_id)
    if before := posting.answered_before():
        return before
    lots = live_lots(asked)
    shares = _shares(lots, terms)
    short = _short_of(shares, terms)
    if short is not None:
        refused = InsufficientGrams if terms.points is None else InsufficientPoints
        return posting.refuse(accounts, refused, **short)
    owed = _owed_of(lots, shares, accounts[citizen_id.hex].owed_g)
    if terms.kind == "donate" and owed is not None:
        return posting.refuse(accounts, GramsOwed, **owed)
    return posting.carry_out(accounts, [Movement(terms.kind, *share) for share in shares])


def _shares(lots: Sequence[LiveLot], terms: Terms) -> list[Share]:
    if terms.points is not None:
        return shares_by_points(lots, terms.points)
    assert terms.reduction_g is not None  # noqa: S101  the callers give one of the two
    return shares_by_grams(lots, terms.reduction_g)


def _short_of(shares: Sequence[Share], terms: Terms) -> dict[str, int] | None:
    """Return what is asked and what there is, if that is too little."""
    asked = terms.points or terms.reduction_g or 0
    there = sum(each.reduction_g if terms.points is None else each.points for each in shares)
    return {"asked": asked, "available": there} if there < asked else None


def _owed_of(
    lots: Sequence[LiveLot], shares: Sequence[Share], owed_g: int
) -> dict[str, int] | None:
    """Return the grams that would go and those that are not owed, if that is too few."""
    grams = sum(share.reduction_g for share in shares)
    spare = sum(lot.reduction_g for lot in lots) - owed_g
    return {"asked": grams, "available": spare} if grams > spare else None
