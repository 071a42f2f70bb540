"""What a citizen does with her own points: she retires their grams, or gives them away."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from service.errors import DomainError
from service.ledger.accounts import lock_account
from service.ledger.apportioning import LiveLot, Share, shares_by_grams, shares_by_points
from service.ledger.errors import AmountInvalid, grams_short, points_short
from service.ledger.lots import ask_live_lots, live_lots
from service.ledger.postings import Movement, Outcome, Posting, Terms, require_amount


def retire(
    connection: psycopg.Connection[Any],
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
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    posting_id: UUID,
    points: int,
    party: UUID,
) -> Outcome:
    """Give points, and the grams behind them, to a pool, those that expire soonest first.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        points: at least 1.
        party: the pool.

    Returns:
        The lot lines, or the refusal `insufficient-points`.

    Raises:
        AmountInvalid: no such number of points can be given.
        PostingConflict: the id was used for something else.
    """
    return _spend(connection, citizen_id, posting_id, Terms("donate", points, party=party))


def _spend(
    connection: psycopg.Connection[Any], citizen_id: UUID, posting_id: UUID, terms: Terms
) -> Outcome:
    require_amount(terms.points)
    require_amount(terms.reduction_g)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    asked = ask_live_lots(connection, citizen_id)
    if before := posting.answered_before():
        return before
    shares, params, refusal = _shares(live_lots(asked), terms)
    if refusal is not None:
        return posting.refuse(accounts, refusal, **params)
    return posting.carry_out(accounts, [Movement(terms.kind, *share) for share in shares])


def _shares(
    lots: Sequence[LiveLot], terms: Terms
) -> tuple[list[Share], dict[str, int], DomainError | None]:
    """Return what is taken of each lot, or why it is too little."""
    if terms.points is not None:
        shares = shares_by_points(lots, terms.points)
        short = {"asked": terms.points, "available": sum(share.points for share in shares)}
        refusal: DomainError = points_short(**short)
    else:
        assert terms.reduction_g is not None  # noqa: S101  the callers give one of the two
        shares = shares_by_grams(lots, terms.reduction_g)
        short = {"asked": terms.reduction_g, "available": sum(each.reduction_g for each in shares)}
        refusal = grams_short(**short)
    return shares, short, refusal if short["available"] < short["asked"] else None
