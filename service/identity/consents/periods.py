"""The periods by which a consent's uses are counted: in the calendar, or from its first moment.

Days are days in Asia/Shanghai, weeks begin on Monday. A consent's first calendar period is
whatever is left of it, with the full number of uses.
"""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal, get_args

from service.clock import SHANGHAI, day_of, start_of

PeriodName = Literal["day", "week", "month", "quarter", "year"]
Alignment = Literal["consent", "calendar"]

PERIODS: Final = get_args(PeriodName)
ALIGNMENTS: Final = get_args(Alignment)

_DAYS: Final = {"day": 1, "week": 7}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class PeriodicLimit:
    """At most so many uses in each period."""

    period: PeriodName
    alignment: Alignment
    max_uses: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "PeriodicLimit":
        """Read a limit as it is stored and sent."""
        return cls(document["period"], document["alignment"], document["max_uses"])

    @property
    def document(self) -> dict[str, Any]:
        """The limit as it is stored and shown."""
        return {"period": self.period, "alignment": self.alignment, "max_uses": self.max_uses}

    def started_at(self, valid_from: datetime, now: datetime) -> datetime:
        """Return when the present period began.

        Args:
            valid_from: the consent's first moment.
            now: not before it.
        """
        if self.alignment == "calendar":
            return start_of(_first_day(self.period, day_of(now)))
        if self.period in _DAYS:
            length = timedelta(days=_DAYS[self.period])
            return valid_from + (now - valid_from) // length * length
        return _months_started_at(valid_from, now, _MONTHS[self.period])


def _first_day(period: PeriodName, day: date) -> date:
    match period:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)


def _months_started_at(valid_from: datetime, now: datetime, months: int) -> datetime:
    first, present = valid_from.astimezone(SHANGHAI), now.astimezone(SHANGHAI)
    passed = (present.year - first.year) * 12 + present.month - first.month
    whole = passed // months * months
    started = _months_after(first, whole)
    return started if started <= present else _months_after(first, whole - months)


def _months_after(moment: datetime, months: int) -> datetime:
    """Return the same day and time months later, or the month's last day if it is shorter."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    day = date(year, month + 1, min(moment.day, last))
    return datetime.combine(day, time(), SHANGHAI).replace(
        hour=moment.hour,
        minute=moment.minute,
        second=moment.second,
        microsecond=moment.microsecond,
    )
