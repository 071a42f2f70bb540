"""The latest statistics, made once a minute for everybody and not for each who asks."""

import hashlib
import threading
import time

import msgspec

from service import clock
from service.redis import RedisError
from service.reports.statistics import statistics
from service.runtime import Runtime

SHARED_FOR_S = 50
REMEMBERED_FOR_S = 10
"""Together a minute: the oldest that anybody is told."""


class LatestStatistics:
    """Knows the statistics of one database: from memory, from Redis, or by adding up."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._body: bytes | None = None
        self._fresh_until_s = 0.0
        self._making = threading.Lock()
        database = hashlib.sha256(runtime.settings.database_url.encode()).hexdigest()
        self.key = f"statistics/{database}"

    def body(self) -> bytes:
        """Return the statistics as JSON; while they are made anew, the last ones."""
        last = self._body
        if last is not None and time.monotonic() < self._fresh_until_s:
            return last
        if not self._making.acquire(blocking=last is None):
            assert last is not None  # noqa: S101  else the lock was waited for
            return last
        try:
            return self._renewed()
        finally:
            self._making.release()

    def _renewed(self) -> bytes:
        if self._body is not None and time.monotonic() < self._fresh_until_s:
            return self._body  # another thread has just done it
        body = self._shared()
        if body is None:
            body, remembered_s = self._made(), SHARED_FOR_S + REMEMBERED_FOR_S
            self._share(body)
        else:
            remembered_s = REMEMBERED_FOR_S
        self._body, self._fresh_until_s = body, time.monotonic() + remembered_s
        return body

    def _made(self) -> bytes:
        with self._runtime.database.raw_transaction() as connection:
            return msgspec.json.encode(statistics(connection, clock.today(), clock.now()))

    def _shared(self) -> bytes | None:
        try:
            found = self._runtime.redis.get(self.key)
        except RedisError:
            return None
        return found if isinstance(found, bytes) else None

    def _share(self, body: bytes) -> None:
        try:
            self._runtime.redis.set(self.key, body, ex=SHARED_FOR_S)
        except RedisError:
            return  # each process makes its own while Redis is away
