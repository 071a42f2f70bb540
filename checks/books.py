"""A second opinion of the books: every transfer added up in plain Python, beside what is stored.

The chart of accounts stands here once more, written from DESIGN §5 and not imported, so that an
error in the service's own cannot hide itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, Final
from uuid import UUID

import psycopg

CHART: Final = {
    "issue": ("issued", "available"),
    "hold": ("available", "held"),
    "release": ("held", "available"),
    "capture": ("held", "redeemed"),
    "restore": ("redeemed", "available"),
    "carry_out": ("available", "carried_out"),
    "carry_in": ("carried_in", "available"),
    "expire": ("available", "expired"),
    "invalidate": ("available", "invalidated"),
    "recover": ("available", "invalidated"),
    "retire": ("available", "retired"),
    "donate": ("available", "pooled"),
    "pool": ("redeemed", "pooled"),
}
ENTRANCES: Final = ("issued", "carried_in")
PLACES: Final = tuple(dict.fromkeys(place for way in CHART.values() for place in way))
MEASURES: Final = ("points", "g")
COLUMNS: Final = tuple(f"{place}_{measure}" for place in PLACES for measure in MEASURES)

Lots = dict[tuple[UUID, date], Counter[str]]

READ_LOTS: Final = f"SELECT citizen_id, expires_on, {', '.join(COLUMNS)} FROM lot"
READ_MOVED: Final = """
SELECT citizen_id, expires_on, kind, sum(points)::bigint, sum(reduction_g)::bigint
FROM transfer GROUP BY citizen_id, expires_on, kind
"""
READ_OWED: Final = "SELECT citizen_id, owed_points, owed_g FROM account"
READ_CLAIMED: Final = """
SELECT citizen_id, sum(points)::bigint, sum(reduction_g)::bigint
FROM posting WHERE kind = 'invalidate' GROUP BY citizen_id
"""
SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class Books:
    """Every lot and the fold of every transfer, of one moment."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Read everything in one snapshot.

        Args:
            connection: at the beginning of a transaction.
        """
        connection.execute(SNAPSHOT)
        self.lots: Lots = {
            (citizen, day): Counter(dict(zip(COLUMNS, amounts, strict=True)))
            for citizen, day, *amounts in connection.execute(READ_LOTS)
        }
        self.fold = _fold(connection)
        self._owed = {row[0]: row[1:] for row in connection.execute(READ_OWED)}
        self._claimed = {row[0]: row[1:] for row in connection.execute(READ_CLAIMED)}

    def faults(self) -> Iterator[str]:
        """Yield what does not hold."""
        yield from self._sums_that_differ()
        for key in self.lots.keys() | self.fold.keys():
            lot, fold = self.lots.get(key, Counter()), self.fold.get(key, Counter())
            for column in COLUMNS:
                if lot[column] != fold[column]:
                    yield f"lot {key}: {column} is {lot[column]}, its transfers say {fold[column]}"
                if lot[column] < 0:
                    yield f"lot {key}: {column} is {lot[column]}"
        yield from self._owed_that_differs()

    def totals(self) -> dict[UUID, Counter[str]]:
        """Return every citizen's lots added up."""
        totals: dict[UUID, Counter[str]] = defaultdict(Counter)
        for (citizen, _), lot in self.lots.items():
            totals[citizen].update(lot)
        return totals

    def _sums_that_differ(self) -> Iterator[str]:
        everything: Counter[str] = Counter()
        for lot in self.lots.values():
            everything.update(lot)
        for measure in MEASURES:
            came = sum(everything[f"{place}_{measure}"] for place in ENTRANCES)
            are = sum(everything[f"{place}_{measure}"] for place in PLACES) - came
            if came != are:
                yield f"{came} {measure} were issued, and {are} are somewhere"
            if everything[f"carried_in_{measure}"] != everything[f"carried_out_{measure}"]:
                yield f"not as many {measure} were carried in as were carried out"

    def _owed_that_differs(self) -> Iterator[str]:
        """A claw-back's shortfall is what it asked for and did not get, less what was recovered."""
        got: dict[UUID, Counter[str]] = defaultdict(Counter)
        for (citizen, _), fold in self.fold.items():
            for measure in MEASURES:
                got[citizen][measure] += fold[f"invalidated_{measure}"]
        for citizen, owed in self._owed.items():
            asked = self._claimed.get(citizen, (0, 0))
            left = tuple(a - got[citizen][m] for a, m in zip(asked, MEASURES, strict=True))
            if tuple(owed) != left:
                yield f"account {citizen}: owes {owed}, its claw-backs say {left}"


def _fold(connection: psycopg.Connection[Any]) -> Lots:
    fold: Lots = defaultdict(Counter)
    for citizen, day, kind, points, grams in connection.execute(READ_MOVED):
        source, target = CHART[kind]
        sign = 1 if source in ENTRANCES else -1
        for measure, amount in zip(MEASURES, (points, grams), strict=True):
            fold[citizen, day][f"{source}_{measure}"] += sign * amount
            fold[citizen, day][f"{target}_{measure}"] += amount
    return fold
