"""Leaves of the log that are no transfers: an erasure, a log key, a settlement manifest.

An event is committed to as a transfer is: SHA-256 over a salt and its fields, each with its length
(two bytes, the most significant first) before it. Its salt is stored beside it: an event holds
nothing personal, and the salt keeps a short content from being guessed out of the public log.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.orm import Session

from service import clock
from service.db import driver_connection
from service.transparency.outside import Outside

EventKind = Literal["erasure", "key_added", "key_retired", "settlement_manifest"]

FORMAT = b"carbon-log-event/1"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

WRITE = """
INSERT INTO log_event (id, kind, content, salt, commitment, recorded_at)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""


def write_event(
    connection: psycopg.Connection[Any],
    kind: EventKind,
    content: Mapping[str, str],
    event_id: UUID | None = None,
) -> None:
    """Write an event down; the sealer makes it a leaf.

    Args:
        connection: inside the caller's transaction.
        kind: what happened.
        content: nothing personal; becomes JSON with sorted members.
        event_id: of something that is written down once, however often it is noticed.
    """
    event_id, salt, recorded_at = event_id or uuid4(), secrets.token_bytes(32), clock.now()
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    committed = commitment(salt, event_id, kind, text, recorded_at)
    connection.execute(WRITE, [event_id, kind, text, salt, committed, recorded_at])


def commitment(
    salt: bytes, event_id: UUID, kind: str, content: str, recorded_at: datetime
) -> bytes:
    """Return the 32 bytes by which the log knows an event."""
    microseconds = (recorded_at - EPOCH) // (datetime.resolution)
    fields = (
        salt,
        FORMAT,
        event_id.bytes,
        kind.encode(),
        content.encode(),
        microseconds.to_bytes(8, signed=True),
    )
    return hashlib.sha256(b"".join(len(each).to_bytes(2) + each for each in fields)).digest()


def write_erasure(session: Session, citizen_id: UUID, outside: Outside) -> None:
    """Let the log say that somebody was erased, and keep her id outside the database.

    To be the last thing before the commit: once her id is kept, a failing commit is made good when
    the service starts again.

    Raises:
        OutsideUnusable: her id cannot be kept, so she is not erased.
    """
    digest = hashlib.sha256(citizen_id.bytes).hexdigest()
    write_event(driver_connection(session), "erasure", {"citizen_sha256": digest})
    outside.keep_erasure(citizen_id)
