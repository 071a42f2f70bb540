"""The periods by which uses are counted."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.clock import SHANGHAI
from service.identity.consents.periods import ALIGNMENTS, PERIODS, PeriodicLimit


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("period", "now", "started_at"),
    [
        ("day", "2026-03-04T00:00", "2026-03-04T00:00"),
        ("day", "2026-03-04T23:59", "2026-03-04T00:00"),
        ("week", "2026-03-08T12:00", "2026-03-02T00:00"),
        ("month", "2026-03-31T12:00", "2026-03-01T00:00"),
        ("quarter", "2026-06-30T23:59", "2026-04-01T00:00"),
        ("year", "2026-12-31T23:59", "2026-01-01T00:00"),
    ],
)
def test_periods_of_the_calendar_begin_at_midnight_in_shanghai(
    period: str, now: str, started_at: str
) -> None:
    limit = PeriodicLimit(period, "calendar", 1)  # type: ignore[arg-type]  # a name of a period

    assert limit.started_at(shanghai("2026-01-15T10:00"), shanghai(now)) == shanghai(started_at)


@pytest.mark.parametrize(
    ("period", "now", "started_at"),
    [
        ("day", "2026-02-01T09:59", "2026-01-31T10:00"),
        ("day", "2026-02-01T10:00", "2026-02-01T10:00"),
        ("week", "2026-02-14T09:59", "2026-02-07T10:00"),
        ("month", "2026-02-28T09:59", "2026-01-31T10:00"),
        ("month", "2026-02-28T10:00", "2026-02-28T10:00"),
        ("month", "2026-03-31T09:59", "2026-02-28T10:00"),
        ("quarter", "2026-04-30T10:00", "2026-04-30T10:00"),
        ("year", "2027-01-31T09:59", "2026-01-31T10:00"),
    ],
)
def test_periods_of_a_consent_begin_when_it_did(period: str, now: str, started_at: str) -> None:
    limit = PeriodicLimit(period, "consent", 1)  # type: ignore[arg-type]  # a name of a period

    assert limit.started_at(shanghai("2026-01-31T10:00"), shanghai(now)) == shanghai(started_at)


MOMENTS = st.integers(1_750_000_000, 1_850_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(st.sampled_from(PERIODS), st.sampled_from(ALIGNMENTS), st.lists(MOMENTS, min_size=3))
def test_a_period_never_begins_later_than_now_nor_earlier_as_time_passes(
    period: str, alignment: str, moments: list[datetime]
) -> None:
    limit = PeriodicLimit(period, alignment, 1)  # type: ignore[arg-type]  # names of both
    valid_from, *later = sorted(moments)

    starts = [limit.started_at(valid_from, now) for now in later]

    assert all(start <= now for start, now in zip(starts, later, strict=True))
    assert starts == sorted(starts)
