"""Closing a business day with a partner: one batch of all that stands in no batch yet."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from service import clock
from service.bulk import Table, insert_rows
from service.partners.organisations import partner_by_id
from service.partners.profiles import profile_of
from service.rewards.redemptions.steps import SERVICE, Actor
from service.rewards.settlement import batches
from service.rewards.settlement.batches import Batch, batch_of_day, be_patient, move
from service.rewards.settlement.errors import PartnerFileTarget, SettlementDayNotOver
from service.rewards.settlement.files import content_of, written_line
from service.rewards.settlement.lines import Line, unsettled_lines
from service.rewards.settlement.manifests import (
    Superseded,
    manifest_of,
    totals_of,
    write_manifest,
)
from service.rewards.settlement.set_aside import set_aside
from service.runtime import Runtime

# Days of one partner are closed one after the other: its manifests are a chain.
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('settlement ' || %s::text, 0))"
DUE: Final = """
SELECT DISTINCT partner_id, business_date FROM redemption_record record
WHERE kind IN ('capture', 'reversal') AND business_date < %(today)s
  AND (%(partner_id)s::uuid IS NULL OR partner_id = %(partner_id)s)
  AND NOT EXISTS (SELECT FROM settlement_line
                  WHERE record_id = record.id AND superseded_by IS NULL)
