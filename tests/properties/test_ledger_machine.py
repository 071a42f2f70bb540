"""Every kind of transfer at random, beside a small model in plain Python: they never differ."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from service import clock
from service.errors import DomainError
from service.ledger.accounts import lock_accounts
from service.ledger.audit import run_audit
from service.ledger.carrying import extend_lots
from service.ledger.chart import CHART
from service.ledger.clawback import Claim, invalidate
from service.ledger.commitments import COMMITMENT_IN_SQL
from service.ledger.errors import VERDICTS
from service.ledger.expiry import expire_lapsed_lots
from service.ledger.invariants import CHECKS
from service.ledger.issuing import Issue, issue_lots
from service.ledger.postings import Outcome
from service.runtime import Runtime
from tests.ledger.wallets import BANK, POOL, SHOP, Wallet
from tests.properties.ledger_model import Answer, ModelCitizen, Wrong

LIVE_HOLDS = """
SELECT hold_id, hold_line,
       sum(points * CASE kind WHEN 'hold' THEN 1 ELSE -1 END)::bigint,
       sum(reduction_g * CASE kind WHEN 'hold' THEN 1 ELSE -1 END)::bigint
FROM transfer WHERE citizen_id = %s AND kind IN ('hold', 'release', 'capture')
GROUP BY hold_id, hold_line
"""

OTHERWISE_COMMITTED = f"""
SELECT kind, count(*) FROM transfer JOIN account USING (citizen_id)
WHERE commitment IS DISTINCT FROM {COMMITMENT_IN_SQL} GROUP BY kind
"""

BY_THE_REAL_CLOCK = {"nothing-expires-early", "refusals-stand"}
"""Invariants that compare days with the database's clock, which does not travel."""

KIND_TERMS: dict[str, tuple[str, ...]] = {
    "hold": ("points",),
    "release": ("hold_id", "points", "carry_to"),
    "capture": ("hold_id", "points", "party"),
    "restore": ("of_id", "points", "carry_to"),
    "pool": ("of_id", "points", "party"),
    "retire": ("points", "reduction_g"),
    "donate": ("points", "party"),
    "extend": ("expires_on", "carry_to"),
}

WHO = st.integers(0, 2)
POINTS = st.integers(1, 8) | st.integers(1, 40)
PART = st.none() | st.integers(1, 6)
PARTY = st.sampled_from([BANK, SHOP, POOL])
DAYS = st.sampled_from([0, 1, 2, 4, 30])
"""Last days, counted from the machine's first day, so that lots meet and lapse."""
AHEAD = st.none() | st.sampled_from([1, 2, 10, 40])
"""Grace lots, counted from the day."""
GRANTS = st.tuples(WHO, st.integers(0, 12), st.integers(0, 60), DAYS).filter(
    lambda grant: grant[1] + grant[2] > 0
)
# What is wrong in itself, what is unknown, what lies in the past or is not later.
ODD_AMOUNTS = st.sampled_from([0, -1, 2**53])

Named = tuple[int, UUID]
"""Whose, and an id."""


