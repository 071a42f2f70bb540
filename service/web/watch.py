"""Gauges that are found in the database: looked for now and then, however often somebody asks."""

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

import psycopg
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.errors import DomainError
from service.runtime import Runtime

LOOK_EVERY_S: Final = 1.0
LOOK_AT_MOST: Final = "SET LOCAL statement_timeout = '1s'"

Look = TypeVar("Look")


class Watch(Collector, Generic[Look]):
    """Gauges of one runtime; none of them while the database does not answer.

    A look costs a few queries and anybody may ask for metrics, so one is kept for a while.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._looking = threading.Lock()
        self._last: Look | None = None
        self._look_again_at = 0.0

    @abstractmethod
    def look(self, connection: psycopg.Connection[Any]) -> Look:
        """Return what there is to be seen now."""

    @abstractmethod
    def gauges(self, look: Look) -> Iterator[Metric]:
        """Yield what is said of it."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        look = self._recent_look()
        if look is not None:
            yield from self.gauges(look)

    def _recent_look(self) -> Look | None:
        with self._looking:
            if time.monotonic() >= self._look_again_at:
                self._last = self._look()
                self._look_again_at = time.monotonic() + LOOK_EVERY_S
            return self._last

    def _look(self) -> Look | None:
        try:
            with self.runtime.database.raw_transaction() as connection:
                connection.execute(LOOK_AT_MOST)
                return self.look(connection)
        except (psycopg.Error, DomainError):
            return None
