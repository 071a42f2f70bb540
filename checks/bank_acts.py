"""What the bank check's drivers do to citizens' points: one function for each thing, at random."""

import random
from collections import deque
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from checks.town import Town, erase
from service import clock
from service.ledger.accounts import lock_accounts
from service.ledger.captures import pool, restore
from service.ledger.carrying import extend
from service.ledger.clawback import Claim, invalidate
from service.ledger.errors import PostingConflict
from service.ledger.expiry import expire
from service.ledger.holds import capture, hold, release
from service.ledger.issuing import Issue, issue_lots
from service.ledger.postings import Outcome
from service.ledger.spending import donate, retire
from service.runtime import Runtime

LOT_DAYS: Final = (-3, 0, 5, 40, 90, 400)
"""Last days of the lots, from today: some have lapsed, so that expiry has work."""
REMEMBERED: Final = 200
HOT_SHARE: Final = 0.8
PARTY: Final = UUID(int=7)

Connection = psycopg.Connection[Any]
Deed = Callable[[Connection], Outcome]


class Done(NamedTuple):
    """A posting that was answered, and how to ask for it again."""

    citizen_id: UUID
    outcome: Outcome
    again: Deed
    otherwise: Deed | None
    """The same id with other terms."""


class Clerk:
    """Does one thing after another; what it has opened, it goes on with later."""

    def __init__(
        self, runtime: Runtime, town: Town, hot: list[UUID], chance: random.Random
    ) -> None:
        """Begin with everybody present and nothing open."""
        self._runtime = runtime
        self._town = town
        self._hot = hot
        self._chance = chance
        self._present = [each for each in town.citizens.values() if each not in set(hot)]
        self._holds: deque[tuple[UUID, UUID]] = deque(maxlen=REMEMBERED)
        self._captures: deque[tuple[UUID, UUID]] = deque(maxlen=REMEMBERED)
        self._issues: deque[tuple[UUID, UUID]] = deque(maxlen=REMEMBERED)
        self.done: list[Done] = []

    # --- single postings -----------------------------------------------------------------------

    def hold(self) -> None:
        """Reserve some points."""
        citizen, points = self._someone(), self._chance.randint(1, 60)
        posting = self._new_id()
        self._post(
            citizen,
            lambda c: hold(c, citizen, posting, points),
            lambda c: hold(c, citizen, posting, points + 1),
        )
        self._holds.append((citizen, posting))

    def capture(self) -> None:
        """Redeem a part of a hold, or more than is in it."""
        if not self._holds:
            return self.hold()
        citizen, of = self._chance.choice(self._holds)
        posting, points = self._new_id(), self._chance.randint(1, 30)
        self._post(
            citizen,
            lambda c: capture(c, citizen, posting, of, points, PARTY),
            lambda c: capture(c, citizen, posting, of, points, UUID(int=8)),
        )
        self._captures.append((citizen, posting))
        return None

    def release(self) -> None:
        """Give back a part of a hold, or all of it."""
        if not self._holds:
            return self.hold()
        citizen, of = self._chance.choice(self._holds)
        posting, points = self._new_id(), self._part()
        return self._post(citizen, lambda c: release(c, citizen, posting, of, points))

    def restore(self) -> None:
        """Undo a part of a capture."""
        self._after_a_capture(restore)

    def pool(self) -> None:
        """Hand a part of a capture to a pool."""
        self._after_a_capture(lambda c, who, new, of, points: pool(c, who, new, of, PARTY, points))

    def retire(self) -> None:
        """Use up points or grams."""
        citizen, posting, amount = self._someone(), self._new_id(), self._chance.randint(1, 40)
        measure = self._chance.choice(["points", "reduction_g"])
        other = "reduction_g" if measure == "points" else "points"
        self._post(
            citizen,
            lambda c: retire(c, citizen, posting, **{measure: amount}),
            lambda c: retire(c, citizen, posting, **{other: amount}),
        )

    def donate(self) -> None:
        """Give points to a pool."""
        citizen, posting, points = self._someone(), self._new_id(), self._chance.randint(1, 20)
        self._post(
            citizen,
            lambda c: donate(c, citizen, posting, points, PARTY),
            lambda c: hold(c, citizen, posting, points),
        )

    def extend(self) -> None:
        """Carry one lot to a later day."""
        citizen, posting = self._someone(), self._new_id()
        first, then = sorted(self._chance.sample([0, 5, 40, 90, 400], 2))
        self._post(citizen, lambda c: extend(c, citizen, posting, _day(first), _day(then)))

    def repeat(self) -> None:
        """Send an old id again: the first answer comes back."""
        if self.done:
            before = self._chance.choice(self.done)
            with self._runtime.database.raw_transaction() as connection:
                now = before.again(connection)
            if not now.is_repeat or answer_of(now) != answer_of(before.outcome):
                raise AssertionError(f"{before.outcome} was answered as {now} when asked again")

    def repeat_otherwise(self) -> None:
        """Send an old id with other terms: a conflict that names the field."""
        asked = [each.otherwise for each in self.done[-REMEMBERED:] if each.otherwise]
        if not asked:
            return
        try:
            with self._runtime.database.raw_transaction() as connection:
                self._chance.choice(asked)(connection)
        except PostingConflict as conflict:
            assert conflict.members["field"]  # noqa: PT017  the refusal is what is expected
        else:
            raise AssertionError("an id was good for two things")

    # --- several citizens at once ----------------------------------------------------------------

    def issue(self) -> None:
        """Issue to several citizens at once, into lots that live or have lapsed."""
        citizens = {self._someone() for _ in range(self._chance.randint(1, 4))}
        issues = [
            Issue(
                citizen.hex,
                self._new_id().hex,
                _day(self._chance.choice(LOT_DAYS)).isoformat(),
                self._chance.randint(0, 100),
                self._chance.randint(1, 999),
            )
            for citizen in citizens
        ]
        with self._runtime.database.raw_transaction() as connection:
            accounts = lock_accounts(connection, [each.citizen_id for each in issues])
            issue_lots(connection, accounts, issues)
        self._issues += [(UUID(each.citizen_id), UUID(each.transfer_id)) for each in issues]

    def invalidate(self) -> None:
        """Claw back several issues at once."""
        if not self._issues:
            return self.issue()
        known = list(self._issues)
        some = self._chance.sample(known, min(len(known), self._chance.randint(1, 3)))
        claims = [Claim(citizen.hex, issue.hex) for citizen, issue in some]
        with self._runtime.database.raw_transaction() as connection:
            accounts = lock_accounts(connection, [claim.citizen_id for claim in claims])
            invalidate(connection, accounts, claims)
        return None

    def expire(self) -> None:
        """Book what has lapsed, of the hot wallets and some others."""
        some = self._chance.sample(self._present, min(len(self._present), 10))
        citizens = sorted({each.hex for each in [*some, *self._hot]})
        with self._runtime.database.raw_transaction() as connection:
            expire(connection, lock_accounts(connection, citizens), citizens, clock.today())

    # --- coming and going ------------------------------------------------------------------------

    def join(self) -> None:
        """Let somebody come who is served from then on."""
        self._present += self._town.join([f"new-{self._new_id().hex}"]).values()

    def leave(self) -> None:
        """Erase somebody; what was begun with her points is finished all the same."""
        erase(self._runtime, self._chance.choice(self._present))

    # --- parts -----------------------------------------------------------------------------------

    def _post(self, citizen_id: UUID, deed: Deed, otherwise: Deed | None = None) -> None:
        with self._runtime.database.raw_transaction() as connection:
            outcome = deed(connection)
        self.done.append(Done(citizen_id, outcome, deed, otherwise))
        outcome.raise_refusal()

    def _after_a_capture(
        self, go_on: Callable[[Connection, UUID, UUID, UUID, int | None], Outcome]
    ) -> None:
        if not self._captures:
            return self.capture()
        citizen, of = self._chance.choice(self._captures)
        posting, points = self._new_id(), self._part()
        return self._post(citizen, lambda c: go_on(c, citizen, posting, of, points))

    def _someone(self) -> UUID:
        crowd = self._hot if self._chance.random() < HOT_SHARE else self._present
        return self._chance.choice(crowd)

    def _part(self) -> int | None:
        """Return an amount, or None for all there is."""
        return None if self._chance.random() < 0.3 else self._chance.randint(1, 20)

    def _new_id(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128), version=4)


DEEDS: Final[dict[Callable[[Clerk], None], int]] = {
    Clerk.issue: 20,
    Clerk.hold: 20,
    Clerk.capture: 14,
    Clerk.release: 8,
    Clerk.restore: 6,
    Clerk.pool: 4,
    Clerk.retire: 6,
    Clerk.donate: 5,
    Clerk.extend: 4,
    Clerk.invalidate: 5,
    Clerk.expire: 2,
    Clerk.repeat: 8,
    Clerk.repeat_otherwise: 2,
    Clerk.join: 2,
    Clerk.leave: 1,
}
"""How often each is done."""


def answer_of(outcome: Outcome) -> tuple[object, ...]:
    """Return what two answers to one id must have in common."""
    refusal = outcome.refusal
    return outcome.lines, refusal and (refusal.code, refusal.members)


def _day(days_from_now: int) -> date:
    return clock.today() + timedelta(days=days_from_now)
