"""Feeds that come together: one piece of work for several, and each gets its own answer."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from uuid import UUID, uuid4

import pytest

from service.activities.audit import CHECKS
from service.activities.intake.candidates import Source
from service.activities.intake.gathering import Gatherer
from service.activities.intake.lines import Line, read_line
from service.activities.intake.parts import Feed, Part, Tools
from service.ledger.audit import run_audit
from service.runtime import Runtime
from tests.activities.factories import a_citizen, a_ride, a_source, rows

SOON_S = 10


class Workshop:
    """Work that goes on until it is let go, and remembers what came together."""

    def __init__(self, *, most: int = 64, broken: str = "") -> None:
        self.gatherer = Gatherer(self.work, most)
        self.groups: list[list[str]] = []
        self.has_begun = Event()
        self.may_end = Event()
        self.broken = broken

    def work(self, items: Sequence[str]) -> None:
        self.groups.append(list(items))
        self.has_begun.set()
        assert self.may_end.wait(SOON_S)
        if self.broken in items:
            raise LookupError(self.broken)

    def with_callers(self, pool: ThreadPoolExecutor, *items: str) -> list[Future[None]]:
        """Let the first one work, and the others come meanwhile, in this order."""
        callers = [pool.submit(self.gatherer.do, items[0])]
        assert self.has_begun.wait(SOON_S)
        for count, item in enumerate(items[1:], 1):
            callers.append(pool.submit(self.gatherer.do, item))
            give_up_at = time.monotonic() + SOON_S
            while len(self.gatherer._queue) < count and time.monotonic() < give_up_at:
                time.sleep(0.001)
        self.may_end.set()
        return callers


class TestComingTogether:
    def test_alone_waits_for_nobody(self) -> None:
        shop = Workshop()
        shop.may_end.set()

        shop.gatherer.do("a")
        shop.gatherer.do("b")

        assert shop.groups == [["a"], ["b"]]

    def test_while_others_are_at_work_shares_the_next_piece(self) -> None:
        shop = Workshop()

        with ThreadPoolExecutor(4) as pool:
            callers = shop.with_callers(pool, "a", "b", "c", "d")
            for caller in callers:
                caller.result(SOON_S)

        assert shop.groups == [["a"], ["b", "c", "d"]]

    def test_never_makes_a_piece_larger_than_it_may_be(self) -> None:
        shop = Workshop(most=2)

        with ThreadPoolExecutor(4) as pool:
            callers = shop.with_callers(pool, "a", "b", "c", "d")
            for caller in callers:
                caller.result(SOON_S)

        assert shop.groups == [["a"], ["b", "c"], ["d"]]

    def test_with_one_that_fails_fails_and_those_after_it_go_on(self) -> None:
        shop = Workshop(most=2, broken="c")

        with ThreadPoolExecutor(4) as pool:
            first, second, third, fourth = shop.with_callers(pool, "a", "b", "c", "d")
            first.result(SOON_S)
            for caller in (second, third):
                with pytest.raises(LookupError):
                    caller.result(SOON_S)
            fourth.result(SOON_S)

        assert shop.groups[-1] == ["d"]


def recorded_together(runtime: Runtime, source: Source, *feeds: Sequence[bytes]) -> list[Feed]:
    """Record small feeds in one transaction, as they are when they come at once."""
    made = [Feed(uuid4(), source) for _ in feeds]
    Part(Tools(runtime.database, runtime.keys), *made).record(
        [[(number, readable(line)) for number, line in enumerate(lines, 1)] for lines in feeds]
    )
    return made


def readable(raw: bytes) -> Line:
    line = read_line(raw)
    assert isinstance(line, Line)
    return line


def answers(feed: Feed) -> list[tuple[int, str, str | None]]:
    return sorted((each.line, each.verdict, each.code) for each in feed.outcomes)


def counted(runtime: Runtime, batch_id: UUID) -> tuple[int, dict[str, int], int]:
    query = "SELECT received, verdicts, reduction_g FROM activity_batch WHERE id = %s"
    ((received, verdicts, reduction_g),) = rows(runtime, query, batch_id)
    return received, verdicts, reduction_g


class TestFeedsOfOnePart:
    def test_are_each_answered_by_their_own_line_numbers(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        ride = a_ride()

        one, two = recorded_together(
            runtime, source, [a_ride("nobody's"), ride], [ride, a_ride(), a_ride("nobody's")]
        )

        assert answers(one) == [
            (1, "refused", "source-link-missing"),
            (2, "certified", None),
        ]
        assert answers(two) == [
            (1, "duplicate", None),
            (2, "refused", "overlap"),
            (3, "refused", "source-link-missing"),
        ]

    def test_are_each_counted_under_their_own_id(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        ride = a_ride()

        one, two = recorded_together(runtime, source, [ride], [ride, a_ride("nobody's")])

        (activity,) = rows(
            runtime, "SELECT batch_id, reduction_g FROM activity WHERE source_id = %s", source.id
        )
        assert activity[0] == one.batch_id
        assert counted(runtime, one.batch_id) == (1, {"certified": 1}, activity[1])
        assert counted(runtime, two.batch_id) == (
            2,
            {"duplicate": 1, "refused": 1, "source-link-missing": 1},
            0,
        )

    def test_leave_books_that_add_up(self, fresh_runtime: Runtime) -> None:
        source = a_source(fresh_runtime)
        for card in ("card-1", "card-2", "card-3"):
            a_citizen(fresh_runtime, source, card)

        recorded_together(
            fresh_runtime, source, *([a_ride(f"card-{card}")] for card in (1, 2, 3, 1))
        )

        findings = run_audit(fresh_runtime.database, CHECKS)
        assert [each.name for each in findings if each.differences] == []
