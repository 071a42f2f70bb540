"""A source's record as it stands: its newest revision, and the corrections that led there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service.activities.errors import ActivityUnknown
from service.activities.intake.candidates import activity_id as derived_activity_id

# Sources and staff know no citizens, so these ask by the id alone, and that is no hot path.
FIND = "SELECT citizen_id FROM activity WHERE id = %s AND source_id = %s"

FIND_ANY = "SELECT citizen_id FROM activity WHERE id = %s"

# The planner thinks little of an index that only summarises, and would rather read the whole of
# another one. Found in 3 ms among a million rows, where a scan took 670.
BY_SUMMARY: Final = """
SELECT set_config(name, value, true)
FROM (VALUES ('enable_seqscan', 'off'), ('enable_indexscan', 'off'),
             ('enable_indexonlyscan', 'off'), ('max_parallel_workers_per_gather', '0'))
    AS setting (name, value)
"""

READ_REVISION = """
SELECT a.citizen_id, a.id, a.source_id, a.external_id, a.revision, a.behavior, a.simulated,
       encode(a.evidence_digest, 'hex') AS evidence_digest, a.verdict AS first_verdict,
       encode(d.account_digest, 'hex') AS account_digest,
       coalesce(t.points, 0) AS issued_points, coalesce(t.reduction_g, 0) AS issued_g
FROM activity a
LEFT JOIN activity_detail d ON d.citizen_id = a.citizen_id AND d.activity_id = a.id
LEFT JOIN transfer t ON t.citizen_id = a.citizen_id AND t.id = a.id
WHERE a.citizen_id = %s AND a.id = %s
"""

READ_LATEST = """
SELECT verdict, code FROM verdict WHERE citizen_id = %s AND activity_id = %s
ORDER BY seq DESC LIMIT 1
"""

BY_THE_SCHEME: Final = ("found-false", "double-record")
"""Codes of what was decided here; no source and no single person undoes it."""

READ_DECIDED_HERE = """
SELECT code FROM verdict WHERE citizen_id = %s AND activity_id = %s AND code = ANY(%s) LIMIT 1
"""

READ_RECEIVED_AT = "SELECT recorded_at FROM activity WHERE citizen_id = %s AND id = %s"

READ_NEWEST = """
SELECT activity_id FROM correction
WHERE citizen_id = %s AND first_id = %s AND activity_id IS NOT NULL
ORDER BY revision DESC LIMIT 1
"""


class Fate(NamedTuple):
    """The verdict that holds, and why."""

    verdict: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a record."""

    citizen_id: UUID
    id: UUID
    source_id: UUID | None
    """None: the citizen recorded it herself, and it has no other revision."""
    external_id: str
    revision: int
    behavior: str
    simulated: bool
    evidence_digest: str
    first_verdict: str
    account_digest: str | None
    """None: the person has been erased."""
    issued_points: int
    issued_g: int

    @property
    def is_erased(self) -> bool:
        """Whether times and quantities are gone with the person."""
        return self.account_digest is None

    @property
    def first_id(self) -> UUID:
        """The activity id of the record as it came first."""
        return UUID(hex=self.id_of_revision(0))

    def id_of_revision(self, revision: int) -> str:
        """Return the activity id of any revision of the record."""
        source = self.source_id.bytes if self.source_id else b"citizen"
        return derived_activity_id(self.citizen_id.hex, source, self.external_id, revision)


def whose_record(connection: psycopg.Connection[Any], source_id: UUID, activity_id: UUID) -> UUID:
    """Return whose activity a source has reported under an id.

    Args:
        connection: in a transaction for this question alone, because its plans are made for it.
        source_id: who asks.
        activity_id: as a feed's answer told it.

    Raises:
        ActivityUnknown: there is none, or another reported it; the answer is the same.
    """
    connection.execute(BY_SUMMARY)
    return _citizen(connection.execute(FIND, (activity_id, source_id)).fetchone())


def whose_activity(connection: psycopg.Connection[Any], activity_id: UUID) -> UUID:
    """Return whose activity it is, for staff; in a transaction for this question alone.

    Raises:
        ActivityUnknown: there is none.
    """
    connection.execute(BY_SUMMARY)
    return _citizen(connection.execute(FIND_ANY, [activity_id]).fetchone())


def revision_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> Revision:
    """Return an activity that is known to exist, for what is decided about it."""
    with connection.cursor(row_factory=class_row(Revision)) as cursor:
        found = cursor.execute(READ_REVISION, (citizen_id, activity_id)).fetchone()
    if found is None:
        raise _unknown()
    return found


def fate_of(connection: psycopg.Connection[Any], revision: Revision) -> Fate:
    """Return the verdict that holds."""
    row = connection.execute(READ_LATEST, (revision.citizen_id, revision.id)).fetchone()
    return Fate(*row) if row else Fate(revision.first_verdict, None)


def decided_here(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> str | None:
    """Return the code with which the scheme itself took the activity back, or None."""
    key = (citizen_id, activity_id, list(BY_THE_SCHEME))
    row = connection.execute(READ_DECIDED_HERE, key).fetchone()
    return row[0] if row else None


def received_at(connection: psycopg.Connection[Any], revision: Revision) -> datetime:
    """Return when the record came first."""
    key = (revision.citizen_id, revision.first_id)
    row = connection.execute(READ_RECEIVED_AT, key).fetchone()
    assert row is not None  # noqa: S101  there is no later revision without the first
    moment: datetime = row[0]
    return moment


def newest_id(connection: psycopg.Connection[Any], revision: Revision) -> UUID:
    """Return the activity id of the record's newest revision."""
    key = (revision.citizen_id, revision.first_id)
    row = connection.execute(READ_NEWEST, key).fetchone()
    return row[0] if row else revision.first_id


def _citizen(row: tuple[Any, ...] | None) -> UUID:
    if row is None:
        raise _unknown()
    citizen_id: UUID = row[0]
    return citizen_id


def _unknown() -> ActivityUnknown:
    return ActivityUnknown("There is no such activity, or it is not yours to see.")
