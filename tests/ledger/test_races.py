"""Many callers at once: one effect for an id, no point twice, no deadlock, and an order."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.db import Database
from service.ledger.accounts import lock_accounts
from service.ledger.carrying import extend_lots
from service.ledger.clawback import Claim, invalidate
from service.ledger.holds import hold
from service.ledger.issuing import Issue, issue_lots
from service.ledger.postings import Outcome
from service.runtime import Runtime
from tests.ledger.wallets import Wallet, days_from_now, refusal_of

SOON, LATER = days_from_now(10), days_from_now(100)
AT_ONCE = 16


@pytest.fixture
def busy_runtime(runtime: Runtime) -> Iterator[Runtime]:
    """The same database with a connection for each caller, so that they wait for locks only."""
    database = Database(runtime.database.url, size=AT_ONCE)
    try:
        yield replace(runtime, database=database)
    finally:
        database.close()


def together(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return list(crowd.map(lambda act: act(), acts))


class TestFiftyCallers:
    def test_with_one_id_have_one_effect(self, busy_runtime: Runtime) -> None:
        wallet = Wallet.with_lots(busy_runtime, (100, 370, SOON))
        chosen = uuid4()

        outcomes: list[Outcome] = together([lambda: wallet.hold(2, posting_id=chosen)] * 50)

        assert sum(outcome.is_repeat for outcome in outcomes) == 49
        assert {outcome.lines for outcome in outcomes} == {outcomes[0].lines}
        assert wallet.at("held") == [(SOON, 2, 7)]

    def test_with_the_whole_balance_have_one_that_gets_it(self, busy_runtime: Runtime) -> None:
        wallet = Wallet.with_lots(busy_runtime, (30, 95, LATER), (70, 175, SOON))

        outcomes: list[Outcome] = together([lambda: wallet.hold(100)] * 50)

        codes = Counter(refusal_of(outcome) for outcome in outcomes)
        assert codes == {None: 1, "insufficient-points": 49}
        assert wallet.at("held") == [(SOON, 70, 175), (LATER, 30, 95)]

    def test_with_the_whole_hold_have_one_that_gets_it(self, busy_runtime: Runtime) -> None:
        wallet = Wallet.with_lots(busy_runtime, (30, 95, LATER))
        held = wallet.hold(30)

        acts = [lambda: wallet.capture(held.id, 30), lambda: wallet.release(held.id)] * 25
        outcomes: list[Outcome] = together(acts)

        codes = Counter(refusal_of(outcome) for outcome in outcomes)
        assert codes == {None: 1, "hold-exceeded": 49}
        assert wallet.at("held") == []

    def test_with_one_point_each_take_every_gram_once(self, busy_runtime: Runtime) -> None:
        wallet = Wallet.with_lots(busy_runtime, (30, 95, LATER), (10, 41, SOON))

        outcomes: list[Outcome] = together([lambda: wallet.retire(1)] * 50)

        assert sum(outcome.reduction_g for outcome in outcomes) == 95 + 41
        assert wallet.at("retired") == [(SOON, 10, 41), (LATER, 30, 95)]
        assert wallet.at("available") == []

    def test_of_one_citizen_are_recorded_one_after_another(self, busy_runtime: Runtime) -> None:
        wallet = Wallet.with_lots(busy_runtime, (100, 370, SOON))

        together([lambda: wallet.retire(1)] * 50)

        (moments,) = wallet.read(
            "SELECT count(DISTINCT recorded_at) FROM transfer WHERE citizen_id = %s",
            wallet.citizen_id,
        )
        assert moments == (51,)


class TestSeveralCitizensInOppositeOrder:
    def test_are_given_extended_and_clawed_back_without_deadlock(
        self, busy_runtime: Runtime
    ) -> None:
        town = [Wallet(busy_runtime) for _ in range(30)]
        rounds = [self.a_round(busy_runtime, town[::step]) for step in (1, -1) for _ in range(20)]
        extension = partial(extend_lots, busy_runtime.database, SOON, LATER)

        together([*rounds[:20], extension, *rounds[20:], extension])

        for wallet in town:
            assert wallet.owed() == (0, 0)
            assert wallet.at("available") == []
            assert sum(points for _, points, _ in wallet.at("invalidated")) == 40 * 5

    @staticmethod
    def a_round(runtime: Runtime, town: Sequence[Wallet]) -> Callable[[], None]:
        """Issue to everybody in one transaction and invalidate it in the next."""
        ids = [uuid4() for _ in town]
        whose = [wallet.citizen_id.hex for wallet in town]
        issues = [
            Issue(citizen, each.hex, SOON.isoformat(), 5, 17)
            for citizen, each in zip(whose, ids, strict=True)
        ]
        claims = [Claim(citizen, each.hex) for citizen, each in zip(whose, ids, strict=True)]

        def act() -> None:
            with runtime.database.raw_transaction() as connection:
                issue_lots(connection, lock_accounts(connection, whose), issues)
            with runtime.database.raw_transaction() as connection:
                invalidate(connection, lock_accounts(connection, whose), claims)

        return act


class TestTheOrderOfACitizensTransfers:
    def moments(self, wallet: Wallet) -> list[datetime]:
        rows = wallet.read(
            "SELECT recorded_at FROM transfer WHERE citizen_id = %s ORDER BY xact_id, line",
            wallet.citizen_id,
        )
        return [row[0] for row in rows]

    def stop_the_clock(self, wallet: Wallet, moment: datetime) -> None:
        """Let the books be further on than the database's clock, as after it was set back."""
        with wallet.connection() as connection:
            connection.execute(
                "UPDATE account SET moved_at = %s WHERE citizen_id = %s",
                (moment, wallet.citizen_id),
            )

    def test_grows_when_the_clock_stands_still(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (100, 370, SOON))
        later = datetime.now(UTC).replace(microsecond=999_998) + timedelta(hours=1)
        self.stop_the_clock(wallet, later)

        held = wallet.hold(10)
        wallet.capture(held.id, 4)
        wallet.release(held.id)
        wallet.issue(1, 1, LATER)

        tick = timedelta(microseconds=1)
        assert self.moments(wallet)[1:] == [later + n * tick for n in range(1, 5)]

    def test_grows_inside_one_transaction(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (100, 370, SOON))
        later = datetime.now(UTC) + timedelta(hours=1)
        self.stop_the_clock(wallet, later)

        with runtime.database.raw_transaction() as connection:
            for _ in range(3):
                hold(connection, wallet.citizen_id, uuid4(), 1)

        assert len(set(self.moments(wallet))) == 4

    def test_is_told_again_from_the_books_alone(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        self.stop_the_clock(wallet, datetime.now(UTC) + timedelta(hours=1))
        held = wallet.hold(10)
        captures: list[UUID] = [wallet.capture(held.id, 2).id for _ in range(3)]

        grams = [wallet.restore(each).reduction_g for each in captures]

        assert grams == [7, 7, 7]
        assert [kind for kind, *_ in wallet.transfers()] == [
            *("issue", "hold", "capture", "capture", "capture"),
            *("restore", "restore", "restore"),
        ]
