"""EV charging sessions of workplace stations: energy charged becomes energy driven.

Times carry no offset, and the sites lie in more than one zone: they are read as UTC, which keeps
every duration right and may put a session on a neighbouring day. Years are written 0014 for 2014.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path

from service.activities.feeds import fields
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts, one_line_per_row
from service.activities.feeds.tables import (
    Row,
    Table,
    UnusableRowError,
    recognised,
    required,
    rows_of,
)

SESSIONS = Table("charging sessions", ("sessionid", "kwhtotal", "created", "ended", "userid"))

HIGHEST_KWH = 1_000
"""Above this no car was charged; a plausibility bound, not a factor."""


def read(paths: Sequence[Path], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Yield one charging session a row."""
    files = required(recognised(paths, (SESSIONS,)), SESSIONS)
    return one_line_per_row(rows_of(files, SESSIONS, counts), _session, counts)


def _session(row: Row) -> ActivityLine:
    session, kwh, created, ended, driver = row
    energy_wh = math.floor(fields.amount(kwh, "energy", HIGHEST_KWH) * 1000)
    if energy_wh == 0:
        raise UnusableRowError("energy-zero")
    started_at, ended_at = fields.period(_with_century(created), _with_century(ended), UTC)
    return ActivityLine(
        external_id=fields.identifier(session, "record"),
        account_ref=fields.identifier(driver, "account"),
        behavior="ev_drive",
        started_at=started_at,
        ended_at=ended_at,
        activity_data={"energy_wh": energy_wh},
    )


def _with_century(time: str) -> str:
    return f"20{time[2:]}" if time.startswith("00") else time


FEED = Feed(
    name="ev-sessions",
    description="EV charging sessions, one row a session",
    behaviors=("ev_drive",),
    files=(SESSIONS,),
    read=read,
)
