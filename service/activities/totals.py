"""What a citizen's certified activities add up to over a time: for grades, reports and offers.

An act is in the time in which it began. Once somebody is erased nothing tells when her acts were,
so they add up to nothing: whoever is gone has no grade and gets no report.
"""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from service.pipelining import Connection, Rows

# Along the citizen's details, which are kept in the order of their beginning. The latest verdict
# holds; an upheld appeal brings grams of its own. The line without a behavior is of them all.
READ: Final = """
SELECT d.behavior, coalesce(sum(coalesce(granted.reduction_g, a.reduction_g)), 0)::bigint,
       count(*), count(DISTINCT (d.started_at AT TIME ZONE 'Asia/Shanghai')::date)
FROM activity_detail d
JOIN activity a ON a.citizen_id = d.citizen_id AND a.id = d.activity_id
LEFT JOIN LATERAL (
    SELECT v.verdict FROM verdict v
    WHERE v.citizen_id = %(citizen_id)s AND v.activity_id = a.id ORDER BY v.seq DESC LIMIT 1
) latest ON true
LEFT JOIN LATERAL (
    SELECT v.reduction_g FROM verdict v
    WHERE v.citizen_id = %(citizen_id)s AND v.activity_id = a.id AND v.reduction_g IS NOT NULL
    ORDER BY v.seq DESC LIMIT 1
) granted ON true
WHERE d.citizen_id = %(citizen_id)s AND a.citizen_id = %(citizen_id)s
  AND d.started_at >= %(from_moment)s AND d.started_at < %(to_moment)s
  AND coalesce(latest.verdict, a.verdict) = 'certified'
GROUP BY GROUPING SETS ((d.behavior), ())
ORDER BY d.behavior
"""


class BehaviorTotal(NamedTuple):
    """One behavior's certified acts."""

    behavior: str
    reduction_g: int
    acts: int
    days: int
    """Different days in Asia/Shanghai on which one began."""


class CertifiedTotals(NamedTuple):
    """What was certified and has not been invalidated."""

    reduction_g: int
    acts: int
    days: int
    behaviors: tuple[BehaviorTotal, ...]
    """By name."""


def ask_certified_totals(
    connection: Connection, citizen_id: UUID, from_moment: datetime, to_moment: datetime
) -> Rows:
    """Ask what began in `[from_moment, to_moment)`; `totals_from` reads the answer."""
    asked = {"citizen_id": citizen_id, "from_moment": from_moment, "to_moment": to_moment}
    return connection.execute(READ, asked)


def totals_from(rows: Rows) -> CertifiedTotals:
    """Return the totals that were asked for."""
    behaviors = []
    reduction_g = acts = days = 0
    for behavior, *figures in rows:
        if behavior is None:
            reduction_g, acts, days = figures
        else:
            behaviors.append(BehaviorTotal(behavior, *figures))
    return CertifiedTotals(reduction_g, acts, days, tuple(behaviors))
