"""Certified grams become points: one transfer for each activity, one lot for each expiry date."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import psycopg

from service.bulk import Table, insert_rows

TRANSFERS = Table("transfer", "citizen_id", "id", "kind", "expires_on", "points", "reduction_g")

ADD_TO_LOTS = """
INSERT INTO lot (citizen_id, expires_on, issued_points, issued_g, available_points, available_g)
SELECT citizen_id, expires_on, points, reduction_g, points, reduction_g
FROM unnest(%s::uuid[], %s::date[], %s::bigint[], %s::bigint[])
    AS issued (citizen_id, expires_on, points, reduction_g)
ORDER BY citizen_id, expires_on
ON CONFLICT (citizen_id, expires_on) DO UPDATE SET
    issued_points = lot.issued_points + excluded.issued_points,
    issued_g = lot.issued_g + excluded.issued_g,
    available_points = lot.available_points + excluded.available_points,
    available_g = lot.available_g + excluded.available_g
"""


class Issue(NamedTuple):
    """Points and grams to be issued to one citizen, once."""

    citizen_id: str
    transfer_id: str
    """Chosen by the caller: an activity is issued under its own id, so it is issued once."""
    expires_on: date
    points: int
    reduction_g: int


def issue_lots(connection: psycopg.Connection[Any], issues: Sequence[Issue]) -> None:
    """Issue points and the grams behind them into the citizens' lots, set-wise.

    The caller holds the accounts' locks and knows under them that the transfer ids are new; one
    that is not raises a unique violation, and nothing of the transaction happens.

    Args:
        connection: inside the caller's transaction.
        issues: points ≥ 0, reduction_g ≥ 0, not both zero.
    """
    if not issues:
        return
    insert_rows(
        connection,
        TRANSFERS,
        [
            (citizen, transfer, "issue", expires_on.isoformat(), points, grams)
            for citizen, transfer, expires_on, points, grams in issues
        ],
    )
    connection.execute(ADD_TO_LOTS, _sums_by_lot(issues))


def _sums_by_lot(issues: Sequence[Issue]) -> tuple[list[str], list[date], list[int], list[int]]:
    points: defaultdict[tuple[str, date], int] = defaultdict(int)
    grams: defaultdict[tuple[str, date], int] = defaultdict(int)
    for citizen_id, _, expires_on, issued_points, reduction_g in issues:
        points[citizen_id, expires_on] += issued_points
        grams[citizen_id, expires_on] += reduction_g
    return (
        [citizen_id for citizen_id, _ in points],
        [expires_on for _, expires_on in points],
        list(points.values()),
        list(grams.values()),
    )
