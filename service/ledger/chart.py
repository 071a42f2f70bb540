"""The chart of accounts: from where to where each kind of transfer moves points and grams."""

from collections.abc import Iterable
from typing import Final, NamedTuple

ENTRANCES: Final = ("issued", "carried_in")
"""Where a lot's points come from: only ever added to."""

PLACES: Final = (
    "available",
    "held",
    "redeemed",
    "pooled",
    "expired",
    "invalidated",
    "retired",
    "carried_out",
)
"""Where they are now; together they equal what came in."""


class Way(NamedTuple):
    """One kind of transfer."""

    kind: str
    source: str
    target: str


CHART: Final = (
    Way("issue", "issued", "available"),
    Way("hold", "available", "held"),
    Way("release", "held", "available"),
    Way("capture", "held", "redeemed"),
    Way("restore", "redeemed", "available"),
    Way("carry_out", "available", "carried_out"),
    Way("carry_in", "carried_in", "available"),
    Way("expire", "available", "expired"),
    Way("invalidate", "available", "invalidated"),
    Way("recover", "available", "invalidated"),
    Way("retire", "available", "retired"),
    Way("donate", "available", "pooled"),
    Way("pool", "redeemed", "pooled"),
)


def shift_in_sql(way: Way, points: str, grams: str) -> str:
    """Return the SET list of an UPDATE of `lot` that moves so many points and grams.

    Args:
        way: from where to where.
        points: an SQL expression.
        grams: likewise.
    """
    sign = "+" if way.source in ENTRANCES else "-"
    return (
        f"{way.source}_points = lot.{way.source}_points {sign} {points},"
        f" {way.source}_g = lot.{way.source}_g {sign} {grams},"
        f" {way.target}_points = lot.{way.target}_points + {points},"
        f" {way.target}_g = lot.{way.target}_g + {grams}"
    )


def is_entrance(way: Way) -> bool:
    """Whether the kind brings points into a lot, which it may be the first to need."""
    return way.source in ENTRANCES


def kinds_into(place: str) -> str:
    """Return, as an SQL list, the kinds that add to a place; to an entrance, those that enter."""
    return _listed(
        way.kind
        for way in CHART
        if place == way.target or (place == way.source and is_entrance(way))
    )


def kinds_out_of(place: str) -> str:
    """Return, as an SQL list, the kinds that take from a place; nothing leaves an entrance."""
    return _listed(way.kind for way in CHART if place == way.source and not is_entrance(way))


def fold_in_sql(place: str, amount: str) -> str:
    """Return, as SQL over transfers, what has come to a place less what has left it."""
    terms = [
        f"coalesce(sum({amount}) FILTER (WHERE kind IN ({kinds})), 0)"
        for kinds in (kinds_into(place), kinds_out_of(place))
        if kinds
    ]
    return " - ".join(terms)


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)
