"""One run: a partner's file is compared with its batch, and what differs becomes exceptions."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.rewards.redemptions.steps import SERVICE
from service.rewards.settlement.accepting import settle_batch
from service.rewards.settlement.batches import (
    COMPARABLE,
    Batch,
    batch_by_id,
    be_patient,
    move,
)
from service.rewards.settlement.matching import Difference, Elsewhere, Known, Stated, differences
from service.rewards.settlement.noting import note_exceptions
from service.rewards.settlement.pairing import OurLine, paired
from service.rewards.settlement.partner_files import TheirLine, read_partner_file
from service.runtime import Runtime

READ_RUN: Final = """
SELECT run.id, run.batch_id, run.state, file.content, file.stated_lines, file.stated_points,
       EXISTS (SELECT FROM reconciliation_run newer
               WHERE newer.batch_id = run.batch_id
                 AND (newer.recorded_at, newer.id) > (run.recorded_at, run.id))
FROM reconciliation_run run JOIN partner_file file ON file.id = run.file_id WHERE run.id = %s
"""

END_RUN: Final = """
UPDATE reconciliation_run SET state = %s, matched_lines = %s, exceptions = %s, ended_at = %s
WHERE id = %s
"""

READ_LINES: Final = """
SELECT line.line_no, line.record_type, line.redemption_id, line.record_id, line.state,
       redemption.state, line.partner_reference, line.subject, line.points, line.benefit_value,
       line.subsidy_minor, line.effective_from, line.effective_to, line.occurred_at,
       line.business_date, line.terms_hash
FROM settlement_line line JOIN redemption ON redemption.id = line.redemption_id
WHERE line.batch_id = %s ORDER BY line.line_no
"""

# Another partner's redemption is as unknown as none.
FIND_REDEMPTIONS: Final = """
SELECT id FROM redemption WHERE partner_id = %s AND id = ANY(%s)
"""

FIND_REFERENCES: Final = """
SELECT partner_reference, redemption_id FROM redemption_record
WHERE partner_id = %s AND kind IN ('capture', 'reversal') AND partner_reference = ANY(%s)
"""

READ_REDEMPTIONS: Final = (
    "SELECT id, state, points, subsidy_minor FROM redemption WHERE id = ANY(%s)"
)

READ_RECORDS: Final = """
SELECT record.redemption_id, line.batch_id, record.id, upper(record.kind),
       coalesce(partner_reference, ''), record.points, record.subsidy_minor,
       coalesce(batch.state = 'accepted', false)
FROM redemption_record record
LEFT JOIN (SELECT record_id, batch_id FROM settlement_line WHERE superseded_by IS NULL) AS line
    ON line.record_id = record.id
LEFT JOIN settlement_batch batch ON batch.id = line.batch_id
WHERE record.kind IN ('capture', 'reversal') AND record.redemption_id = ANY(%s)
ORDER BY record.redemption_id, record.no
"""

TOLD_BEFORE: Final = """
SELECT record_id FROM reconciliation_exception WHERE code = 'LATE' AND record_id = ANY(%s)
"""


class _Run(NamedTuple):
    id: UUID
    batch_id: UUID
    state: str
    content: bytes
    stated_lines: int | None
    stated_points: int | None
    is_overtaken: bool


def reconcile(runtime: Runtime, run_id: UUID) -> None:
    """Carry out a run, once: everything of it stands after one transaction, or nothing."""
    with runtime.database.raw_transaction() as connection:
        be_patient(connection)
        run = _read(connection, run_id)
        batch = batch_by_id(connection, run.batch_id, locked=True)
        # Under the batch's lock it is asked again: another worker may have been quicker.
        run = _read(connection, run_id)
        if run.state != "queued":
            return
        if run.is_overtaken or batch.state not in COMPARABLE:
            _end(connection, run, "overtaken", None, None)
            return
        _compare(connection, run, batch)


def _read(connection: psycopg.Connection[Any], run_id: UUID) -> _Run:
    row = connection.execute(READ_RUN, [run_id]).fetchone()
    assert row is not None  # noqa: S101  queued together with its row
    return _Run._make(row)


def _compare(connection: psycopg.Connection[Any], run: _Run, batch: Batch) -> None:
    ours = [OurLine._make(row) for row in connection.execute(READ_LINES, [batch.id])]
    pairing = paired(ours, read_partner_file(run.content))
    known = _known(connection, batch, pairing.theirs_alone)
    stated = Stated(run.stated_lines, run.stated_points)
    told_before = _told_before(connection, pairing.ours_alone)
    found = list(differences(pairing, known, told_before, stated))
    open_now = note_exceptions(connection, batch, run.id, found)
    state = "exceptions" if found else "matched"
    _end(connection, run, state, len(pairing.pairs) - _pairs_with(found), len(found))
    after = move(connection, batch, state, SERVICE)
    if not found and not open_now:
        settle_batch(connection, after, SERVICE)


def _pairs_with(found: Iterable[Difference]) -> int:
    """Return of how many pairs something differs."""
    return len(
        {
            each.record_id
            for each in found
            if each.record_id and each.theirs and each.ours and each.code != "DUPLICATE_LINE"
        }
    )


def _end(
    connection: psycopg.Connection[Any],
    run: _Run,
    state: str,
    matched_lines: int | None,
    exceptions: int | None,
) -> None:
    connection.execute(END_RUN, [state, matched_lines, exceptions, clock.now(), run.id])


def _known(
    connection: psycopg.Connection[Any], batch: Batch, strangers: Iterable[TheirLine]
) -> Mapping[str, Known]:
    """Return what we know of redemptions that the partner names beyond the batch."""
    strangers = list(strangers)
    named = {each.redemption_id: each.redemption for each in strangers if each.redemption}
    ours = {
        row[0]
        for row in connection.execute(FIND_REDEMPTIONS, [batch.partner_id, list(named.values())])
    }
    found = {text: redemption for text, redemption in named.items() if redemption in ours}
    references = [each.partner_reference for each in strangers if each.redemption_id not in found]
    found |= dict(connection.execute(FIND_REFERENCES, [batch.partner_id, references]).fetchall())
    known = _redemptions(connection, batch, set(found.values()))
    return {text: known[redemption] for text, redemption in found.items()}


def _redemptions(
    connection: psycopg.Connection[Any], batch: Batch, wanted: set[UUID]
) -> dict[UUID, Known]:
    records: dict[UUID, list[Elsewhere]] = {each: [] for each in wanted}
    captured: set[UUID] = set()
    for redemption_id, batch_id, *record in connection.execute(READ_RECORDS, [list(wanted)]):
        captured.add(redemption_id)
        if batch_id != batch.id:
            records[redemption_id].append(Elsewhere._make(record))
    rows = connection.execute(READ_REDEMPTIONS, [list(wanted)]).fetchall()
    return {
        each: Known(each, state, points, subsidy_minor, each in captured, tuple(records[each]))
        for each, state, points, subsidy_minor in rows
    }


def _told_before(connection: psycopg.Connection[Any], alone: Iterable[OurLine]) -> set[UUID]:
    """Return records that the partner named in an earlier day's file, where they were late."""
    ids = [line.record_id for line in alone]
    return {row[0] for row in connection.execute(TOLD_BEFORE, [ids])}
