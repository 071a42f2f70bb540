"""What a partner may use once, an assertion or a signature: remembered until it ends."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from service import clock


def is_first_use(
    connection: psycopg.Connection[Any], partner_id: UUID, name: bytes, ends_at: datetime
) -> bool:
    """Use something up and return whether it was unused; the primary key decides races.

    Args:
        connection: inside a transaction; its commit uses the thing up.
        partner_id: whose it is.
        name: by which it would be known again.
        ends_at: from when on it is refused anyhow, and need not be remembered.
    """
    connection.execute(
        "DELETE FROM client_assertion WHERE partner_id = %s AND expires_at < %s",
        [partner_id, clock.now() - timedelta(minutes=1)],
    )
    first = connection.execute(
        "INSERT INTO client_assertion (partner_id, jti_digest, expires_at) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING true",
        [partner_id, hashlib.sha256(name).digest(), ends_at],
    ).fetchone()
    return first is not None
