"""What is taken of an offer: constraints refuse what is too much, in words that help."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service.clock import SHANGHAI
from service.errors import DomainError
from service.pipelining import Connection
from service.rewards.offers.counters import (
    Counter,
    Taking,
    Use,
    ask_counter,
    ask_use,
    counter_from,
    give_back,
    give_back_budget,
    refusal_of,
    take,
    uses_of,
)
from service.rewards.offers.terms import Cap, Caps
from service.runtime import Runtime
from tests.rewards.market import Market, a_person

TODAY = date(2026, 11, 20)
Opened = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture(params=["one by one", "gathered"])
def opened(request: pytest.FixtureRequest, runtime: Runtime) -> Opened:
    """Both kinds of connections that redemptions write through."""
    database = runtime.database
    if request.param == "gathered":
        return database.pipelined_transaction
    return database.raw_transaction


@contextmanager
def refused(taking: Taking) -> Iterator[list[DomainError]]:
    """Catch what the constraints say, as whoever takes does."""
    said: list[DomainError] = []
    try:
        yield said
    except psycopg.errors.CheckViolation as error:
        refusal = refusal_of(error, taking)
        assert refusal is not None
        said.append(refusal)


def taking_of(offer_id: UUID, *uses: Use, subsidy_minor: int = 3000) -> Taking:
    return Taking(offer_id, subsidy_minor, uses)


def counted(opened: Opened, offer_id: UUID) -> Counter:
    with opened() as connection:
        return counter_from(ask_counter(connection, offer_id))


def used(opened: Opened, offer_id: UUID, use: Use) -> int:
    with opened() as connection:
        row = ask_use(connection, offer_id, use).fetchone()
    return row[0] if row else 0


class TestTaking:
    def test_counts_redemptions_budget_and_uses(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer(quota=2, budget_minor=9000).id
        hers = Use("citizen", uuid4().bytes, TODAY, 2, "day")

        with opened() as connection:
            take(connection, taking_of(offer_id, hers))

        assert counted(opened, offer_id) == Counter(2, 1, 9000, 3000)
        assert used(opened, offer_id, hers) == 1

    def test_without_limits_never_ends(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer().id

        with opened() as connection:
            for _ in range(5):
                take(connection, taking_of(offer_id))

        assert counted(opened, offer_id) == Counter(None, 5, None, 15_000)

    def test_more_than_the_quota_is_refused(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer(quota=1).id
        taking = taking_of(offer_id)

        with refused(taking) as said, opened() as connection:
            take(connection, taking)
            take(connection, taking)

        assert [each.code for each in said] == ["offer-quota-exhausted"]
        assert counted(opened, offer_id).taken == 0

    def test_more_than_the_budget_is_refused(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer(budget_minor=5999).id
        taking = taking_of(offer_id)

        with refused(taking) as said, opened() as connection:
            take(connection, taking)
            take(connection, taking)

        assert [each.code for each in said] == ["campaign-budget-exhausted"]

    def test_more_than_a_person_may_is_refused_with_the_end_of_it(
        self, opened: Opened, market: Market
    ) -> None:
        offer_id = market.offer().id
        caps = Caps(Cap("day", 9), Cap("month", 1))
        first, second = (uses_of(caps, uuid4(), person, TODAY) for person in [a_person()] * 2)

        with opened() as connection:
            take(connection, taking_of(offer_id, *first))
        with refused(taking := taking_of(offer_id, *second)) as said, opened() as connection:
            take(connection, taking)

        assert [(each.code, each.members) for each in said] == [
            (
                "person-limit-reached",
                {
                    "limit": 1,
                    "period": "month",
                    "next_available_at": "2026-11-30T16:00:00+00:00",
                },
            )
        ]
        assert counted(opened, offer_id).taken == 1

    def test_says_which_of_two_caps_was_reached(self, opened: Opened, market: Market) -> None:
        offer_id, citizen_id = market.offer().id, uuid4()
        uses = uses_of(Caps(Cap("week", 1), Cap("total", 5)), citizen_id, a_person(), TODAY)
        taking = taking_of(offer_id, *uses)

        with refused(taking) as said, opened() as connection:
            take(connection, taking)
            take(connection, taking)

        assert [each.members["period"] for each in said] == ["week"]

    def test_has_no_next_time_after_the_total(self, opened: Opened, market: Market) -> None:
        taking = taking_of(market.offer().id, Use("person", a_person(), TODAY, 1, "total"))

        with refused(taking) as said, opened() as connection:
            take(connection, taking)
            take(connection, taking)

        assert said[0].members["next_available_at"] is None

    def test_in_another_period_begins_anew(self, opened: Opened, market: Market) -> None:
        offer_id, citizen_id = market.offer().id, uuid4()
        caps = Caps(Cap("day", 1), None)

        with opened() as connection:
            for day in (TODAY, date(2026, 11, 21)):
                take(connection, taking_of(offer_id, *uses_of(caps, citizen_id, None, day)))

        assert counted(opened, offer_id).taken == 2

    def test_by_terms_that_allow_less_counts_what_was_taken(
        self, opened: Opened, market: Market
    ) -> None:
        offer_id = market.offer().id
        before = Use("citizen", uuid4().bytes, TODAY, 2, "day")
        taking = taking_of(offer_id, before._replace(most=1))

        with opened() as connection:
            take(connection, taking_of(offer_id, before))
        with refused(taking) as said, opened() as connection:
            take(connection, taking)
        with opened() as connection:
            take(connection, taking_of(offer_id, before._replace(most=3)))

        assert [each.code for each in said] == ["person-limit-reached"]
        assert used(opened, offer_id, before) == 2


class TestGivingBack:
    def test_makes_room_again(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer(quota=1, budget_minor=3000).id
        use = Use("person", a_person(), TODAY, 1, "day")

        for _ in range(3):
            with opened() as connection:
                take(connection, taking_of(offer_id, use))
            with opened() as connection:
                give_back(connection, offer_id, [use[:3]], 3000)

        assert counted(opened, offer_id) == Counter(1, 0, 3000, 0)
        assert used(opened, offer_id, use) == 0

    def test_of_a_part_leaves_the_place_taken(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer(quota=1, budget_minor=3000).id

        with opened() as connection:
            take(connection, taking_of(offer_id))
            give_back_budget(connection, offer_id, 1000)

        assert counted(opened, offer_id) == Counter(1, 1, 3000, 2000)

    def test_more_than_was_taken_is_a_fault(self, opened: Opened, market: Market) -> None:
        offer_id = market.offer(quota=1).id

        with pytest.raises(psycopg.errors.CheckViolation), opened() as connection:
            give_back(connection, offer_id, [], 0)


class TestWhatARedemptionCountsAgainst:
    def test_is_the_account_and_the_person(self) -> None:
        citizen_id, person_id = uuid4(), a_person()

        uses = uses_of(Caps(Cap("month", 2), Cap("year", 3)), citizen_id, person_id, TODAY)

        assert uses == (
            Use("citizen", citizen_id.bytes, date(2026, 11, 1), 2, "month"),
            Use("person", person_id, date(2026, 1, 1), 3, "year"),
        )

    def test_is_nothing_without_caps(self) -> None:
        assert uses_of(Caps(None, None), uuid4(), a_person(), TODAY) == ()


def test_another_constraint_is_not_ours(runtime: Runtime) -> None:
    def insert() -> Any:
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO offer_use VALUES (%s, 'household', '', '2026-01-01', 1, 1)", [uuid4()]
            )

    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        insert()

    assert refusal_of(caught.value) is None


def test_a_day_begins_in_shanghai(opened: Opened, market: Market) -> None:
    taking = taking_of(market.offer().id, Use("citizen", uuid4().bytes, TODAY, 1, "day"))

    with refused(taking) as said, opened() as connection:
        take(connection, taking)
        take(connection, taking)

    moment = datetime.fromisoformat(said[0].members["next_available_at"])
    assert moment == datetime(2026, 11, 21, tzinfo=SHANGHAI)
