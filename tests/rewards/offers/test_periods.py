"""A period begins with a day of Asia/Shanghai and ends with the next one's first."""

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rewards.offers.periods import EVER, next_period_start, period_start
from service.rewards.offers.terms import Period

PERIODS: list[Period] = list(get_args(Period))


@pytest.mark.parametrize(
    ("period", "on", "start", "after"),
    [
        ("day", "2026-12-31", "2026-12-31", "2027-01-01"),
        ("week", "2026-11-20", "2026-11-16", "2026-11-23"),
        ("week", "2027-01-03", "2026-12-28", "2027-01-04"),
        ("month", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("month", "2026-12-31", "2026-12-01", "2027-01-01"),
        ("quarter", "2026-09-30", "2026-07-01", "2026-10-01"),
        ("quarter", "2026-12-01", "2026-10-01", "2027-01-01"),
        ("year", "2026-06-30", "2026-01-01", "2027-01-01"),
    ],
)
def test_a_period_begins_and_ends_as_in_the_calendar(
    period: Period, on: str, start: str, after: str
) -> None:
    day = date.fromisoformat(on)

    assert period_start(period, day).isoformat() == start
    assert next_period_start(period, day) == date.fromisoformat(after)


def test_the_total_has_one_period() -> None:
    assert period_start("total", date(2026, 11, 20)) == EVER
    assert next_period_start("total", date(2026, 11, 20)) is None


@given(
    st.sampled_from([each for each in PERIODS if each != "total"]),
    st.dates(date(2020, 1, 1), date(2099, 12, 31)),
)
def test_every_day_is_in_one_period(period: Period, on: date) -> None:
    start, after = period_start(period, on), next_period_start(period, on)

    assert after is not None
    assert start <= on < after
    assert period_start(period, after) == after
    assert period_start(period, after - timedelta(days=1)) == start