class LedgerMachine(RuleBasedStateMachine):
    """Three citizens in a database, and three in memory."""

    runtime: ClassVar[Runtime]

    issues = Bundle("issues")
    holds = Bundle("holds")
    captures = Bundle("captures")

    def __init__(self) -> None:
        super().__init__()
        self.wallets = [Wallet(self.runtime, is_pipelined=number == 1) for number in range(3)]
        self.models = [ModelCitizen() for _ in range(3)]
        self.travelling = ExitStack()
        self.first_day = clock.today()
        self.reader = psycopg.connect(
            self.runtime.settings.migration_database_url, autocommit=True, prepare_threshold=1
        )

    def teardown(self) -> None:
        self.travelling.close()
        self.reader.close()

    # --- what happens ---

    @initialize(target=issues, grants=st.lists(GRANTS, min_size=5, max_size=10))
    def begin(self, grants: list[tuple[int, int, int, int]]) -> Any:
        return self._issue(grants)

    @rule(target=issues, grants=st.lists(GRANTS, min_size=1, max_size=4))
    def issue(self, grants: list[tuple[int, int, int, int]]) -> Any:
        return self._issue(grants)

    @rule(target=issues, grants=st.lists(GRANTS, min_size=12, max_size=16))
    def issue_many(self, grants: list[tuple[int, int, int, int]]) -> Any:
        return self._issue(grants)

    @rule(target=holds, who=WHO, points=POINTS)
    def hold(self, who: int, points: int) -> Named:
        return who, self._post(who, "hold", points=points)

    @rule(target=captures, who=WHO, points=st.integers(1, 8), party=PARTY)
    def redeem(self, who: int, points: int, party: UUID) -> Any:
        if self.models[who].available(clock.today()) < points:
            return multiple()
        hold_id = self._post(who, "hold", points=points)
        return who, self._post(who, "capture", hold_id=hold_id, points=points, party=party)

    @rule(held=holds, points=PART, ahead=AHEAD)
    def release(self, held: Named, points: int | None, ahead: int | None) -> None:
        self._post(held[0], "release", hold_id=held[1], points=points, carry_to=self._to(ahead))

    @rule(target=captures, held=holds, points=st.integers(1, 8), party=PARTY)
    def capture(self, held: Named, points: int, party: UUID) -> Named:
        who, hold_id = held
        return who, self._post(who, "capture", hold_id=hold_id, points=points, party=party)

    @rule(captured=captures, points=PART, ahead=AHEAD)
    def restore(self, captured: Named, points: int | None, ahead: int | None) -> None:
        who, of_id = captured
        self._post(who, "restore", of_id=of_id, points=points, carry_to=self._to(ahead))

    @rule(captured=captures, points=PART, party=PARTY)
    def pool(self, captured: Named, points: int | None, party: UUID) -> None:
        self._post(captured[0], "pool", of_id=captured[1], points=points, party=party)

    @rule(who=WHO, points=POINTS)
    def retire(self, who: int, points: int) -> None:
        self._post(who, "retire", points=points, reduction_g=None)

    @rule(who=WHO, grams=st.integers(1, 90))
    def retire_grams(self, who: int, grams: int) -> None:
        self._post(who, "retire", points=None, reduction_g=grams)

    @rule(who=WHO, points=POINTS, party=PARTY)
    def donate(self, who: int, points: int, party: UUID) -> None:
        self._post(who, "donate", points=points, party=party)

    @rule(who=WHO, day=DAYS, later=st.sampled_from([-1, 0, 1, 2, 30, 4000]))
    def extend(self, who: int, day: int, later: int) -> None:
        expires_on = self.first_day + timedelta(days=day)
        carry_to = expires_on + timedelta(days=later)
        self._post(who, "extend", expires_on=expires_on, carry_to=carry_to)

    @rule(day=DAYS, later=st.sampled_from([1, 2, 30]))
    def extend_everybodys(self, day: int, later: int) -> None:
        expires_on = self.first_day + timedelta(days=day)
        carry_to = expires_on + timedelta(days=later)
        if expires_on >= clock.today():
            extend_lots(self.runtime.database, expires_on, carry_to)
            for model in self.models:
                model.extend_by_the_scheme(expires_on, carry_to)

    @rule()
    def expire(self) -> None:
        expire_lapsed_lots(self.runtime.database, clock.today())
        for model in self.models:
            model.expire(clock.today())

    @rule(false_ones=st.lists(issues, min_size=1, max_size=4, unique=True))
    def invalidate(self, false_ones: list[Named]) -> None:
        self._invalidate(false_ones)

    @rule(false_one=issues)
    def invalidate_what_is_spent(self, false_one: Named) -> None:
        who, _ = false_one
        everything = self.models[who].available(clock.today())
        if everything:
            self._post(who, "retire", points=everything, reduction_g=None)
        self._invalidate([false_one])

    @rule(false_one=issues, party=PARTY)
    def pool_what_is_owed(self, false_one: Named, party: UUID) -> None:
        who, _ = false_one
        everything = self.models[who].available(clock.today())
        if everything:
            hold_id = self._post(who, "hold", points=everything)
            of_id = self._post(who, "capture", hold_id=hold_id, points=everything, party=BANK)
            self._invalidate([false_one])
            self._post(who, "pool", of_id=of_id, points=None, party=party)

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.travelling.enter_context(clock.shifted(timedelta(days=days)))

    # --- what happens again, or otherwise ---

    @rule(again=st.integers(0, 99))
    def repeat(self, again: int) -> None:
        for who, posting_id, kind, terms in self._one_sent(again):
            self._send(who, posting_id, kind, dict(terms))

    @rule(again=st.integers(0, 99), field=st.integers(0, 2), amount=st.integers(1, 9), party=PARTY)
    def change(self, again: int, field: int, amount: int, party: UUID) -> None:
        for who, posting_id, kind, terms in self._one_sent(again):
            names = KIND_TERMS[kind]
            name = names[field % len(names)]
            other = {
                "points": amount,
                "reduction_g": amount,
                "party": party,
                "expires_on": clock.today(),
                "carry_to": clock.today() + timedelta(days=amount),
            }.get(name, uuid4())
            if {"points", "reduction_g"} <= terms.keys() and terms[name] is None:
                continue
            self._send(who, posting_id, kind, {**terms, name: other})

    @rule(again=st.integers(0, 99), who=WHO, points=POINTS)
    def use_for_another_kind(self, again: int, who: int, points: int) -> None:
        for _, posting_id, _, _ in self._one_sent(again):
            self._send(who, posting_id, "donate", {"points": points, "party": POOL})

    @rule(issued=issues, points=POINTS)
    def use_an_issues_id(self, issued: Named, points: int) -> None:
        who, issue_id = issued
        # In a pipeline nobody waits for the write that finds out: there the commit fails.
        if (
            not self.wallets[who].is_pipelined
            and self.models[who].available(clock.today()) >= points
        ):
            self._send(who, issue_id, "hold", {"points": points})

    @rule(who=WHO, kind=st.sampled_from(["release", "capture", "restore", "pool"]))
    def go_on_with_the_unknown(self, who: int, kind: str) -> None:
        odd: dict[str, Any] = {"points": 1, "carry_to": None, "party": BANK}
        self._send(who, uuid4(), kind, {n: odd.get(n, uuid4()) for n in KIND_TERMS[kind]})

    @rule(again=st.integers(0, 99), amount=ODD_AMOUNTS)
    def ask_for_no_amount(self, again: int, amount: int) -> None:
        for who, _, kind, terms in self._one_sent(again):
            if terms.get("points") is not None:
                self._send(who, uuid4(), kind, {**terms, "points": amount})

    # --- what must hold after each step ---

    @invariant()
    def everything_is_where_the_model_says(self) -> None:
        for wallet, model in zip(self.wallets, self.models, strict=True):
            assert wallet.lots_read_by(self.reader) == model.places()

    @invariant()
    def owed_is_what_the_model_says(self) -> None:
        found = self.reader.execute(
            "SELECT citizen_id, owed_points, owed_g FROM account WHERE citizen_id = ANY(%s)",
            ([wallet.citizen_id for wallet in self.wallets],),
        )
        owed = {citizen_id: amounts for citizen_id, *amounts in found}
        for wallet, model in zip(self.wallets, self.models, strict=True):
            expected = [model.owed_points, model.owed_grams]
            assert owed.get(wallet.citizen_id, [0, 0]) == expected

    @invariant()
    def held_is_what_the_model_says(self) -> None:
        for wallet, model in zip(self.wallets, self.models, strict=True):
            rows = self.reader.execute(LIVE_HOLDS, (wallet.citizen_id,)).fetchall()
            live = {(row[0], row[1]): (row[2], row[3]) for row in rows if row[2:] != (0, 0)}
            assert live == model.live_holds()

    # --- how it is done ---

    def _issue(self, grants: list[tuple[int, int, int, int]]) -> Any:
        issues = [
            (who, uuid4(), self.first_day + timedelta(days=day), points, grams)
            for who, points, grams, day in grants
        ]
        with self.runtime.database.raw_transaction() as connection:
            whose = [self.wallets[who].citizen_id.hex for who, *_ in issues]
            issue_lots(
                connection,
                lock_accounts(connection, whose),
                [
                    Issue(citizen, each.hex, day.isoformat(), points, grams)
                    for citizen, (_, each, day, points, grams) in zip(whose, issues, strict=True)
                ],
            )
        for who, each, day, points, grams in issues:
            self.models[who].issue(each, day, points, grams)
        return multiple(*((who, each) for who, each, *_ in issues))

    def _invalidate(self, false_ones: list[Named]) -> None:
        claims = [Claim(self.wallets[who].citizen_id.hex, each.hex) for who, each in false_ones]
        with self.runtime.database.raw_transaction() as connection:
            accounts = lock_accounts(connection, [claim.citizen_id for claim in claims])
            outcomes = invalidate(connection, accounts, claims)
        for (who, issue_id), outcome in zip(false_ones, outcomes, strict=True):
            lines, is_repeat = self.models[who].invalidate(clock.today(), issue_id)
            assert (tuple(outcome.lines), outcome.is_repeat) == (lines, is_repeat)

    def _post(self, who: int, kind: str, **terms: Any) -> UUID:
        posting_id = uuid4()
        self._send(who, posting_id, kind, terms)
        return posting_id

    def _send(self, who: int, posting_id: UUID, kind: str, terms: dict[str, Any]) -> None:
        """Send one posting to both and compare what they say."""
        wallet, model = self.wallets[who], self.models[who]
        try:
            expected = model.post(clock.today(), posting_id, kind, **terms)
        except Wrong as error:
            wrong = error
        else:
            outcome = wallet.post_terms(kind, posting_id, terms)
            assert (_answer_of(outcome), outcome.is_repeat) == expected
            return
        with pytest.raises(DomainError) as caught:
            wallet.post_terms(kind, posting_id, terms)
        assert caught.value.code == wrong.code
        assert not wrong.fields or caught.value.members["field"] in wrong.fields

    def _to(self, ahead: int | None) -> date | None:
        return None if ahead is None else clock.today() + timedelta(days=ahead)

    def _one_sent(self, number: int) -> Iterator[tuple[int, UUID, str, dict[str, Any]]]:
        """Yield one of the postings that were answered, if there are any."""
        answered = [
            (who, posting_id, terms)
            for who, model in enumerate(self.models)
            for posting_id, (terms, _) in model.answers.items()
        ]
        if answered:
            who, posting_id, asked = answered[number % len(answered)]
            terms = dict(asked)
            yield who, posting_id, terms.pop("kind"), terms


