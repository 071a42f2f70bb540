"""What a correction has brought about: told when it is made, and whenever it comes again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service.activities.corrections.records import Revision

READ: Final = """
SELECT c.corrected_id, c.activity_id, c.revision, c.recorded_at,
       coalesce(a.verdict, CASE WHEN c.invalidated_g > 0 THEN 'invalidated' ELSE 'withdrawn' END)
           AS verdict,
       CASE WHEN c.activity_id IS NULL THEN 'withdrawn-by-source' ELSE a.code END AS code,
       a.params, coalesce(a.reduction_g, 0) AS reduction_g, coalesce(a.points, 0) AS points,
       c.invalidated_g, c.invalidated_points, c.owed_g, c.owed_points
FROM correction c
LEFT JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id
WHERE c.citizen_id = %s AND c.first_id = %s AND c.id = %s
"""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A correction, and what it brought about."""

    corrected_id: UUID
    activity_id: UUID | None
    """None: there never was such an act."""
    revision: int
    recorded_at: datetime
    verdict: str
    """The first one on the restated record, or what became of a withdrawn one."""
    code: str | None
    params: Mapping[str, Any] | None
    reduction_g: int
    points: int
    invalidated_g: int
    invalidated_points: int
    owed_g: int
    """By so much the citizen owes more than before."""
    owed_points: int


def answer_to(
    connection: psycopg.Connection[Any], revision: Revision, correction_id: UUID
) -> Corrected | None:
    """Return what a correction of this revision has brought about, if it was made."""
    key = (revision.citizen_id, revision.first_id, correction_id)
    with connection.cursor(row_factory=class_row(Corrected)) as cursor:
        return cursor.execute(READ, key).fetchone()
