"""Fifty at once: one wins, the others are told why, and the books balance."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from service.app import create_app
from service.db import Database
from service.errors import DomainError
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.ending import expire
from service.rewards.redemptions.following_up import follow_up
from service.rewards.redemptions.partner_answers import no_answer
from service.rewards.redemptions.steps import SERVICE
from service.runtime import Runtime
from tests.rewards.market import Customer, Market, Offered
from tests.rewards.redemptions.paths import Case, begun, brought_to
from tests.rewards.redemptions.staff import post
from tests.rivals import LOCK as LOCK_ACCOUNT
from tests.rivals import a_rival, wait_until_one_waits

AT_ONCE = 16
ATTEMPTS = 50
BUSY = 503


@pytest.fixture
def busy(runtime: Runtime) -> Iterator[Market]:
    """The market with a connection for each caller, so that they wait for locks only."""
    database = Database(runtime.database.url, size=AT_ONCE + 2)
    try:
        crowded = replace(runtime, database=database)
        yield Market(crowded, create_app(crowded))
    finally:
        database.close()


def together(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return list(crowd.map(insisting, acts))


def insisting(act: Callable[[], Any]) -> Any:
    """Do as clients are told who have waited in vain for a lock on a busy machine: ask again."""
    for _ in range(10):
        answer = act()
        if answer is None or answer.status_code != BUSY:
            break
    return answer


def told(answers: Sequence[TestResponse]) -> Counter[str]:
    """Count the answers: by their problem's code, or `done`, or `again` for a repeat's 200."""
    done = {201: "done", 200: "again"}
    return Counter(done.get(answer.status_code) or answer.get_json()["code"] for answer in answers)


@pytest.fixture
def offered(busy: Market) -> Offered:
    return busy.offer(quota=10, budget_minor=100_000)


@pytest.fixture
def customer(busy: Market, offered: Offered) -> Customer:
    return busy.customer(offered.partner_id, 250)


@pytest.fixture
def submitted(busy: Market, customer: Customer, offered: Offered) -> str:
    return busy.submitted(customer, offered)


class TestOneQuote:
    def test_is_accepted_once(self, busy: Market, customer: Customer, offered: Offered) -> None:
        quote_id = busy.quote(customer, offered).get_json()["id"]

        answers = together([lambda: busy.reserve(customer, quote_id)] * ATTEMPTS)

        # Whoever finds the points held already learns that before it learns of the quote.
        assert told(answers)["done"] == 1
        assert set(told(answers)) <= {"done", "quote-used", "insufficient-points"}
        assert busy.points(customer.id) == {"available": 150, "held": 100}
        assert busy.taken(offered) == (1, 3000)


class TestOneBalance:
    def test_is_held_once_however_many_quotes_there_are(
        self, busy: Market, offered: Offered
    ) -> None:
        customer = busy.customer(offered.partner_id, 199)
        quotes = [busy.quote(customer, offered).get_json()["id"] for _ in range(AT_ONCE)]

        answers = together([partial(busy.reserve, customer, quote_id) for quote_id in quotes])

        assert told(answers) == {"done": 1, "insufficient-points": AT_ONCE - 1}
        assert busy.points(customer.id) == {"available": 99, "held": 100}


class TestOneCapture:
    def test_sent_again_and_again_is_answered_the_same(
        self, busy: Market, submitted: str, offered: Offered
    ) -> None:
        said = {"partner_reference": uuid4().hex}
        key = uuid4().hex

        answers = together([lambda: busy.capture(offered, submitted, key, **said)] * ATTEMPTS)

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.get_json()["id"] for answer in answers}) == 1
        replayed = [answer.headers.get("Idempotent-Replayed") for answer in answers]
        assert replayed.count(None) == 1

    def test_is_one_by_its_reference(
        self, busy: Market, submitted: str, offered: Offered, customer: Customer
    ) -> None:
        said = {"partner_reference": uuid4().hex}

        answers = together([lambda: busy.capture(offered, submitted, **said)] * ATTEMPTS)

        assert told(answers) == {"done": 1, "again": ATTEMPTS - 1}
        assert len({answer.get_json()["id"] for answer in answers}) == 1
        assert busy.points(customer.id) == {"available": 150, "redeemed": 100}

    def test_is_the_first_of_many_references(
        self, busy: Market, submitted: str, offered: Offered, customer: Customer
    ) -> None:
        answers = together([lambda: busy.capture(offered, submitted)] * ATTEMPTS)

        assert told(answers) == {"done": 1, "state-conflict": ATTEMPTS - 1}
        assert busy.records(submitted).count("capture") == 1
        assert busy.points(customer.id) == {"available": 150, "redeemed": 100}


class TestOneReference:
    def test_captures_one_redemption_of_two(
        self, busy: Market, customer: Customer, submitted: str, offered: Offered
    ) -> None:
        other = busy.submitted(customer, offered)
        said = {"partner_reference": uuid4().hex}

        answers = together(
            [
                partial(busy.capture, offered, each, **said)
                for each in islice(cycle([submitted, other]), ATTEMPTS)
            ]
        )

        assert told(answers)["done"] == 1
        assert set(told(answers)) == {"done", "again", "partner-reference-reused"}
        assert sorted([busy.state(submitted), busy.state(other)]) == ["captured", "submitted"]
        assert busy.points(customer.id) == {"available": 50, "held": 100, "redeemed": 100}


class TestTheEndsOfASubmittedOne:
    @pytest.mark.parametrize("mode", ["burn", "lock", "attest"])
    def test_exclude_each_other(self, busy: Market, mode: str) -> None:
        for _ in range(3):
            case = brought_to(busy, mode, "submitted")
            ways: list[Any] = [
                lambda case=case: busy.capture(case.offered, case.id),
                lambda case=case: busy.step(
                    case.offered, case.id, "declines", {"reason": "not-approved"}
                ),
                lambda case=case: busy.step(case.offered, case.id, "voids", {}),
                lambda case=case: silenced(case),
            ]

            answers = together(list(islice(cycle(ways), ATTEMPTS)))

            ends = [answer for answer in answers if answer is not None]
            assert told(ends)["done"] == 1
            assert set(told(ends)) == {"done", "state-conflict"}
            balanced(case)

    def test_leave_a_late_capture_through_or_not_but_never_half(self, busy: Market) -> None:
        for _ in range(3):
            case = brought_to(busy, "burn", "submitted")
            ways: list[Any] = [
                lambda case=case: busy.capture(case.offered, case.id),
                lambda case=case: expired(case),
                lambda case=case: busy.step(case.offered, case.id, "voids", {}),
            ]

            together(list(islice(cycle(ways), ATTEMPTS)))

            assert busy.state(case.id) in {"captured", "voided"}
            balanced(case)


class TestTheEndsOfAReservedOne:
    def test_exclude_each_other(self, busy: Market) -> None:
        for _ in range(3):
            case = begun(busy, "burn")
            path = f"/v1/redemptions/{case.id}"
            ways: list[Any] = [
                lambda case=case: busy.submit(case.customer, case.id),
                lambda case=case: expired(case),
                lambda case=case, path=path: post(
                    busy, f"{path}/voids", {}, busy.as_citizen(case.customer)
                ),
            ]

            answers = together(list(islice(cycle(ways), ATTEMPTS)))

            assert set(told([each for each in answers if each])) <= {"done", "state-conflict"}
            assert busy.records(case.id).count("submission") <= 1
            balanced(case)


class TestReversals:
    def test_never_give_back_more_than_was_captured(
        self, busy: Market, submitted: str, offered: Offered, customer: Customer
    ) -> None:
        busy.capture(offered, submitted)
        said = {"reason": "not-drawn", "points": 7}

        answers = together([lambda: busy.step(offered, submitted, "reversals", said)] * ATTEMPTS)

        assert told(answers) == {"done": 14, "reversal-exceeds-capture": ATTEMPTS - 14}
        assert busy.points(customer.id) == {"available": 248, "redeemed": 2}


class TestAQuota:
    def test_is_never_oversold(self, busy: Market, offered: Offered) -> None:
        crowd = [busy.customer(offered.partner_id, 100) for _ in range(ATTEMPTS)]
        quotes = [(each, busy.quote(each, offered).get_json()["id"]) for each in crowd]

        answers = together([partial(busy.reserve, each, quote_id) for each, quote_id in quotes])

        assert told(answers) == {"done": 10, "offer-quota-exhausted": ATTEMPTS - 10}
        assert busy.taken(offered) == (10, 30_000)


class TestWhoeverDoesNotKeepToOurOrderOfLocks:
    def test_is_met_again_from_the_start(
        self, busy: Market, submitted: str, offered: Offered, customer: Customer
    ) -> None:
        with a_rival(busy.runtime) as rival, ThreadPoolExecutor(1) as pool:
            rival.execute(LOCK_ACCOUNT, [customer.id])
            captured = pool.submit(busy.capture, offered, submitted)
            wait_until_one_waits(busy.runtime)
            rival.execute(
                "SELECT FROM redemption WHERE id = %s FOR UPDATE", [uuid_of(REDEMPTION, submitted)]
            )
            rival.commit()

        assert captured.result().status_code == 201
        assert busy.points(customer.id) == {"available": 150, "redeemed": 100}


def expired(case: Case) -> None:
    """Let the timer, or the janitor with its evidence, be one of those who come at once."""
    with suppress(DomainError), case.locked() as (connection, redemption):
        expire(connection, redemption, SERVICE, {})


def silenced(case: Case) -> None:
    with case.locked() as (connection, redemption):
        if redemption.state == "submitted":
            follow_up(connection, redemption, no_answer("timeout"))


def balanced(case: Case) -> None:
    """See that points, quota, budget and cap are as the state says."""
    state, places, taken, uses, records = case.books()
    in_grace = state == "expired" and "submission" in records
    waits = in_grace or state in {"submitted", "unknown"}
    is_locked = case.mode == "lock" and state == "captured"
    points = 0 if case.mode == "attest" else 100
    held = points if waits or is_locked else 0
    redeemed = points if state == "captured" and not is_locked else 0
    left = {"available": 150 + points - held - redeemed, "held": held, "redeemed": redeemed}
    assert places == ({name: n for name, n in left.items() if n} if points else {})
    assert (taken, uses) == (((1, 3000), 1) if waits or state == "captured" else ((0, 0), 0))