def _answer_of(outcome: Outcome) -> Answer:
    if outcome.refusal is not None:
        return Answer(refusal=outcome.refusal.code)
    return Answer(tuple((*line,) for line in outcome.lines))


def test_the_ledger_moves_as_its_model_says(fresh_runtime: Runtime) -> None:
    is_deep = settings.get_current_profile_name() == "deep"
    bounds = settings.default if is_deep else settings(max_examples=60, stateful_step_count=40)

    class Here(LedgerMachine):
        runtime = fresh_runtime

    run_state_machine_as_test(
        Here,
        settings=settings(
            bounds,
            deadline=None,
            derandomize=not is_deep,
            suppress_health_check=list(HealthCheck),
        ),
    )

    checks = [check for check in CHECKS if check.name not in BY_THE_REAL_CLOCK]
    findings = run_audit(fresh_runtime.database, checks)
    assert [finding for finding in findings if finding.differences] == []
    with psycopg.connect(fresh_runtime.settings.migration_database_url) as connection:
        seen = {kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM transfer")}
        codes = {code for (code,) in connection.execute("SELECT DISTINCT code FROM refusal")}
        assert seen == {way.kind for way in CHART}
        assert codes == set(VERDICTS)
        assert connection.execute(OTHERWISE_COMMITTED).fetchall() == []
