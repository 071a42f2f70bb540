"""Until when something has to happen: in seconds, or in the working days of mainland China.

Working days follow the State Council's calendar, weekends that are worked included, as the
`holidays` library knows it; a year that is not announced yet has its weekends and fixed days only.
"""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

import holidays

from service import clock
from service.rewards.offers.terms import Timers

ASK_FIRST_AFTER: Final = timedelta(minutes=1)
ASK_AT_LEAST_EVERY: Final = timedelta(hours=6)


@lru_cache(maxsize=1)
def _calendar() -> holidays.HolidayBase:
    return holidays.country_holidays("CN")


def after_business_days(moment: datetime, days: int) -> datetime:
    """Return the end of the so many-th working day after a moment's day, in Asia/Shanghai."""
    last: date = _calendar().get_nth_working_day(clock.day_of(moment), days)
    return clock.start_of(last + timedelta(days=1))


def submission_deadline(moment: datetime, timers: Timers) -> datetime:
    """Return until when the partner has to answer what is submitted at a moment."""
    if timers.submit_s is not None:
        return moment + timedelta(seconds=timers.submit_s)
    return after_business_days(moment, timers.submit_business_days or 0)


def next_inquiry(moment: datetime, asked: int) -> datetime:
    """Return when a partner is asked again that was asked so many times: from 1 min to 6 h."""
    wait: timedelta = min(ASK_FIRST_AFTER * (1 << min(asked, 20)), ASK_AT_LEAST_EVERY)
    return moment + wait
