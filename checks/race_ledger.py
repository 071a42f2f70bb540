"""Races on the ledger's functions: many threads with one id, one balance, one hold."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID, uuid4

import psycopg

from checks.bank_acts import answer_of
from checks.town import Town
from checks.verdict import Verdict
from service import clock
from service.ledger.captures import pool, restore
from service.ledger.carrying import extend
from service.ledger.errors import PostingConflict
from service.ledger.holds import capture, hold, release
from service.ledger.postings import Outcome
from service.ledger.spending import donate, retire
from service.runtime import Runtime

AT_ONCE: Final = 50
PARTY: Final = UUID(int=7)
BALANCE: Final = 1_000
HELD: Final = 400

Answer = TypeVar("Answer")
Deed = Callable[[psycopg.Connection[Any], UUID], Outcome]


class Case(NamedTuple):
    """One thing that is asked for under one id, and the same with one term changed."""

    kind: str
    deed: Deed
    otherwise: Deed
    changed: str
    """The field by which a conflict must name the change."""


def at_once(deeds: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Do everything at the same moment, each in a thread of its own."""
    gate = threading.Barrier(len(deeds))

    def after_the_gate(deed: Callable[[], Answer]) -> Answer:
        gate.wait()
        return deed()

    with ThreadPoolExecutor(len(deeds)) as threads:
        return list(threads.map(after_the_gate, deeds))


