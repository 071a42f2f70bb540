"""Fifty at once: nothing is sold twice and nothing is lost, whichever way it goes."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service.db import Database
from service.rewards.offers.counters import Taking, Use, give_back, refusal_of, take, uses_of
from service.rewards.offers.terms import Cap, Caps
from service.runtime import Runtime
from tests.rewards.market import Market, a_person

AT_ONCE = 16
DAY = date(2026, 11, 20)


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


def taken(runtime: Runtime, taking: Taking) -> str:
    """Take in a transaction of one's own; return what came of it."""
    try:
        with runtime.database.pipelined_transaction() as connection:
            take(connection, taking)
    except psycopg.errors.CheckViolation as error:
        refusal = refusal_of(error, taking)
        assert refusal is not None
        return refusal.code
    return "taken"


def given_back(runtime: Runtime, taking: Taking) -> str:
    with runtime.database.pipelined_transaction() as connection:
        uses = [(use.holder_kind, use.holder, use.starts_on) for use in taking.uses]
        give_back(connection, taking.offer_id, uses, taking.subsidy_minor)
    return "given back"


def counter_of(runtime: Runtime, offer_id: UUID) -> tuple[int, int, int]:
    """What the counters say: redemptions, fen, uses."""
    with runtime.database.raw_transaction() as connection:
        row = connection.execute(
            "SELECT taken, budget_taken_minor, (SELECT coalesce(sum(taken), 0)::bigint"
            " FROM offer_use WHERE offer_id = %(id)s) FROM offer_counter WHERE offer_id = %(id)s",
            {"id": offer_id},
        ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


class TestFiftyAtOnce:
    def test_get_ten_of_ten(self, busy_runtime: Runtime, market: Market) -> None:
        offer_id = market.offer(quota=10).id

        outcomes = together([partial(taken, busy_runtime, Taking(offer_id, 7, ()))] * 50)

        assert Counter(outcomes) == {"taken": 10, "offer-quota-exhausted": 40}
        assert counter_of(busy_runtime, offer_id) == (10, 70, 0)

    def test_get_what_the_budget_reaches_for(self, busy_runtime: Runtime, market: Market) -> None:
        offer_id = market.offer(quota=40, budget_minor=100).id

        outcomes = together([partial(taken, busy_runtime, Taking(offer_id, 7, ()))] * 50)

        assert Counter(outcomes) == {"taken": 14, "campaign-budget-exhausted": 36}
        assert counter_of(busy_runtime, offer_id) == (14, 98, 0)

    def test_accounts_of_one_person_get_what_one_person_may(
        self, busy_runtime: Runtime, market: Market
    ) -> None:
        offer_id, person_id = market.offer().id, a_person()
        caps = Caps(Cap("day", 1), Cap("month", 3))
        takings = [Taking(offer_id, 0, uses_of(caps, uuid4(), person_id, DAY)) for _ in range(50)]

        outcomes = together([partial(taken, busy_runtime, each) for each in takings])

        assert Counter(outcomes) == {"taken": 3, "person-limit-reached": 47}
        assert counter_of(busy_runtime, offer_id) == (3, 0, 6)


class TestTakingAndGivingBackAtOnce:
    def test_leave_exactly_what_is_held(self, busy_runtime: Runtime, market: Market) -> None:
        """Forty give back what they hold while sixty take: quota and caps are full, not fuller."""
        offer_id = market.offer(quota=40, budget_minor=400).id
        persons = [a_person() for _ in range(20)]
        caps = Caps(None, Cap("total", 2))
        held = [Taking(offer_id, 10, uses_of(caps, uuid4(), person, DAY)) for person in persons * 2]
        assert [taken(busy_runtime, each) for each in held] == ["taken"] * 40
        acts = [partial(given_back, busy_runtime, each) for each in held]
        acts += [partial(taken, busy_runtime, each) for each in (*held, *held[:20])]
        mixed = [acts[number * 37 % 100] for number in range(100)]

        outcomes = Counter(together(mixed))

        assert outcomes["given back"] == 40
        left = outcomes["taken"]
        assert counter_of(busy_runtime, offer_id) == (left, 10 * left, left)
        assert left <= 40
        assert _most_by_one(busy_runtime, offer_id) <= 2

    def test_end_with_nothing_when_everybody_gives_back(
        self, busy_runtime: Runtime, market: Market
    ) -> None:
        offer_id = market.offer(quota=8, budget_minor=80).id

        def takes_and_gives_back(number: int) -> str:
            use = Use("citizen", number.to_bytes(16), DAY, 1, "day")
            taking = Taking(offer_id, 10, (use,))
            outcome = taken(busy_runtime, taking)
            return given_back(busy_runtime, taking) if outcome == "taken" else outcome

        outcomes = together([partial(takes_and_gives_back, number) for number in range(50)])

        assert set(outcomes) <= {"given back", "offer-quota-exhausted", "campaign-budget-exhausted"}
        assert counter_of(busy_runtime, offer_id) == (0, 0, 0)


def _most_by_one(runtime: Runtime, offer_id: UUID) -> int:
    with runtime.database.raw_transaction() as connection:
        row = connection.execute(
            "SELECT max(taken) FROM offer_use WHERE offer_id = %s", [offer_id]
        ).fetchone()
    assert row is not None
    return int(row[0])
