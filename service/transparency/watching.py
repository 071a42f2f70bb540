"""What `/metrics` says of the log: how long its newest head is behind, and why it stands still.

The sealer is a process without a port, so whoever serves looks at the same database and the same
head outside as it does.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psycopg
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from service.runtime import Runtime
from service.transparency.errors import (
    HistoryDiffers,
    LogKeysMissing,
    LogRenamed,
    OutsideUnusable,
    TransactionsWentBack,
)
from service.transparency.heads import ORIGIN, HeadOffice, origin_of
from service.transparency.key_events import require_known
from service.transparency.keys import LogKeys
from service.transparency.outside import Outside
from service.transparency.sealing import refuse_renumbering
from service.web.watch import Watch

# The first by transaction is within moments the oldest, and one step in the index, however many
# wait. The age of what no head is over also shows a head that cannot be kept outside.
UNPUBLISHED_S: Final = """
WITH published AS (
    SELECT coalesce((
        SELECT until_xact FROM log_head JOIN log_seal USING (size) ORDER BY size DESC LIMIT 1
    ), '0'::xid8) AS until_xact
)
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)
FROM (
    (SELECT recorded_at FROM transfer
     WHERE xact_id >= (SELECT until_xact FROM published) ORDER BY xact_id LIMIT 1)
    UNION ALL
    (SELECT recorded_at FROM log_event
     WHERE xact_id >= (SELECT until_xact FROM published) ORDER BY xact_id LIMIT 1)
) AS entry
"""

REASONS: Final = (HistoryDiffers, TransactionsWentBack, OutsideUnusable, LogRenamed, LogKeysMissing)
"""For these an operator has to do something (docs/operating.md)."""


class Look(NamedTuple):
    """The log as it was found."""

    unpublished_s: float
    standstill: str
    """The code of the reason; empty: it goes on."""


class LogWatch(Watch[Look]):
    """Gauges of one runtime's log."""

    def look(self, connection: psycopg.Connection[Any]) -> Look:
        """Return how the log stands."""
        return Look(_unpublished_s(connection), _standstill(connection, self.runtime))

    def gauges(self, look: Look) -> Iterator[Metric]:
        """Yield its age, and why it stands still."""
        yield GaugeMetricFamily(
            "carbon_log_unpublished_seconds",
            "Age of the oldest entry that no published head of the log is over; 0: there is none.",
            value=look.unpublished_s,
        )
        standstill = GaugeMetricFamily(
            "carbon_log_stands_still",
            "1: for this reason nothing is sealed or signed any more.",
            labels=["code"],
        )
        for reason in REASONS:
            standstill.add_metric([reason.code], float(reason.code == look.standstill))
        yield standstill


def _unpublished_s(connection: psycopg.Connection[Any]) -> float:
    row = connection.execute(UNPUBLISHED_S).fetchone()
    return float(row[0]) if row else 0.0


def _standstill(connection: psycopg.Connection[Any], runtime: Runtime) -> str:
    """Return why the sealer refuses to go on, as it would find out itself."""
    if connection.execute(ORIGIN).fetchone() is None:
        return ""
    settings = runtime.settings
    try:
        origin = origin_of(connection, settings.log_origin)
        keys = LogKeys.at(settings.home / "keys")
        require_known(connection, keys, origin)
        HeadOffice(origin, keys, Outside(settings.outside)).check_history(connection)
        refuse_renumbering(connection)
    except REASONS as reason:
        return reason.code
    return ""