class LedgerRaces:
    """Races on a house of their own."""

    def __init__(
        self, runtime: Runtime, town: Town, verdict: Verdict, chance: random.Random
    ) -> None:
        """Race against the functions behind `runtime`, whose pool lets everybody in at once."""
        self._runtime = runtime
        self._town = town
        self._verdict = verdict
        self._chance = chance

    def same_id(self, number: int) -> None:
        """One id from everybody: one effect, identical answers; other terms are a conflict."""
        citizen_id = self._a_citizen()
        cases = self._cases(citizen_id)
        case = cases[number % len(cases)]
        posting = uuid4()
        outcomes = at_once([lambda: self._do(case.deed, posting)] * AT_ONCE)
        self._verdict.count("same_id: requests", AT_ONCE)
        distinct = {str(answer_of(each)) for each in outcomes}
        first = [each for each in outcomes if not each.is_repeat]
        self._verdict.require(len(distinct) == 1, f"same_id {case.kind}: answers {distinct}")
        self._verdict.require(len(first) == 1, f"same_id {case.kind}: {len(first)} effects")
        self._require_once(citizen_id, posting, outcomes[0])
        self._require_conflict(case, posting)

    def drain(self, _number: int) -> None:
        """The whole balance from everybody: exactly one gets it, and who was refused stays so."""
        citizen_id = self._a_citizen()
        ids = [uuid4() for _ in range(AT_ONCE)]
        outcomes = at_once([partial(self._hold_all, citizen_id, new) for new in ids])
        self._verdict.count("drain: requests", AT_ONCE)
        winners = [each for each in outcomes if each.refusal is None]
        self._verdict.require(len(winners) == 1, f"drain: {len(winners)} of {AT_ONCE} succeeded")
        held, _ = self._held_and_redeemed(citizen_id)
        self._verdict.require(held == BALANCE, f"drain: {held} of {BALANCE} are held")
        self._do(lambda c, new: release(c, citizen_id, new, winners[0].id), uuid4())
        refused = next(each for each in outcomes if each.refusal is not None)
        again = self._hold_all(citizen_id, refused.id)
        self._verdict.require(again.refusal is not None, "drain: a refusal became a success")

    def captures(self, _number: int) -> None:
        """Captures of one hold from everybody: no more than it holds."""
        citizen_id = self._a_citizen()
        of = self._a_hold(citizen_id)
        sizes = [self._chance.randint(1, 40) for _ in range(AT_ONCE)]
        outcomes = at_once([partial(self._capture, citizen_id, of, points) for points in sizes])
        self._verdict.count("captures: requests", AT_ONCE)
        captured = sum(each.points for each in outcomes if each.refusal is None)
        left = HELD - captured
        short = [
            points
            for points, each in zip(sizes, outcomes, strict=True)
            if each.refusal is not None and points <= left
        ]
        self._verdict.require(captured <= HELD, f"captures: {captured} of {HELD}")
        self._verdict.require(not short, f"captures: {short} were refused and {left} are left")
        stored = self._held_and_redeemed(citizen_id)
        self._verdict.require(
            stored == (left, captured),
            f"captures: {captured} were answered; (held, redeemed) is {stored}",
        )

    # --- parts -----------------------------------------------------------------------------------

    def _cases(self, who: UUID) -> list[Case]:
        of = self._a_hold(who)
        captured = self._do(lambda c, new: capture(c, who, new, of, 200, PARTY), uuid4()).id
        soon, late = (clock.today() + timedelta(days=days) for days in (60, 500))
        other = UUID(int=8)
        return [
            Case(
                "hold", lambda c, i: hold(c, who, i, 30), lambda c, i: hold(c, who, i, 31), "points"
            ),
            Case(
                "capture",
                lambda c, i: capture(c, who, i, of, 30, PARTY),
                lambda c, i: capture(c, who, i, of, 30, other),
                "party",
            ),
            Case(
                "release",
                lambda c, i: release(c, who, i, of, 30),
                lambda c, i: release(c, who, i, of),
                "points",
            ),
            Case(
                "restore",
                lambda c, i: restore(c, who, i, captured, 30),
                lambda c, i: restore(c, who, i, captured, 30, late),
                "carry_to",
            ),
            Case(
                "pool",
                lambda c, i: pool(c, who, i, captured, PARTY, 30),
                lambda c, i: pool(c, who, i, captured, other, 30),
                "party",
            ),
            Case(
                "retire",
                lambda c, i: retire(c, who, i, reduction_g=91),
                lambda c, i: retire(c, who, i, reduction_g=92),
                "reduction_g",
            ),
            Case(
                "donate",
                lambda c, i: donate(c, who, i, 30, PARTY),
                lambda c, i: retire(c, who, i, points=30),
                "kind",
            ),
            Case(
                "extend",
                lambda c, i: extend(c, who, i, soon, late),
                lambda c, i: extend(c, who, i, soon, late + timedelta(days=1)),
                "carry_to",
            ),
        ]

    def _require_conflict(self, case: Case, posting: UUID) -> None:
        try:
            self._do(case.otherwise, posting)
        except PostingConflict as conflict:
            named = conflict.members["field"]
            self._verdict.require(
                named == case.changed, f"same_id {case.kind}: the conflict names {named}"
            )
        else:
            self._verdict.fault(f"same_id {case.kind}: other terms were answered")

    def _require_once(self, citizen_id: UUID, posting: UUID, outcome: Outcome) -> None:
        with self._runtime.database.raw_transaction() as connection:
            lines = connection.execute(
                "SELECT kind, expires_on, points, reduction_g FROM transfer"
                " WHERE citizen_id = %s AND posting_id = %s ORDER BY line",
                (citizen_id, posting),
            ).fetchall()
        self._verdict.require(
            lines == [tuple(line) for line in outcome.lines],
            f"{posting} was answered {outcome.lines}, stored is {lines}",
        )

    def _held_and_redeemed(self, citizen_id: UUID) -> tuple[int, int]:
        query = "SELECT held_points, redeemed_points FROM lot WHERE citizen_id = %s"
        with self._runtime.database.raw_transaction() as connection:
            lots = connection.execute(query, (citizen_id,)).fetchall()
        return sum(lot[0] for lot in lots), sum(lot[1] for lot in lots)

    def _hold_all(self, citizen_id: UUID, posting: UUID) -> Outcome:
        return self._do(lambda c, new: hold(c, citizen_id, new, BALANCE), posting)

    def _capture(self, citizen_id: UUID, of: UUID, points: int) -> Outcome:
        return self._do(lambda c, new: capture(c, citizen_id, new, of, points, PARTY), uuid4())

    def _a_hold(self, citizen_id: UUID) -> UUID:
        return self._do(lambda c, new: hold(c, citizen_id, new, HELD), uuid4()).id

    def _a_citizen(self) -> UUID:
        (citizen_id,) = self._town.join([uuid4().hex]).values()
        self._town.endow([citizen_id], BALANCE)
        return citizen_id

    def _do(self, deed: Deed, posting: UUID) -> Outcome:
        with self._runtime.database.raw_transaction() as connection:
            return deed(connection, posting)
