"""What `/metrics` says of what partners have not been told yet.

The courier is a process without a port, so whoever serves looks at the same database.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psycopg
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from service import clock
from service.web.watch import Watch

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


class WebhookWatch(Watch[Look]):
    """Gauges of one runtime's deliveries."""

    def look(self, connection: psycopg.Connection[Any]) -> Look:
        """Return what waits."""
        row = connection.execute(READ, {"now": clock.now()}).fetchone()
        assert row is not None  # noqa: S101  it counts
        return Look(row[0], float(row[1]), row[2])

    def gauges(self, look: Look) -> Iterator[Metric]:
        """Yield how much waits, and for how long."""
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
