"""What time it is: in UTC for the books, in Asia/Shanghai for the word "day"."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

_shift = timedelta(0)


def now() -> datetime:
    """Return the present moment, aware and in UTC."""
    return datetime.now(UTC) + _shift


def today() -> date:
    """Return the present day in Asia/Shanghai."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """Return the Asia/Shanghai day on which an aware moment falls."""
    return moment.astimezone(SHANGHAI).date()


def start_of(day: date) -> datetime:
    """Return the first moment of an Asia/Shanghai day, in UTC."""
    return datetime.combine(day, time.min, SHANGHAI).astimezone(UTC)


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Let this process live earlier or later: for tests and drills, never for serving."""
    global _shift  # noqa: PLW0603  the clock is the one thing a process has exactly one of
    before = _shift
    _shift = before + by
    try:
        yield
    finally:
        _shift = before
