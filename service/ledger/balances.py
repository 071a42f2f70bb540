"""What a citizen has: her lots added up, as of a day."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple

LOTS_OF: Final = """
SELECT expires_on, available_points, available_g, held_points, issued_g, held_g, redeemed_g,
       pooled_g, expired_g, invalidated_g, retired_g
FROM lot WHERE citizen_id = %(citizen_id)s
"""
"""Rows as `LotLine`, in no order; whoever adds rows of its own saves a round trip."""


class LotLine(NamedTuple):
    """One lot, as far as a balance depends on it."""

    expires_on: date
    available_points: int
    available_g: int
    held_points: int
    issued_g: int
    held_g: int
    redeemed_g: int
    pooled_g: int
    expired_g: int
    invalidated_g: int
    retired_g: int


class Balance(NamedTuple):
    """A citizen's points and grams, each gram with one fate.

    `certified = available + held + redeemed + pooled + expired + invalidated + retired`: what is
    carried leaves one of her lots for another, so over all of them it cancels out.
    """

    available_points: int
    held_points: int
    expiring: list[tuple[date, int]]
    """Available points by their last day, the soonest first."""
    certified_g: int
    available_g: int
    held_g: int
    redeemed_g: int
    pooled_g: int
    expired_g: int
    invalidated_g: int
    retired_g: int


NOTHING: Final = Balance(0, 0, [], 0, 0, 0, 0, 0, 0, 0, 0)


def balance_from(lots: Sequence[tuple[Any, ...]], today: date) -> Balance:
    """Add up lots as of a day.

    What is still available in a lot whose day has passed counts as expired, whether or not that has
    been booked: expiry is a fact of time.

    Args:
        lots: all of one citizen's, each with the fields of a `LotLine`.
        today: Asia/Shanghai.
    """
    if not lots:
        return NOTHING
    # Column by column, and lists rather than generators: thousands are added up in a second.
    _, _, grams, held_points, *fates = zip(*lots, strict=True)
    issued, held, redeemed, pooled, expired, invalidated, retired = map(sum, fates)
    live = [lot for lot in lots if lot[0] >= today]
    live_g = sum([lot[2] for lot in live])
    expiring = sorted([(lot[0], lot[1]) for lot in live if lot[1]])
    return Balance(
        sum([lot[1] for lot in live]),
        sum(held_points),
        expiring,
        issued,
        live_g,
        held,
        redeemed,
        pooled,
        expired + sum(grams) - live_g,
        invalidated,
        retired,
    )
