"""Reading certification batches: what a verifier decides on, with nothing about who or where."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service.activities.errors import BatchUnknown

BatchState = Literal["open", "approved", "rejected", "issued"]
STATES: tuple[BatchState, ...] = ("open", "approved", "rejected", "issued")
ITEMS_SHOWN = 100

READ = """
SELECT * FROM (
    SELECT b.id, coalesce(p.name, 'citizen') AS source, b.methodology_code, b.happened_on,
           b.activities, b.reduction_g, b.points, b.digest, b.closed_at,
           CASE WHEN d.decision = 'approved' AND o.batch_id IS NOT NULL THEN 'issued'
                ELSE coalesce(d.decision, 'open') END AS state,
           d.statement, d.verifier_id, d.recorded_at AS decided_at,
           o.approved, o.issued, o.reduction_g AS issued_g, o.points AS issued_points, o.skipped,
           o.recorded_at AS carried_out_at
    FROM certification_batch b
    LEFT JOIN partner p ON p.id = b.source_id
    LEFT JOIN certification_decision d ON d.batch_id = b.id
    LEFT JOIN certification_outcome o ON o.batch_id = b.id) AS batch
"""

ONE = READ + "WHERE id = %s"

PAGE = (
    READ
    + """
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(after)s::timestamptz IS NULL OR (closed_at, id) > (%(after)s, %(after_id)s))
ORDER BY closed_at, id LIMIT %(rows)s
"""
)

READ_ITEMS = """
SELECT a.id AS activity_id, encode(a.evidence_digest, 'hex') AS evidence_digest, a.reduction_g,
       a.points
FROM certification_batch_item i
JOIN activity a ON a.citizen_id = i.citizen_id AND a.id = i.activity_id
WHERE i.batch_id = %s AND (%s::uuid IS NULL OR a.id > %s)
ORDER BY a.id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A certification batch, with the decision and what it brought about, once there are any."""

    id: UUID
    source: str
    methodology_code: str
    happened_on: date
    activities: int
    reduction_g: int
    points: int
    digest: bytes
    closed_at: datetime
    state: BatchState
    statement: str | None
    verifier_id: UUID | None
    decided_at: datetime | None
    approved: int | None
    issued: int | None
    issued_g: int | None
    issued_points: int | None
    skipped: dict[str, int] | None
    carried_out_at: datetime | None

    @property
    def position(self) -> list[str | int]:
        """Where a list that is cut after this batch goes on."""
        return [self.closed_at.isoformat(), self.id.hex]


class BatchItem(NamedTuple):
    """One activity of a batch, as its digest covers it."""

    activity_id: UUID
    evidence_digest: str
    reduction_g: int
    points: int


def batches(
    connection: psycopg.Connection[Any],
    after: list[str | int] | None,
    rows: int,
    state: BatchState | None = None,
) -> list[BatchRecord]:
    """Return batches, those closed first first."""
    moment, batch_id = after or (None, None)
    terms = {"state": state, "after": moment, "after_id": batch_id, "rows": rows}
    with connection.cursor(row_factory=class_row(BatchRecord)) as cursor:
        return cursor.execute(PAGE, terms).fetchall()


def batch_of(connection: psycopg.Connection[Any], batch_id: UUID) -> BatchRecord:
    """Return one batch.

    Raises:
        BatchUnknown: there is none by this id.
    """
    with connection.cursor(row_factory=class_row(BatchRecord)) as cursor:
        found = cursor.execute(ONE, [batch_id]).fetchone()
    if found is None:
        raise BatchUnknown("There is no such certification batch.")
    return found


def items_of(
    connection: psycopg.Connection[Any],
    batch_id: UUID,
    after: UUID | None = None,
    rows: int = ITEMS_SHOWN,
) -> list[BatchItem]:
    """Return activities of a batch in the order of its digest, by their ids."""
    found = connection.execute(READ_ITEMS, (batch_id, after, after, rows))
    return [BatchItem(*row) for row in found]
