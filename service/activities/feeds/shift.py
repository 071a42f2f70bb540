"""Old records moved to the present by whole days, so that an old file can be played today."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from msgspec.structs import replace

from service.activities.feeds.lines import ActivityLine
from service.clock import day_of, today


def shifted(lines: Iterable[ActivityLine], to: date) -> Iterator[ActivityLine]:
    """Move all lines by the same number of days, so that the last act starts on the day `to`.

    Times of day, order and `external_id` stay: it is the same record, and imported again with
    another `to` it is a conflict with itself, not a second act. Days are those of Asia/Shanghai.
    All lines are held in memory, since the last day is known only at the end.

    Args:
        lines: of one import.
        to: the new last day; a line dated after today is nobody's last day (one wrong clock must
            not carry the whole file into the past) and is left for the intake to refuse.
    """
    held = list(lines)
    days = (day_of(line.started_at) for line in held)
    last_day = max((day for day in days if day <= today()), default=None)
    offset = to - last_day if last_day else timedelta(0)
    return (_moved(line, offset) for line in held)


def _moved(line: ActivityLine, offset: timedelta) -> ActivityLine:
    return replace(line, started_at=line.started_at + offset, ended_at=line.ended_at + offset)
