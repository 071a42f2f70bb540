"""The scheme in numbers that reconcile, made-up people kept apart from real ones."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import psycopg

SNAPSHOT: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL statement_timeout = '60s'",
    "SET LOCAL jit = off",
)

# A citizen of whom anything is simulated counts as made up: nothing simulated is ever shown as
# real, and her lots, which do not tell the two apart, stay on one side.
MADE_UP: Final = """
made_up AS MATERIALIZED (
    SELECT citizen_id FROM citizen WHERE simulated
    UNION SELECT citizen_id FROM activity WHERE simulated
)
"""

# An upheld appeal brings grams of its own, which stay its grams if it is invalidated later.
READ_ACTIVITIES: Final = f"""
WITH {MADE_UP}, latest AS MATERIALIZED (
    SELECT DISTINCT ON (citizen_id, activity_id) citizen_id, activity_id, verdict
    FROM verdict ORDER BY citizen_id, activity_id, seq DESC
), granted AS MATERIALIZED (
    SELECT citizen_id, activity_id, reduction_g, points FROM verdict WHERE reduction_g IS NOT NULL
)
SELECT made_up.citizen_id IS NOT NULL, a.behavior, coalesce(latest.verdict, a.verdict), count(*),
       sum(coalesce(granted.reduction_g, a.reduction_g))::bigint,
       sum(coalesce(granted.points, a.points))::bigint
FROM activity a
LEFT JOIN made_up ON made_up.citizen_id = a.citizen_id
LEFT JOIN latest ON latest.citizen_id = a.citizen_id AND latest.activity_id = a.id
LEFT JOIN granted ON granted.citizen_id = a.citizen_id AND granted.activity_id = a.id
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

# What a lapsed lot still holds has expired, whether or not that has been booked.
READ_LOTS: Final = f"""
WITH {MADE_UP}
SELECT made_up.citizen_id IS NOT NULL,
       sum(issued_points)::bigint, sum(issued_g)::bigint,
       coalesce(sum(available_points) FILTER (WHERE expires_on >= %(today)s), 0)::bigint,
       coalesce(sum(available_g) FILTER (WHERE expires_on >= %(today)s), 0)::bigint,
       sum(held_points)::bigint, sum(held_g)::bigint,
       sum(redeemed_points)::bigint, sum(redeemed_g)::bigint,
       sum(pooled_points)::bigint, sum(pooled_g)::bigint,
       (sum(expired_points)
        + coalesce(sum(available_points) FILTER (WHERE expires_on < %(today)s), 0))::bigint,
       (sum(expired_g)
        + coalesce(sum(available_g) FILTER (WHERE expires_on < %(today)s), 0))::bigint,
       sum(invalidated_points)::bigint, sum(invalidated_g)::bigint,
       sum(retired_points)::bigint, sum(retired_g)::bigint
FROM lot LEFT JOIN made_up USING (citizen_id)
GROUP BY 1
"""

READ_OWED: Final = f"""
WITH {MADE_UP}
SELECT made_up.citizen_id IS NOT NULL, sum(owed_points)::bigint, sum(owed_g)::bigint
FROM account LEFT JOIN made_up USING (citizen_id)
WHERE owed_points > 0 OR owed_g > 0
GROUP BY 1
"""

FATES: Final = (
    *("certified", "available", "held", "redeemed", "pooled", "expired", "invalidated"),
    "retired",
)
VERDICTS: Final = (
    *("certified", "pending", "refused", "withdrawn", "superseded", "erased", "corrected"),
    "invalidated",
)
COUNTED: Final = ("certified", "pending", "invalidated")
"""Verdicts that say something about grams."""


@dataclass(slots=True)
class Tally:
    """Activities by their present verdict, and what counts or would count of them."""

    activities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    reduction_g: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    points: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def add(self, verdict: str, activities: int, reduction_g: int, points: int) -> None:
        """Count activities of one verdict."""
        self.activities[verdict] += activities
        if verdict in self.reduction_g:
            self.reduction_g[verdict] += reduction_g
            self.points[verdict] += points

    def as_dict(self) -> dict[str, Any]:
        """Return the tally as plain data."""
        recorded = sum(self.activities.values())
        return {
            "activities": {"recorded": recorded, **self.activities},
            "reduction_g": self.reduction_g,
            "points": self.points,
        }


@dataclass(slots=True)
class Scheme:
    """Everything of one sort of people: the real ones, or the made-up ones."""

    behaviors: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    total: Tally = field(default_factory=Tally)
    fate_points: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))
    fate_g: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))
    owed_points: int = 0
    owed_g: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the sums as plain data.

        `recorded = certified + pending`, where certified is whatever ever was, and `certified =
        available + held + redeemed + pooled + expired + invalidated + retired`. Of the behaviors,
        certified and invalidated together are the scheme's certified; what is invalidated of them
        is the scheme's `invalidated + owed`: taken back, or still to be.
        """
        return {
            "activities": self.total.as_dict()["activities"],
            "reduction_g": _sums(self.total.reduction_g["pending"], self.fate_g, self.owed_g),
            "points": _sums(self.total.points["pending"], self.fate_points, self.owed_points),
            "behaviors": [
                {"behavior": behavior, **tally.as_dict()}
                for behavior, tally in sorted(self.behaviors.items())
            ],
        }


def statistics(connection: psycopg.Connection[Any], today: date, as_of: datetime) -> dict[str, Any]:
    """Add everything up, from one snapshot.

    Args:
        connection: at the beginning of its transaction.
        today: Asia/Shanghai.
        as_of: said in the answer.
    """
    for statement in SNAPSHOT:
        connection.execute(statement)
    real, made_up = Scheme(), Scheme()
    for is_made_up, behavior, verdict, *sums in connection.execute(READ_ACTIVITIES):
        scheme = made_up if is_made_up else real
        scheme.behaviors[behavior].add(verdict, *sums)
        scheme.total.add(verdict, *sums)
    for is_made_up, *sums in connection.execute(READ_LOTS, {"today": today}):
        scheme = made_up if is_made_up else real
        scheme.fate_points = dict(zip(FATES, sums[0::2], strict=True))
        scheme.fate_g = dict(zip(FATES, sums[1::2], strict=True))
    for is_made_up, owed_points, owed_g in connection.execute(READ_OWED):
        scheme = made_up if is_made_up else real
        scheme.owed_points, scheme.owed_g = owed_points, owed_g
    return {
        "as_of": as_of.isoformat(timespec="seconds"),
        **real.as_dict(),
        "simulated": made_up.as_dict(),
    }


def _sums(pending: int, fates: dict[str, int], owed: int) -> dict[str, int]:
    return {"recorded": fates["certified"] + pending, "pending": pending, **fates, "owed": owed}
