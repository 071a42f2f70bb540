"""Somebody who does not keep to our order of locks."""

import time
from typing import Any, Final

import psycopg

from service.runtime import Runtime

LOCK: Final = "SELECT FROM account WHERE citizen_id = %s FOR UPDATE"

COUNT_WAITING: Final = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity s USING (pid)
WHERE NOT l.granted AND s.datname = current_database()
"""


def a_rival(runtime: Runtime) -> psycopg.Connection[Any]:
    """Return a connection of its own; who meets it at two locks is the one that is broken off."""
    rival = psycopg.connect(runtime.settings.migration_database_url or "")
    rival.execute("SET LOCAL deadlock_timeout = '20s'")
    return rival


def wait_until_one_waits(runtime: Runtime) -> None:
    """Wait for the first who comes to a lock that somebody holds."""
    deadline = time.monotonic() + 10
    while not _waiting(runtime):
        assert time.monotonic() < deadline, "nobody came to wait"
        time.sleep(0.01)


def _waiting(runtime: Runtime) -> int:
    with runtime.database.raw_transaction() as connection:
        return int(connection.execute(COUNT_WAITING).fetchall()[0][0])
