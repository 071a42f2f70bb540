"""Certified grams become points: one transfer for each activity, one lot for each expiry date."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from service.bulk import Table, array_of, insert_rows

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
    expires_on: str
    """ISO 8601."""
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
            (citizen, transfer, "issue", expires_on, str(points), str(grams))
            for citizen, transfer, expires_on, points, grams in issues
        ],
    )
    connection.execute(ADD_TO_LOTS, _sums_by_lot(issues))


def _sums_by_lot(issues: Sequence[Issue]) -> tuple[str, str, str, str]:
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for citizen_id, _, expires_on, points, reduction_g in issues:
        lot = citizen_id, expires_on
        before = sums.get(lot)
        if before is not None:
            points += before[0]  # noqa: PLW2901  the running sum of one lot
            reduction_g += before[1]  # noqa: PLW2901
        sums[lot] = points, reduction_g
    return (
        array_of(citizen_id for citizen_id, _ in sums),
        array_of(expires_on for _, expires_on in sums),
        array_of(points for points, _ in sums.values()),
        array_of(reduction_g for _, reduction_g in sums.values()),
    )
