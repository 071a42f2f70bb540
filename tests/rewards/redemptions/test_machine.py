"""Redemptions of one citizen at random, beside a small model of points: they never differ."""

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.app import create_app
from service.ledger.audit import run_audit
from service.ledger.invariants import CHECKS as OF_LEDGER
from service.rewards.invariants import CHECKS as OF_OFFERS
from service.rewards.redemptions.invariants import CHECKS
from service.runtime import Runtime
from tests.rewards.market import Market, a_person
from tests.rewards.redemptions.paths import POINTS, STEPS, Case
from tests.rewards.redemptions.test_matrix import LEADS_TO, MATURES

BY_THE_REAL_CLOCK = {"nothing-expires-early", "refusals-stand"}
"""Invariants that compare days with the database's clock, which does not travel."""
UNDECIDED = {"offers-as-decided"}

HOLDS_ALL = {"reserved", "submitted", "unknown", "expired"}
TAKES_NOTHING = {"declined", "voided", "closed"}
WHICH = st.integers(0, 9)
OTHER_STEPS = sorted(set(STEPS) - {"capture", "reversal"})
"""Those that have no amount."""


@dataclass
class Modelled:
    """What a redemption should be."""

    case: Case
    state: str = "reserved"
    captured: int = 0
    reversed: int = 0
    has_matured: bool = False
    was_submitted: bool = False
    void_was_wished: bool = False

    @property
    def left(self) -> int:
        return self.captured - self.reversed

    @property
    def held(self) -> int:
        is_locked = self.case.mode == "lock" and not self.has_matured
        return POINTS if self.state in HOLDS_ALL else self.left * is_locked

    @property
    def redeemed(self) -> int:
        return 0 if self.state in HOLDS_ALL else self.left - self.held


class RedemptionMachine(RuleBasedStateMachine):
    """One citizen with a bank that burns and one that locks."""

    runtime: ClassVar[Runtime]
    app: ClassVar[Flask]

    def __init__(self) -> None:
        super().__init__()
        self.market = Market(self.runtime, self.app)
        self.all: list[Modelled] = []

    @initialize(grams=st.integers(0, 5000))
    def begin(self, grams: int) -> None:
        bank = self.market.bank()
        self.offers = {mode: self.market.offer(bank, mode=mode) for mode in ("burn", "lock")}
        self.customer = self.market.customer(bank, 500, grams=grams + 1, person_id=a_person())
        for mode in ("burn", "lock", "burn", "lock"):
            self.reserve(mode)
        for which in (1, 2, 3):
            self.take_a_step(which, "submission")

    @precondition(lambda self: len(self.all) < 7)
    @rule(mode=st.sampled_from(["burn", "lock"]))
    def reserve(self, mode: str) -> None:
        quoted = self.market.quote(self.customer, self.offers[mode])
        enough = self.available >= POINTS
        assert quoted.status_code == (201 if enough else 409)
        if enough:
            reserved = self.market.reserve(self.customer, quoted.get_json()["id"])
            redemption_id = str(reserved.get_json()["id"])
            case = Case(self.market, self.offers[mode], self.customer, redemption_id)
            self.all.append(Modelled(case))

    @precondition(lambda self: self.all)
    @rule(which=WHICH, step=st.sampled_from(OTHER_STEPS))
    def take_a_step(self, which: int, step: str) -> None:
        each = self.all[which % len(self.all)]

        is_done = STEPS[step](each.case) is None

        assert is_done == self._is_possible(each, step), (each, step)
        if is_done:
            self._follow(each, step)

    @precondition(lambda self: self.all)
    @rule(which=WHICH, random=st.randoms(use_true_random=False))
    def go_on(self, which: int, random: Random) -> None:
        each = self.all[which % len(self.all)]
        possible = [step for step in OTHER_STEPS if self._is_possible(each, step)]
        if possible:
            self.take_a_step(which, random.choice(possible))

    @precondition(lambda self: self.all)
    @rule(which=WHICH, points=st.none() | st.integers(1, POINTS + 1))
    def capture(self, which: int, points: int | None) -> None:
        each = self.all[which % len(self.all)]
        wanted = POINTS if points is None else points
        fits = wanted <= POINTS and ("capture" in self._possible(each)) and each.was_submitted

        answer = self.market.capture(each.case.offered, each.case.id, points=points)

        assert (answer.status_code == 201) == fits, (each, points, answer.get_json())
        if fits:
            each.state, each.captured = "captured", wanted

    @precondition(lambda self: self.all)
    @rule(which=WHICH, points=st.none() | st.integers(1, POINTS))
    def reverse(self, which: int, points: int | None) -> None:
        each = self.all[which % len(self.all)]
        fits = "reversal" in self._possible(each) and (points or 1) <= each.left
        said: dict[str, Any] = {"reason": "not-drawn"} | ({"points": points} if points else {})

        answer = self.market.step(each.case.offered, each.case.id, "reversals", said)

        assert (answer.status_code == 201) == fits, (each, points, answer.get_json())
        if fits:
            each.reversed += points or each.left
            each.state = "partially_reversed" if each.left else "reversed"

    @property
    def available(self) -> int:
        return 500 - sum(each.held + each.redeemed for each in self.all)

    def _possible(self, each: Modelled) -> set[str]:
        return {step for state, step in LEADS_TO if state == each.state}

    def _is_possible(self, each: Modelled, step: str) -> bool:
        if step == "maturity":
            return each.case.mode == "lock" and each.state in MATURES and not each.has_matured
        if step == "void by citizen" and each.void_was_wished:
            return False
        return step in self._possible(each)

    def _follow(self, each: Modelled, step: str) -> None:
        if step == "maturity":
            each.has_matured = True
            return
        each.was_submitted |= step == "submission"
        each.void_was_wished |= step == "void by citizen"
        each.state = LEADS_TO[each.state, step]

    @invariant()
    def points_are_where_the_model_has_them(self) -> None:
        if hasattr(self, "customer"):
            held = sum(each.held for each in self.all)
            redeemed = sum(each.redeemed for each in self.all)
            model = {"available": self.available, "held": held, "redeemed": redeemed}
            assert self.market.points(self.customer.id) == {n: p for n, p in model.items() if p}

    @invariant()
    def offers_have_what_the_model_has_taken(self) -> None:
        for mode, offered in getattr(self, "offers", {}).items():
            mine = [each for each in self.all if each.case.mode == mode]
            taken = sum(each.state not in TAKES_NOTHING for each in mine)
            assert self.market.taken(offered)[0] == taken


@pytest.fixture
def machine(fresh_runtime: Runtime) -> type[RedemptionMachine]:
    RedemptionMachine.runtime = fresh_runtime
    RedemptionMachine.app = create_app(fresh_runtime)
    return RedemptionMachine


def kinds_of_records(runtime: Runtime) -> set[str]:
    with runtime.database.raw_transaction() as connection:
        rows = connection.execute("SELECT DISTINCT kind FROM redemption_record")
        return {row[0] for row in rows}


def test_whatever_happens_the_books_are_those_of_the_model(
    machine: type[RedemptionMachine],
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )

    assert len(kinds_of_records(machine.runtime)) > 10  # it went far
    findings = run_audit(machine.runtime.database, [*OF_LEDGER, *OF_OFFERS, *CHECKS])
    broken = {each.name for each in findings if each.differences}
    assert broken - BY_THE_REAL_CLOCK - UNDECIDED == set()
