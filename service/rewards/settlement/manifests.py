"""The manifest of a batch: what we sign of its file, chained to the one before, held by the log."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.documents import signed_document
from service.ids import PARTNER, public_id
from service.rewards.settlement.batches import Batch
from service.rewards.settlement.files import file_name
from service.rewards.settlement.lines import Line
from service.runtime import Runtime
from service.transparency.errors import LogEmpty
from service.transparency.events import write_event
from service.transparency.published import published_head

DOCUMENT_TYPE: Final = "carbon-settlement-manifest+jwt"

LAST: Final = """
SELECT no, sha256, last_event_seq FROM settlement_manifest
WHERE partner_id = %s ORDER BY no DESC LIMIT 1
"""

LAST_EVENT: Final = "SELECT last_seq FROM event_sequencer WHERE partner_id = %s"

WRITE: Final = """
INSERT INTO settlement_manifest (batch_id, partner_id, no, previous_sha256, sha256, file_sha256,
    last_event_seq, document)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

READ: Final = """
SELECT no, document, manifest.sha256, file_sha256, previous_sha256,
       event.content, event.salt, event.commitment, event.recorded_at
FROM settlement_manifest manifest JOIN log_event event ON event.id = manifest.batch_id
WHERE batch_id = %s
"""


class Superseded(NamedTuple):
    """A batch whose lines count no more since its day was closed again."""

    batch: Batch
    manifest_sha256: bytes


class _Link(NamedTuple):
    """The end of a partner's chain."""

    no: int
    sha256: bytes | None
    last_event_seq: int


class Manifest(NamedTuple):
    """A manifest as it stays, and the log's entry of it."""

    no: int
    document: str
    sha256: bytes
    file_sha256: bytes
    previous_sha256: bytes | None
    content: str
    salt: bytes
    commitment: bytes
    recorded_at: Any


def manifest_of(connection: psycopg.Connection[Any], batch_id: UUID) -> Manifest:
    """Return the manifest of a batch; each has one."""
    row = connection.execute(READ, [batch_id]).fetchone()
    assert row is not None  # noqa: S101  written with the batch
    return Manifest._make(row)


def write_manifest(
    runtime: Runtime,
    connection: psycopg.Connection[Any],
    batch: Batch,
    lines: Iterable[Line],
    content: bytes,
    superseded: Superseded | None,
) -> None:
    """Sign what a batch holds, and let the log hold the manifest's digest.

    Args:
        runtime: with the key that signs and our own name.
        connection: inside the transaction that closes the day, which alone does for this partner.
        batch: new.
        lines: of it.
        content: its file.
        superseded: the batch of the same day that counts no more.
    """
    before = _end_of_chain(connection, batch.partner_id)
    last_seq = _last_event_seq(connection, batch.partner_id)
    file_sha256 = hashlib.sha256(content).digest()
    claims = {
        "iss": runtime.settings.issuer,
        "iat": int(clock.now().timestamp()),
        **_of_batch(batch, lines),
        "file": {
            "name": file_name(batch.partner, batch.business_date, batch.no),
            "sha256": file_sha256.hex(),
            "bytes": len(content),
        },
        "events": {"first_seq": before.last_event_seq + 1, "last_seq": last_seq},
        "superseded": _told(superseded),
        "chain_no": before.no + 1,
        "previous_manifest_sha256": before.sha256.hex() if before.sha256 else None,
        "log": _checkpoint(connection),
    }
    document = signed_document(runtime.keys, DOCUMENT_TYPE, claims)
    digest = hashlib.sha256(document.encode()).digest()
    row = (batch.id, batch.partner_id, before.no + 1, before.sha256, digest, file_sha256)
    connection.execute(WRITE, [*row, last_seq, document])
    write_event(connection, "settlement_manifest", {"manifest_sha256": digest.hex()}, batch.id)


def _of_batch(batch: Batch, lines: Iterable[Line]) -> dict[str, Any]:
    """Return which batch it is, and what it comes to."""
    return {
        "jti": batch.public_id,
        "partner_id": public_id(PARTNER, batch.partner_id),
        "partner": batch.partner,
        "batch_id": batch.public_id,
        "business_date": batch.business_date.isoformat(),
        "n": batch.no,
        "cut_off": _cut_off(batch),
        "lines": batch.lines,
        "late_lines": sum(1 for line in lines if line.business_date < batch.business_date),
        "totals": batch.totals,
    }


def totals_of(lines: Iterable[Line]) -> dict[str, Any]:
    """Return counts and sums by record type."""
    totals: dict[str, Any] = {}
    for line in lines:
        sums = totals.setdefault(
            line.record_type,
            {
                "lines": 0,
                "points": 0,
                "reduction_g": 0,
                "subsidy_minor": 0,
                "subsidy_minor_by_payer": {},
            },
        )
        sums["lines"] += 1
        for name in ("points", "reduction_g", "subsidy_minor"):
            sums[name] += getattr(line, name)
        by_payer = sums["subsidy_minor_by_payer"]
        by_payer[line.payer] = by_payer.get(line.payer, 0) + line.subsidy_minor
    return totals


def _end_of_chain(connection: psycopg.Connection[Any], partner_id: UUID) -> _Link:
    row = connection.execute(LAST, [partner_id]).fetchone()
    return _Link._make(row) if row else _Link(0, None, 0)


def _last_event_seq(connection: psycopg.Connection[Any], partner_id: UUID) -> int:
    """Return the partner's last event that has its place; it is told of this batch later."""
    row = connection.execute(LAST_EVENT, [partner_id]).fetchone()
    return int(row[0]) if row else 0


def _cut_off(batch: Batch) -> str:
    next_day = clock.start_of(batch.business_date + timedelta(days=1))
    return next_day.astimezone(clock.SHANGHAI).isoformat()


def _told(superseded: Superseded | None) -> list[dict[str, Any]]:
    """Return which lines count no more: all of the batch before, by their numbers."""
    if superseded is None:
        return []
    batch, digest = superseded
    numbers = {"first_line_no": 1, "last_line_no": batch.lines} if batch.lines else {}
    return [
        {"batch_id": batch.public_id, "n": batch.no, **numbers, "manifest_sha256": digest.hex()}
    ]


def _checkpoint(connection: psycopg.Connection[Any]) -> dict[str, Any] | None:
    """Return how the public log stood; None: it has no entry yet."""
    try:
        head = published_head(connection)
    except LogEmpty:
        return None
    return {"size": head.size, "checkpoint": head.checkpoint}
