"""Reconciliation runs as they stand: which file was compared with which batch, and how it went."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.rewards.settlement.errors import ReconciliationRunUnknown

_SELECT: Final = """
SELECT run.id, run.file_id, run.batch_id, run.partner_id, run.state, file.sha256, file.lines,
       run.matched_lines, run.exceptions, run.recorded_at, run.ended_at
FROM reconciliation_run run JOIN partner_file file ON file.id = run.file_id
"""

READ: Final = f"{_SELECT} WHERE run.id = %s"


class Run(NamedTuple):
    """A run as it stands."""

    id: UUID
    file_id: UUID
    batch_id: UUID
    partner_id: UUID
    state: str
    sha256: bytes
    lines: int
    matched_lines: int | None
    exceptions: int | None
    recorded_at: datetime
    ended_at: datetime | None


def run_by_id(
    connection: psycopg.Connection[Any], run_id: UUID, partner_id: UUID | None = None
) -> Run:
    """Return a run; a partner sees its own only.

    Raises:
        ReconciliationRunUnknown: there is none, or it is another partner's.
    """
    row = connection.execute(READ, [run_id]).fetchone()
    found = row and Run._make(row)
    if found is None or partner_id not in {None, found.partner_id}:
        raise ReconciliationRunUnknown("There is no such run, or it is not yours to see.")
    return found
