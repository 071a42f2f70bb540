"""What `/metrics` says of what partners have not been told yet.

The courier is a process without a port, so whoever serves looks at the same database. A look costs
a query and anybody may ask, so one is kept for a while.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import psycopg
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service import clock
from service.errors import DomainError
from service.runtime import Runtime

LOOK_EVERY_S: Final = 1.0
LOOK_AT_MOST: Final = "SET LOCAL statement_timeout = '1s'"

# What rests, because its receiver asked for rest or failed a moment ago, is not overdue.
READ: Final = """
SELECT
    (SELECT count(*) FROM webhook_delivery WHERE state = 'waiting'),
    (SELECT coalesce(extract(epoch FROM %(now)s - min(next_attempt_at)), 0)
     FROM webhook_delivery JOIN webhook_endpoint AS endpoint ON endpoint.id = endpoint_id
     WHERE webhook_delivery.state = 'waiting' AND next_attempt_at <= %(now)s
       AND endpoint.state = 'active'
       AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= %(now)s)),
    (SELECT count(*) FROM partner_event WHERE seq IS NULL)
"""


class Look(NamedTuple):
    """What was found."""

    waiting: int
    overdue_s: float
    without_place: int


class WebhookWatch(Collector):
    """Gauges of one runtime's deliveries; none of them while the database does not answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._looking = threading.Lock()
        self._last: Look | None = None
        self._look_again_at = 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        look = self._recent_look()
        if look is None:
            return
        yield GaugeMetricFamily(
            "carbon_webhooks_waiting",
            "Deliveries that are due, on their way, or to be tried again.",
            value=look.waiting,
        )
        yield GaugeMetricFamily(
            "carbon_webhooks_overdue_seconds",
            "For how long the delivery that is most overdue could have been sent; 0: none is.",
            value=look.overdue_s,
        )
        yield GaugeMetricFamily(
            "carbon_events_without_place",
            "Committed events that nobody has read or sent yet.",
            value=look.without_place,
        )

    def _recent_look(self) -> Look | None:
        with self._looking:
            if time.monotonic() >= self._look_again_at:
                self._last = self._look()
                self._look_again_at = time.monotonic() + LOOK_EVERY_S
            return self._last

    def _look(self) -> Look | None:
        try:
            with self._runtime.database.raw_transaction() as connection:
                connection.execute(LOOK_AT_MOST)
                row = connection.execute(READ, {"now": clock.now()}).fetchone()
        except (psycopg.Error, DomainError):
            return None
        return Look(row[0], float(row[1]), row[2]) if row else None
