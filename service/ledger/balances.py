"""What a citizen has: her lots added up, as of a day."""

from collections.abc import Iterable
from datetime import date
from typing import Final, NamedTuple

LOTS_OF: Final = """
SELECT expires_on, issued_g, available_points, available_g, held_points, held_g, expired_g,
       retired_g
FROM lot WHERE citizen_id = %s
"""
"""Rows as `LotLine`, in no order; whoever adds rows of its own saves a round trip."""


class LotLine(NamedTuple):
    """One lot, as far as a balance depends on it."""

    expires_on: date
    issued_g: int
    available_points: int
    available_g: int
    held_points: int
    held_g: int
    expired_g: int
    retired_g: int


class Balance(NamedTuple):
    """A citizen's points and grams: `certified_g = available + held + expired + retired`."""

    available_points: int
    held_points: int
    expiring: list[tuple[date, int]]
    """Available points by their last day, the soonest first."""
    certified_g: int
    available_g: int
    held_g: int
    expired_g: int
    retired_g: int


def balance_from(lots: Iterable[LotLine], today: date) -> Balance:
    """Add up lots as of a day.

    What is still available in a lot whose day has passed counts as expired, whether or not that has
    been booked: expiry is a fact of time.

    Args:
        lots: all of one citizen's.
        today: Asia/Shanghai.
    """
    available_points = held_points = 0
    certified_g = available_g = held_g = expired_g = retired_g = 0
    expiring: list[tuple[date, int]] = []
    for lot in lots:
        certified_g += lot.issued_g
        held_points += lot.held_points
        held_g += lot.held_g
        expired_g += lot.expired_g
        retired_g += lot.retired_g
        if lot.expires_on < today:
            expired_g += lot.available_g
            continue
        available_g += lot.available_g
        if lot.available_points:
            available_points += lot.available_points
            expiring.append((lot.expires_on, lot.available_points))
    return Balance(
        available_points,
        held_points,
        sorted(expiring),
        certified_g,
        available_g,
        held_g,
        expired_g,
        retired_g,
    )
