"""Booking the expiry of lapsed lots."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import clock
from service.activities.account import account_of
from service.ledger.errors import ExpiryInFuture
from service.ledger.expiry import BookedRun, expire_lapsed_lots
from service.ledger.statement import statement_of
from service.runtime import Runtime
from tests.ledger.conftest import issue

TODAY = clock.today()
YESTERDAY = TODAY - timedelta(days=1)
TOMORROW = TODAY + timedelta(days=1)


def account(runtime: Runtime, citizen_id: UUID, on: date = TODAY) -> bytes:
    with runtime.database.one_statement() as connection:
        return account_of(connection, citizen_id, on).as_json()


def expiries(runtime: Runtime, citizen_id: UUID) -> list[tuple[date, int, int]]:
    with runtime.database.raw_transaction() as connection:
        lines = statement_of(connection, citizen_id, rows=100)
    return sorted(
        (line.expires_on, line.points, line.reduction_g) for line in lines if line.kind == "expire"
    )


class TestExpiring:
    def test_books_what_was_left_in_lapsed_lots(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 5, 50, YESTERDAY)
        issue(fresh_runtime, citizen, 7, 70, TODAY)

        run = expire_lapsed_lots(fresh_runtime.database, TODAY)

        assert run == BookedRun(lots=1, points=5, reduction_g=50)
        assert expiries(fresh_runtime, citizen) == [(YESTERDAY, 5, 50)]

    def test_changes_nothing_that_a_citizen_reads(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        for points, day in enumerate((YESTERDAY, TODAY, TOMORROW), 1):
            issue(fresh_runtime, citizen, points, points * 10, day)
        before = account(fresh_runtime, citizen)

        expire_lapsed_lots(fresh_runtime.database, TODAY)

        assert account(fresh_runtime, citizen) == before

    def test_a_second_time_books_nothing(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 5, 50, YESTERDAY)
        expire_lapsed_lots(fresh_runtime.database, TODAY)

        assert expire_lapsed_lots(fresh_runtime.database, TODAY) == BookedRun()

    def test_books_grams_without_points(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 0, 50, YESTERDAY)

        assert expire_lapsed_lots(fresh_runtime.database, TODAY) == BookedRun(1, 0, 50)

    def test_books_what_falls_into_a_lapsed_lot_later(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 5, 50, YESTERDAY)
        expire_lapsed_lots(fresh_runtime.database, TODAY)
        issue(fresh_runtime, citizen, 5, 50, YESTERDAY)

        run = expire_lapsed_lots(fresh_runtime.database, TODAY)

        assert run == BookedRun(1, 5, 50)
        assert len(expiries(fresh_runtime, citizen)) == 2

    def test_by_several_at_once_books_everything_once(self, fresh_runtime: Runtime) -> None:
        for _ in range(40):
            issue(fresh_runtime, uuid4(), 5, 50, YESTERDAY)

        with ThreadPoolExecutor(4) as together:
            runs = together.map(
                lambda chunk: expire_lapsed_lots(
                    fresh_runtime.database, TODAY, accounts_in_chunk=chunk
                ),
                (1, 3, 7, 2_000),
            )
            booked = sum(run.points for run in runs)

        assert booked == 40 * 5

    def test_of_a_day_to_come_is_refused(self, fresh_runtime: Runtime) -> None:
        with pytest.raises(ExpiryInFuture):
            expire_lapsed_lots(fresh_runtime.database, TOMORROW)

    def test_as_of_an_earlier_day_leaves_later_lots(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 5, 50, YESTERDAY)

        assert expire_lapsed_lots(fresh_runtime.database, YESTERDAY) == BookedRun()


LOTS = st.lists(
    st.tuples(
        st.integers(0, 4),  # whose
        st.integers(0, 50),
        st.integers(1, 500),
        st.sampled_from([YESTERDAY - timedelta(days=90), YESTERDAY, TODAY, TOMORROW]),
    ),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lots=LOTS)
def test_many_accounts_at_once_expire_as_one_by_one(
    lots: list[tuple[int, int, int, date]], fresh_runtime: Runtime
) -> None:
    crowd = [uuid4() for _ in range(5)]
    others = [uuid4() for _ in range(5)]
    for who, points, grams, day in lots:
        issue(fresh_runtime, crowd[who], points, grams, day)

    at_once = expire_lapsed_lots(fresh_runtime.database, TODAY)
    for who, points, grams, day in lots:
        issue(fresh_runtime, others[who], points, grams, day)
    one_by_one = expire_lapsed_lots(fresh_runtime.database, TODAY, accounts_in_chunk=1)

    assert at_once == one_by_one
    for mine, theirs in zip(crowd, others, strict=True):
        assert expiries(fresh_runtime, mine) == expiries(fresh_runtime, theirs)
        assert account(fresh_runtime, mine) == account(fresh_runtime, theirs)
