"""What time alone does to redemptions: reservations lapse, graces end, locks mature.

What was submitted never ends by time alone: its partner is asked first, see `janitor`. Each
redemption is looked at in a transaction of its own, under its row's lock; whoever is stopped
half-way leaves the rest to the next run.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
import structlog

from service import clock
from service.db import Database
from service.errors import DomainError
from service.pipelining import Connection
from service.retries import retried
from service.rewards.redemptions.ending import close, expire
from service.rewards.redemptions.maturing import mature
from service.rewards.redemptions.steps import COLUMNS, SERVICE, Redemption, Written
from service.runtime import Runtime

log = structlog.get_logger()

AT_A_TIME: Final = 500
MOST: Final = 20_000
"""Redemptions in one run, so that it ends; the next one is a minute away."""

# Those whose partner has to be asked are the janitor's, and a dispute waits for people.
NEXT_DUE: Final = """
SELECT deadline_at, id FROM redemption
WHERE deadline_at <= %(now)s AND state IN ('reserved', 'expired', 'captured', 'settled',
                                           'partially_reversed')
  AND (deadline_at, id) > (%(after)s::timestamptz, %(last)s::uuid)
ORDER BY deadline_at, id LIMIT %(most)s
"""

LOCK_DUE: Final = f"""
SELECT {COLUMNS} FROM redemption WHERE id = %s AND deadline_at <= %s FOR UPDATE SKIP LOCKED
"""

FIRST: Final = ("-infinity", UUID(int=0))


def _lapse(connection: Connection, redemption: Redemption) -> Written:
    return expire(connection, redemption, SERVICE, {})


def _close(connection: Connection, redemption: Redemption) -> Written:
    return close(connection, redemption, SERVICE)


def _mature(connection: Connection, redemption: Redemption) -> Written:
    return mature(connection, redemption, SERVICE)


WHAT_TIME_DOES: Final[Mapping[str, Callable[[Connection, Redemption], Written]]] = {
    "reserved": _lapse,
    "expired": _close,
    "captured": _mature,
    "settled": _mature,
    "partially_reversed": _mature,
}


def run_due(runtime: Runtime) -> int:
    """Let every redemption whose time has come take its step; return how many did.

    One that fails is logged and leaves the others alone; it is due again in the next run.
    """
    return sum(_tried(runtime.database, due) for due in _due(runtime.database))


def _due(database: Database) -> Iterator[UUID]:
    """Yield what is due, the longest overdue first, some at a time."""
    after: tuple[datetime | str, UUID] = FIRST
    now = clock.now()
    for _ in range(0, MOST, AT_A_TIME):
        asked = {"now": now, "after": after[0], "last": after[1], "most": AT_A_TIME}
        with database.raw_transaction() as connection:
            found = connection.execute(NEXT_DUE, asked).fetchall()
        yield from (redemption_id for _, redemption_id in found)
        if len(found) < AT_A_TIME:
            return
        after = found[-1]


def _tried(database: Database, redemption_id: UUID) -> bool:
    try:
        return retried(lambda: _take_step(database, redemption_id))
    except (DomainError, psycopg.Error) as error:
        # The error's own words may quote a row, and so say who she is.
        reason = type(error).__name__
        log.warning("redemption_timer_failed", redemption_id=str(redemption_id), reason=reason)
        return False


def _take_step(database: Database, redemption_id: UUID) -> bool:
    """Take the step that is due; False: somebody else is at it, or it is due no more."""
    with database.pipelined_transaction() as connection:
        row = connection.execute(LOCK_DUE, (redemption_id, clock.now())).fetchone()
        if row is None:
            return False
        redemption = Redemption._make(row)
        step = WHAT_TIME_DOES.get(redemption.state)
        if step is None:
            return False
        step(connection, redemption)
        return True
