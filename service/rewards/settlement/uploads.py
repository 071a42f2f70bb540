"""Taking in a partner's file: kept as it came, and compared by a worker."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg

from service.jobs.queue import enqueue
from service.rewards.redemptions.steps import Actor
from service.rewards.settlement.batches import COMPARABLE, Batch, batch_by_id, closed, move
from service.rewards.settlement.errors import LineFault
from service.rewards.settlement.matching import Stated
from service.rewards.settlement.partner_files import TheirLine, invalid_file, read_partner_file

RECONCILE: Final = "settlement.reconcile"

FIND: Final = """
SELECT file.id, run.id FROM partner_file file JOIN reconciliation_run run ON run.file_id = file.id
WHERE file.batch_id = %s AND sha256 = %s
  AND (stated_lines, stated_points) IS NOT DISTINCT FROM (%s::integer, %s::bigint)
"""

WRITE: Final = """
INSERT INTO partner_file (id, partner_id, batch_id, sha256, stated_lines, stated_points, lines,
    content)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

WRITE_RUN: Final = """
INSERT INTO reconciliation_run (id, file_id, batch_id, partner_id) VALUES (%s, %s, %s, %s)
"""


class Received(NamedTuple):
    """A file that was taken in, now or before."""

    file_id: UUID
    run_id: UUID
    sha256: bytes


def receive_file(
    connection: psycopg.Connection[Any], batch: Batch, content: bytes, stated: Stated, actor: Actor
) -> Received:
    """Keep a file and let a worker compare it; the same file again is the one that was kept.

    Args:
        connection: inside the caller's transaction.
        batch: that the file is about.
        content: as it came.
        stated: the totals that came with it.
        actor: who sends it.

    Raises:
        PartnerFileInvalid: it cannot be read.
        SettlementBatchClosed: the batch has been accepted or counts no more.
    """
    digest = hashlib.sha256(content).digest()
    batch = batch_by_id(connection, batch.id, locked=True)
    row = connection.execute(FIND, [batch.id, digest, *stated]).fetchone()
    if row is not None:
        return Received(row[0], row[1], digest)
    if batch.state not in COMPARABLE:
        raise closed(batch)
    lines = read_partner_file(content)
    _require_points(lines, stated)
    file_id, run_id = uuid4(), uuid4()
    values = [file_id, batch.partner_id, batch.id, digest, *stated, len(lines), content]
    connection.execute(WRITE, values)
    connection.execute(WRITE_RUN, [run_id, file_id, batch.id, batch.partner_id])
    if batch.state == "sent":
        move(connection, batch, "partner_received", actor)
    enqueue(connection, RECONCILE, lock=f"settlement {batch.id}", run_id=run_id.hex)
    return Received(file_id, run_id, digest)


def receive_receipt(connection: psycopg.Connection[Any], batch_id: UUID, actor: Actor) -> Batch:
    """Note that a partner has the file; a receipt for what it has already changes nothing.

    Raises:
        SettlementBatchUnknown: it is not the partner's.
        SettlementBatchClosed: the batch counts no more.
    """
    batch = batch_by_id(connection, batch_id, actor.id, locked=True)
    if batch.state in {"open", "superseded"}:
        raise closed(batch)
    return move(connection, batch, "partner_received", actor) if batch.state == "sent" else batch


def _require_points(lines: Sequence[TheirLine], stated: Stated) -> None:
    """Refuse a sum that cannot be compared, because lines do not say their points."""
    silent = [line.no for line in lines if line.points is None]
    if stated.points is not None and silent:
        raise invalid_file(
            [
                LineFault(
                    str(silent[0]),
                    "points-missing",
                    "With points_total every line has to say its points.",
                )
            ],
            len(silent),
        )
