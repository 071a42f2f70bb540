"""The sealer: one process that seals and publishes what has been committed, again and again.

It holds a lock of the database's for as long as its connection lives, and works on that connection
alone: who loses the lock can write no more. Others wait for it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import structlog

from service.db import APP_ROLE, CONNECT_ARGUMENTS, libpq_url
from service.errors import DomainError
from service.settings import Settings
from service.transparency.heads import Head, HeadOffice, found_origin
from service.transparency.key_events import require_known, write_key_events
from service.transparency.keys import LogKeys
from service.transparency.outside import Outside
from service.transparency.sealing import seal

log = structlog.get_logger()

SEAL_EVERY_S: Final = 0.7
"""With the time that a seal takes, a head is out well within two seconds of the commit."""
LOOK_FOR_LOCK_EVERY_S: Final = 0.5
TRY_AGAIN_AFTER_S: Final = 0.5
SAY_AGAIN_AFTER_S: Final = 60.0
LOCK: Final = 0x636172626F6E  # "carbon"

# A first seal may have to take millions, so no statement of the sealer's has a limit. The planner
# knows nothing of how transaction ids are spread, and would read the whole table for a few of them.
OPTIONS: Final = (
    f"-c role={APP_ROLE} -c timezone=UTC -c statement_timeout=0 -c lock_timeout=5000"
    " -c enable_seqscan=off -c max_parallel_workers_per_gather=0 -c work_mem=64MB"
)


class Sealer:
    """Seals one database's log."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._outside = Outside(settings.outside)
        self._keys_folder = settings.home / "keys"
        self._office: HeadOffice | None = None
        self._stopping = threading.Event()
        self._complaint = ""
        self._complained_at = 0.0

    def run(self) -> None:
        """Work until `stop`; whatever fails is said and tried again."""
        while not self._stopping.is_set():
            try:
                with sealing_connection(self._settings) as connection:
                    self._work_on(connection)
            except (psycopg.Error, DomainError) as error:
                self._complain(error)
                self._stopping.wait(TRY_AGAIN_AFTER_S)

    def stop(self) -> None:
        """Let `run` return after the present cycle."""
        self._stopping.set()

    def cycle(self, connection: psycopg.Connection[Any]) -> Head | None:
        """Seal and publish once; return the new head, if there is one.

        Raises:
            HistoryDiffers: the database does not continue what was signed; nothing is sealed.
        """
        office = self._office_now(connection)
        office.check_history(connection)
        seal(connection)
        return office.publish(connection)

    def _work_on(self, connection: psycopg.Connection[Any]) -> None:
        if not self._wait_for_lock(connection):
            return
        log.info("sealer_started")
        while not self._stopping.is_set():
            began_at = time.monotonic()
            self.cycle(connection)
            self._complaint = ""
            self._stopping.wait(max(0.0, SEAL_EVERY_S - (time.monotonic() - began_at)))

    def _wait_for_lock(self, connection: psycopg.Connection[Any]) -> bool:
        while not self._stopping.is_set():
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
            if row and row[0]:
                return True
            self._stopping.wait(LOOK_FOR_LOCK_EVERY_S)
        return False

    def _office_now(self, connection: psycopg.Connection[Any]) -> HeadOffice:
        """Return the office with the keys as they are in their file now."""
        keys = LogKeys.at(self._keys_folder)
        if self._office is None or self._office.keys != keys:
            with connection.transaction():
                origin = found_origin(connection, self._settings.log_origin)
                require_known(connection, keys, origin)
                write_key_events(connection, keys, origin)
            self._office = HeadOffice(origin, keys, self._outside)
        return self._office

    def _complain(self, error: Exception) -> None:
        """Say what is wrong; the same thing once a minute."""
        code = error.code if isinstance(error, DomainError) else "database-unavailable"
        now = time.monotonic()
        if code != self._complaint or now - self._complained_at > SAY_AGAIN_AFTER_S:
            self._complaint, self._complained_at = code, now
            reason = str(error) if isinstance(error, DomainError) else type(error).__name__
            log.error("sealer_stands_still", code=code, reason=reason)


@contextmanager
def sealing_connection(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for the sealer: no open transaction, no limit to a statement's time."""
    with psycopg.connect(
        libpq_url(settings.database_url), autocommit=True, **CONNECT_ARGUMENTS, options=OPTIONS
    ) as connection:
        yield connection