ORDER BY partner_id, business_date
"""

ADDED: Final = "SELECT min(recorded_at) FROM partner_change WHERE partner_id = %s"

SUPERSEDE: Final = "UPDATE settlement_line SET superseded_by = %s WHERE batch_id = %s"

COLUMNS: Final = (
    "record_type",
    "redemption_id",
    "record_id",
    "state",
    "partner_reference",
    "subject",
    "points",
    "reduction_g",
    "benefit_value",
    "subsidy_minor",
    "payer",
    "effective_from",
    "effective_to",
    "occurred_at",
    "business_date",
    "terms_hash",
)
"""Of a line, as they stand in the table too."""

LINES: Final = Table("settlement_line", "batch_id", "line_no", *COLUMNS, "written")


def close_due(
    runtime: Runtime, day: date | None = None, partner_id: UUID | None = None
) -> list[Batch]:
    """Close every day that is over and of which something stands in no batch.

    What is in one partner's way keeps no other's day open; it is raised when all have had their
    turn.

    Args:
        runtime: each batch is made in a transaction of its own.
        day: only this one, with what is older.
        partner_id: only this partner's.
    """
    with runtime.database.raw_transaction() as connection:
        be_patient(connection)
        asked = {"today": clock.today(), "partner_id": partner_id}
        due = connection.execute(DUE, asked).fetchall()
    made: list[Batch] = []
    in_the_way: list[psycopg.Error] = []
    for each, rows in groupby(due, key=lambda row: row[0]):
        days = [day] if day else _days_to_close([row[1] for row in rows])
        try:
            made += filter(None, (close_first(runtime, each, on) for on in days))
        except psycopg.Error as error:
            in_the_way.append(error)
    if in_the_way:
        raise in_the_way[0]
    return made


def _days_to_close(days: Sequence[date]) -> list[date]:
    """Return the days themselves, and yesterday: it takes what was late for a closed one."""
    return sorted({*days, clock.today() - timedelta(days=1)})


def close_first(runtime: Runtime, partner_id: UUID, day: date) -> Batch | None:
    """Close a day unless it was closed before, or there is nothing; one transaction."""
    with runtime.database.raw_transaction() as connection:
        require_over(connection, partner_id, day)
        _lock(connection, partner_id)
        if batch_of_day(connection, partner_id, day) is not None:
            return None
        lines = unsettled_lines(connection, partner_id, day)
        return _write(runtime, connection, Day(partner_id, day), lines) if lines else None


def batch_for(
    runtime: Runtime, connection: psycopg.Connection[Any], partner_id: UUID, day: date
) -> Batch:
    """Return the batch that counts for a day; a day that was not closed is closed now.

    Raises:
        SettlementDayNotOver: its cut-off has not come.
        PartnerFileTarget: it is a day before the partner was added.
    """
    require_over(connection, partner_id, day)
    _lock(connection, partner_id)
    found = batch_of_day(connection, partner_id, day)
    if found is not None:
        return found
    _require_known_by(connection, partner_id, day)
    lines = unsettled_lines(connection, partner_id, day)
    return _write(runtime, connection, Day(partner_id, day), lines)


def close_day(
    runtime: Runtime,
    connection: psycopg.Connection[Any],
    partner_id: UUID,
    day: date,
    actor: Actor = SERVICE,
    reason: str | None = None,
) -> Batch:
    """Close a day, again if need be: then all lines of the batch before count no more.

    A day without a line has an empty batch.

    Args:
        runtime: with the key that signs.
        connection: inside the caller's transaction.
        partner_id: with whom.
        day: a business date that is over.
        actor: who wants it.
        reason: why again.

    Raises:
        PartnerUnknown: there is no such partner.
        SettlementDayNotOver: its cut-off has not come.
        SettlementBatchClosed: the batch of the day has been accepted.
    """
    partner_by_id(connection, partner_id)
    require_over(connection, partner_id, day)
    _lock(connection, partner_id)
    found = batch_of_day(connection, partner_id, day)
    if found is None:
        lines = unsettled_lines(connection, partner_id, day)
        return _write(runtime, connection, Day(partner_id, day), lines, actor)
    before = batches.batch_by_id(connection, found.id, locked=True)
    lines = unsettled_lines(connection, partner_id, day, but=before.id)
    after = move(connection, before, "superseded", actor, reason)
    set_aside(connection, before.id)
    return _write(runtime, connection, Day(partner_id, day, after), lines, actor)


def require_over(connection: psycopg.Connection[Any], partner_id: UUID, day: date) -> None:
    """Refuse a business date whose cut-off has not come; a partner on trial need not wait for it.

    Raises:
        SettlementDayNotOver
    """
    is_on_trial = profile_of(connection, partner_id).reach == "loopback"
    if day > clock.today() or (day == clock.today() and not is_on_trial):
        raise SettlementDayNotOver(
            "A day is closed after 24:00 in Shanghai; {day} is not over.", day=day.isoformat()
        )


def _require_known_by(connection: psycopg.Connection[Any], partner_id: UUID, day: date) -> None:
    """Refuse a day on which there can be nothing: each batch stays in the public log for ever."""
    row = connection.execute(ADDED, [partner_id]).fetchone()
    first = clock.day_of(row[0]) if row and row[0] else clock.today()
    if day < first:
        raise PartnerFileTarget(
            "There is nothing between us before {first}.", first=first.isoformat()
        )


class Day(NamedTuple):
    """A day that is closed, for the first time or again."""

    partner_id: UUID
    on: date
    before: Batch | None = None
    """The batch that counts no more."""


def _write(
    runtime: Runtime,
    connection: psycopg.Connection[Any],
    day: Day,
    lines: Sequence[Line],
    actor: Actor = SERVICE,
) -> Batch:
    """Write a batch, its lines and its manifest, and send it: the partner may fetch it now."""
    batch = _new_batch(connection, day, lines)
    superseded = None
    if day.before is not None:
        connection.execute(SUPERSEDE, [batch.id, day.before.id])
        superseded = Superseded(day.before, manifest_of(connection, day.before.id).sha256)
    written = [written_line(batch.id, no, line) for no, line in enumerate(lines, 1)]
    insert_rows(connection, LINES, list(_rows(batch.id, lines, written)))
    batches.note(connection, batch, actor)
    write_manifest(runtime, connection, batch, lines, content_of(written), superseded)
    return move(connection, batch, "sent", actor)


def _new_batch(connection: psycopg.Connection[Any], day: Day, lines: Sequence[Line]) -> Batch:
    batch_id, no = uuid4(), day.before.no + 1 if day.before else 1
    totals = Jsonb(totals_of(lines))
    connection.execute(batches.CREATE, [batch_id, day.partner_id, day.on, no, len(lines), totals])
    return batches.batch_by_id(connection, batch_id)


def _rows(
    batch_id: UUID, lines: Iterable[Line], written: Iterable[str]
) -> Iterable[tuple[str, ...]]:
    for no, (line, text) in enumerate(zip(lines, written, strict=True), 1):
        cells = (getattr(line, column) for column in COLUMNS)
        yield (batch_id.hex, str(no), *(str(cell) for cell in cells), text)


def _lock(connection: psycopg.Connection[Any], partner_id: UUID) -> None:
    be_patient(connection)
    connection.execute(LOCK, [partner_id])
