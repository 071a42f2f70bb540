from datetime import UTC, date, datetime, timedelta

from service.activities.feeds import ActivityLine, shifted
from service.clock import day_of, today


def a_line(started_at: datetime, *, lasting: timedelta = timedelta(minutes=5)) -> ActivityLine:
    return ActivityLine("x", "u", "metro_ride", started_at, started_at + lasting, {})


class TestShifting:
    def test_moves_the_last_day_to_the_day_given(self) -> None:
        first = a_line(datetime(2018, 8, 30, 1, 2, 3, tzinfo=UTC))
        last = a_line(datetime(2018, 8, 31, 23, 30, tzinfo=UTC))  # 1 September in Shanghai

        moved = list(shifted([last, first], date(2026, 5, 10)))

        assert [day_of(line.started_at) for line in moved] == [date(2026, 5, 10), date(2026, 5, 8)]
        assert [line.started_at.time() for line in moved] == [
            last.started_at.time(),
            first.started_at.time(),
        ]

    def test_keeps_everything_but_the_day(self) -> None:
        line = a_line(datetime(2018, 8, 30, 1, tzinfo=UTC), lasting=timedelta(hours=30))

        (moved,) = shifted([line], date(2026, 5, 10))

        assert moved.ended_at - moved.started_at == timedelta(hours=30)
        assert (moved.external_id, moved.account_ref) == (line.external_id, line.account_ref)

    def test_is_not_led_astray_by_a_clock_in_the_future(self) -> None:
        honest = a_line(datetime(2018, 8, 30, 1, tzinfo=UTC))
        wrong = a_line(datetime(2099, 8, 30, 1, tzinfo=UTC))

        moved = list(shifted([honest, wrong], today()))

        assert [day_of(line.started_at) <= today() for line in moved] == [True, False]

    def test_of_nothing_is_nothing(self) -> None:
        assert list(shifted([], date(2026, 5, 10))) == []
