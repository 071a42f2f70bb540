"""Dates for a file of hours whose rows name only month, weekday and hour."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from typing import NamedTuple

FIRST_DAY, FIRST_HOUR = date(2016, 7, 31), 24
"""The first row of the published set is the hour ending 2016-07-31 24:00."""
LONGEST_GAP_DAYS = 400
"""How far the clock looks for an hour that fits after a hole: every month comes by in a year."""


class Hour(NamedTuple):
    """What a row says of its time: month 1–12, weekday 1 (Monday) – 7, hour ending 1–24."""

    month: int
    weekday: int
    hour: int


Moment = tuple[date, int]
"""A day and the hour of it that ends, 1–24."""


class HourClock:
    """The clock of one home.

    Each row is the hour after the row before. A row that says otherwise is not believed: a wrong
    one among right ones keeps its place and is dropped. When the row after it continues what it
    said, rows are missing, and the clock moves on to the next hour that fits: the right one after
    a hole of less than a week, the right one again from the next month after a longer hole. A file
    that begins elsewhere loses its first row and is dated from the first hour that fits after the
    published set's start.
    """

    def __init__(self) -> None:
        self._expected: Moment = (FIRST_DAY, FIRST_HOUR)
        self._stray: Hour | None = None
        self._last: Moment = (FIRST_DAY, FIRST_HOUR - 1)

    def day_of(self, said: Hour) -> date | None:
        """Return the day of the next row, or None where it cannot be believed."""
        found = self._fitting(said)
        self._stray = None if found else said
        self._expected = _after(found or self._expected)
        if found is None:
            return None
        self._last = found
        return found[0]

    def _fitting(self, said: Hour) -> Moment | None:
        if _says(self._expected) == said:
            return self._expected
        if self._stray is None or not _follows(self._stray, said):
            return None
        days = islice(_days_from(self._last[0]), LONGEST_GAP_DAYS)
        moments = ((day, said.hour) for day in days)
        return next((at for at in moments if at > self._last and _says(at) == said), None)


def _says(moment: Moment) -> Hour:
    day, hour = moment
    return Hour(day.month, day.isoweekday(), hour)


def _after(moment: Moment) -> Moment:
    day, hour = moment
    return (day, hour + 1) if hour < 24 else (day + timedelta(days=1), 1)  # noqa: PLR2004  a day


def _follows(before: Hour, after: Hour) -> bool:
    """Say whether two rows are neighbours; the month is left to the search, which knows dates."""
    if before.hour < 24:  # noqa: PLR2004  hours of a day
        return after == (before.month, before.weekday, before.hour + 1)
    return (after.weekday, after.hour) == (before.weekday % 7 + 1, 1)


def _days_from(day: date) -> Iterator[date]:
    while True:
        yield day
        day += timedelta(days=1)
