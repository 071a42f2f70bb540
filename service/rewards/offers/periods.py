"""The periods by which caps count, by the calendar of Asia/Shanghai."""

from datetime import date, timedelta
from typing import Final

from service.rewards.offers.terms import Period

EVER: Final = date(1970, 1, 1)
"""When the one period of `total` began."""
MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
DECEMBER: Final = 12


def period_start(period: Period, on: date) -> date:
    """Return the first day of the period that a day is in; weeks begin on Mondays.

    Args:
        period: as a cap names it.
        on: a day in Asia/Shanghai.
    """
    if period == "total":
        return EVER
    if period == "day":
        return on
    if period == "week":
        return on - timedelta(days=on.weekday())
    months = MONTHS[period]
    return date(on.year, (on.month - 1) // months * months + 1, 1)


def next_period_start(period: Period, on: date) -> date | None:
    """Return the first day of the period after; None where none comes after."""
    start = period_start(period, on)
    if period == "total":
        return None
    if period in {"day", "week"}:
        return start + timedelta(days=1 if period == "day" else 7)
    month = start.month + MONTHS[period]
    return date(start.year + (month > DECEMBER), (month - 1) % DECEMBER + 1, 1)
