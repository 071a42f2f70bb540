"""What `/metrics` says of the log: how long its newest head is behind, and why it stands still.

The sealer is a process without a port, so whoever serves looks at the same database and the same
head outside as it does. A look costs a few queries and anybody may ask, so one is kept for a while.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psycopg
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.errors import DomainError
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

LOOK_EVERY_S: Final = 1.0
LOOK_AT_MOST: Final = "SET LOCAL statement_timeout = '1s'"

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


class LogWatch(Collector):
    """Gauges of one runtime's log; none of them while the database does not answer."""

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
                return Look(_unpublished_s(connection), _standstill(connection, self._runtime))
        except (psycopg.Error, DomainError):
            return None


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
