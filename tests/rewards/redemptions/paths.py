"""Ways into every state of a redemption, and every step that somebody may try there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg

from service import clock
from service.errors import DomainError
from service.ids import REDEMPTION, uuid_of
from service.pipelining import Connection
from service.rewards.redemptions.ending import close, expire
from service.rewards.redemptions.following_up import follow_up
from service.rewards.redemptions.maturing import mature
from service.rewards.redemptions.partner_answers import PartnerAnswer, no_answer
from service.rewards.redemptions.settling import settle
from service.rewards.redemptions.steps import (
    SERVICE,
    Redemption,
    ask_locked,
    record_id,
    redemption_from,
)
from tests.rewards.market import Customer, Market, Offered, a_person
from tests.rewards.redemptions.staff import post, resolve

POINTS = 100
"""Of an offer that moves points."""
WORDS = {"reason": "other", "words": "This is not what I was promised."}


class Case(NamedTuple):
    """One redemption, and those whom it concerns."""

    market: Market
    offered: Offered
    customer: Customer
    id: str

    @property
    def mode(self) -> str:
        return self.offered.terms.mode

    @contextmanager
    def locked(self) -> Iterator[tuple[psycopg.Connection[Any], Redemption]]:
        with self.market.runtime.database.raw_transaction() as connection:
            rows = ask_locked(connection, uuid_of(REDEMPTION, self.id))
            yield connection, redemption_from(rows)

    def books(self) -> tuple[Any, ...]:
        """Return everything that a step could have moved."""
        return (
            self.market.state(self.id),
            self.market.points(self.customer.id),
            self.market.taken(self.offered),
            self.uses(),
            self.market.records(self.id),
        )

    def uses(self) -> int:
        """Return how often the caps' counters say that the offer was taken."""
        with self.market.runtime.database.raw_transaction() as connection:
            query = "SELECT coalesce(sum(taken), 0)::bigint FROM offer_use WHERE offer_id = %s"
            return int(connection.execute(query, [self.offered.id]).fetchall()[0][0])


def begun(market: Market, mode: str, **terms: Any) -> Case:
    """Return a reservation of an offer that counts everything there is to count."""
    offered = counted_offer(market, mode, **terms)
    points = 250 if offered.terms.points else 0
    customer = market.customer(offered.partner_id, points, grams=3 * points, person_id=a_person())
    return Case(market, offered, customer, market.reserved(customer, offered))


def counted_offer(market: Market, mode: str, **terms: Any) -> Offered:
    if mode != "attest":
        terms = {"caps": {"per_citizen": {"period": "quarter", "most": 1}}, **terms}
    return market.offer(mode=mode, quota=10, budget_minor=100_000, **terms)


# --- steps: what each tries, and the code with which it is refused; None: it is done -------------

Step = Callable[[Case], str | None]


def _by_citizen(path: str, body: dict[str, Any]) -> Step:
    def step(case: Case) -> str | None:
        url = f"/v1/redemptions/{case.id}/{path}"
        return _code(post(case.market, url, body, case.market.as_citizen(case.customer)))

    return step


def _by_partner(path: str, body: dict[str, Any]) -> Step:
    return lambda case: _code(case.market.step(case.offered, case.id, path, body))


def _code(answer: Any) -> str | None:
    return None if answer.status_code < 300 else str(answer.get_json()["code"])


def _inside(work: Callable[[Connection, Redemption], object]) -> Step:
    """Return a step that the service takes by itself."""

    def step(case: Case) -> str | None:
        try:
            with case.locked() as (connection, redemption):
                work(connection, redemption)
        except DomainError as refusal:
            return refusal.code
        return None

    return step


def _mature(case: Case) -> str | None:
    with clock.shifted(timedelta(days=31)):
        return _inside(lambda connection, it: mature(connection, it, SERVICE))(case)


def _settle(connection: Connection, redemption: Redemption) -> None:
    assert isinstance(connection, psycopg.Connection)
    settle(connection, {redemption.id: record_id(redemption.id, 3)}, f"stb_{redemption.version}")


def _expire(connection: Connection, redemption: Redemption) -> None:
    """Let time pass, and the partner say that it knows of nothing if it was shown anything."""
    if redemption.state == "submitted":
        assert isinstance(connection, psycopg.Connection)
        follow_up(connection, redemption, PartnerAnswer("none"))
    else:
        expire(connection, redemption, SERVICE, {})


def _answered(answer: PartnerAnswer) -> Callable[[Connection, Redemption], object]:
    def work(connection: Connection, redemption: Redemption) -> None:
        assert isinstance(connection, psycopg.Connection)
        redemption.require_step("unknown")  # the janitor asks about no others
        follow_up(connection, redemption, answer)

    return work


STEPS: Mapping[str, Step] = {
    "submission": _by_citizen("submissions", {}),
    "capture": lambda case: _code(case.market.capture(case.offered, case.id)),
    "decline": _by_partner("declines", {"reason": "not-approved"}),
    "void by partner": _by_partner("voids", {}),
    "void by citizen": _by_citizen("voids", {}),
    "expiry": _inside(_expire),
    "unknown": _inside(_answered(no_answer("timeout"))),
    "closure": _inside(lambda connection, it: close(connection, it, SERVICE)),
    "maturity": _mature,
    "reversal": _by_partner("reversals", {"reason": "not-drawn"}),
    "dispute": _by_citizen("disputes", WORDS),
    "resolution": lambda case: _code(resolve(case.market, case.id, "settled")),
    "settlement": _inside(_settle),
}

PART = {"reason": "not-drawn", "points": 40}

WAY_INTO: Mapping[str, tuple[str, ...]] = {
    "reserved": (),
    "submitted": ("submission",),
    "unknown": ("submission", "unknown"),
    "captured": ("submission", "capture"),
    "settled": ("submission", "capture", "settlement"),
    "partially_reversed": ("submission", "capture", "part"),
    "reversed": ("submission", "capture", "reversal"),
    "disputed": ("submission", "capture", "settlement", "dispute"),
    "declined": ("submission", "decline"),
    "voided": ("submission", "void by partner"),
    "expired": ("submission", "expiry"),
    "closed": ("submission", "expiry", "closure"),
}
"""From the reservation; `closed` is an expired one whose grace is over."""


def brought_to(market: Market, mode: str, state: str, **terms: Any) -> Case:
    """Return a redemption in a state."""
    case = begun(market, mode, **terms)
    for name in WAY_INTO[state]:
        step = _by_partner("reversals", PART) if name == "part" else STEPS[name]
        refusal = step(case)
        assert refusal is None, (state, name, refusal)
    return case
