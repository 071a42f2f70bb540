"""A log of its own, with transfers that were written by hand."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from service.runtime import Runtime
from service.settings import Settings
from service.transparency.heads import Head
from service.transparency.sealer import Sealer, sealing_connection

# Each citizen's transfers, in a statement of its own, one microsecond after another.
WRITE = """
INSERT INTO transfer
    (citizen_id, id, kind, expires_on, points, reduction_g, recorded_at, commitment)
SELECT md5('citizen' || n %% %(citizens)s)::uuid, gen_random_uuid(), 'issue', '2030-12-31', 1, 1,
       clock_timestamp(), sha256(uuid_send(gen_random_uuid()))
FROM generate_series(1, %(transfers)s) AS n
"""

WRITE_ONE = """
INSERT INTO transfer
    (citizen_id, id, kind, expires_on, points, reduction_g, recorded_at, commitment)
VALUES (%s, %s, 'issue', '2030-12-31', 1, 1, clock_timestamp(), %s)
"""


@dataclass(frozen=True)
class Books:
    """A database with its own log, keys and outside folder."""

    settings: Settings
    runtime: Runtime

    @classmethod
    def opened(cls, runtime: Runtime, folder: Path) -> "Books":
        return cls(replace(runtime.settings, home=folder, outside=folder / "outside"), runtime)

    def write(self, transfers: int, citizens: int = 1000) -> None:
        """Write many transfers in one transaction."""
        with self.owner() as connection:
            connection.execute(WRITE, {"transfers": transfers, "citizens": citizens})

    def write_one(self, connection: psycopg.Connection[Any], citizen_id: UUID) -> bytes:
        """Write one transfer in the caller's transaction and return its commitment."""
        transfer_id = uuid4()
        committed = hashlib.sha256(transfer_id.bytes).digest()
        connection.execute(WRITE_ONE, [citizen_id, transfer_id, committed])
        return committed

    def cycle(self) -> Head | None:
        """Let a sealer that has just started work once."""
        with sealing_connection(self.settings) as connection:
            return Sealer(self.settings).cycle(connection)

    def connection(self) -> psycopg.Connection[Any]:
        """Open a connection in the application's role, without a limit of time."""
        return psycopg.connect(self.settings.database_url)

    def owner(self) -> psycopg.Connection[Any]:
        """Open a connection that may do everything."""
        return psycopg.connect(self.settings.migration_database_url)

    def entries(self) -> list[bytes]:
        """Return every entry of the log in its order."""
        with self.owner() as connection:
            rows = connection.execute("SELECT entries FROM log_bundle ORDER BY index").fetchall()
        joined = b"".join(row[0] for row in rows)
        return [joined[at : at + 32] for at in range(0, len(joined), 32)]

    def committed(self) -> Iterator[bytes]:
        """Yield the commitment of everything that belongs into the log."""
        with self.owner() as connection:
            for table in ("transfer", "log_event"):
                rows = connection.execute(f"SELECT commitment FROM {table}").fetchall()
                yield from (bytes(row[0]) for row in rows)
