"""How much of an offer is taken, exactly, whoever comes at the same time.

Constraints decide, so that no statement waits for an answer: what goes too far fails at the commit
and takes the whole redemption with it. Rows are locked in one order: the citizen's, the person's,
and last the offer's own, which everybody wants.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.errors import DomainError
from service.pipelining import Connection, Rows
from service.rewards.errors import (
    CampaignBudgetExhausted,
    OfferQuotaExhausted,
    PersonLimitReached,
)
from service.rewards.offers.periods import next_period_start, period_start
from service.rewards.offers.terms import Caps, Period

__all__ = [
    "Counter",
    "Taking",
    "Use",
    "ask_counter",
    "ask_use",
    "counter_from",
    "give_back",
    "give_back_budget",
    "next_period_start",
    "period_start",
    "refusal_of",
    "take",
    "uses_of",
]

HolderKind = Literal["citizen", "person"]

TAKE_USE: Final = """
INSERT INTO offer_use (offer_id, holder_kind, holder, starts_on, taken, most)
VALUES (%s, %s, %s, %s, 1, %s)
ON CONFLICT (offer_id, holder_kind, holder, starts_on)
DO UPDATE SET taken = offer_use.taken + 1, most = excluded.most
"""

TAKE: Final = """
UPDATE offer_counter SET taken = taken + 1, budget_taken_minor = budget_taken_minor + %s
WHERE offer_id = %s
"""

GIVE_BACK_USE: Final = """
UPDATE offer_use SET taken = taken - 1
WHERE offer_id = %s AND holder_kind = %s AND holder = %s AND starts_on = %s
"""

GIVE_BACK: Final = """
UPDATE offer_counter SET taken = taken - 1, budget_taken_minor = budget_taken_minor - %s
WHERE offer_id = %s
"""

GIVE_BACK_BUDGET: Final = """
UPDATE offer_counter SET budget_taken_minor = budget_taken_minor - %s WHERE offer_id = %s
"""

READ_COUNTER: Final = """
SELECT quota, taken, budget_minor, budget_taken_minor FROM offer_counter WHERE offer_id = %s
"""

READ_USE: Final = """
SELECT taken FROM offer_use
WHERE offer_id = %s AND holder_kind = %s AND holder = %s AND starts_on = %s
"""


_HOLDER_KIND: Final = re.compile(r", (citizen|person), ")


class Use(NamedTuple):
    """One more redemption of somebody in one period."""

    holder_kind: HolderKind
    holder: bytes
    starts_on: date
    most: int
    period: Period


class Taking(NamedTuple):
    """What one redemption takes of an offer, besides one of its quota."""

    offer_id: UUID
    subsidy_minor: int
    uses: tuple[Use, ...]


class Counter(NamedTuple):
    """How much of an offer there is, and how much of it is taken."""

    quota: int | None
    taken: int
    budget_minor: int | None
    budget_taken_minor: int


def uses_of(caps: Caps, citizen_id: UUID, person_id: bytes | None, on: date) -> tuple[Use, ...]:
    """Return what a citizen's redemption counts against, on a day in Asia/Shanghai.

    Args:
        caps: of the terms.
        citizen_id: whose account.
        person_id: who she is, where that is verified; a cap per person asks for it.
        on: the day of the reservation.
    """
    counted: list[tuple[HolderKind, bytes | None, str]] = [
        ("citizen", citizen_id.bytes, "per_citizen"),
        ("person", person_id, "per_person"),
    ]
    return tuple(
        Use(kind, holder, period_start(cap.period, on), cap.most, cap.period)
        for kind, holder, name in counted
        if (cap := getattr(caps, name)) is not None and holder is not None
    )


def take(connection: Connection, taking: Taking) -> None:
    """Take one of an offer; the constraints refuse what is too much (see `refusal_of`)."""
    for use in sorted(taking.uses):
        connection.execute(
            TAKE_USE, (taking.offer_id, use.holder_kind, use.holder, use.starts_on, use.most)
        )
    connection.execute(TAKE, (taking.subsidy_minor, taking.offer_id))


def give_back(
    connection: Connection,
    offer_id: UUID,
    uses: Sequence[tuple[HolderKind, bytes, date]],
    subsidy_minor: int,
) -> None:
    """Give back what a redemption had taken, once: the caller has just ended it."""
    for holder_kind, holder, starts_on in sorted(uses):
        connection.execute(GIVE_BACK_USE, (offer_id, holder_kind, holder, starts_on))
    connection.execute(GIVE_BACK, (subsidy_minor, offer_id))


def give_back_budget(connection: Connection, offer_id: UUID, subsidy_minor: int) -> None:
    """Give back the part of the budget that a partial capture leaves."""
    connection.execute(GIVE_BACK_BUDGET, (subsidy_minor, offer_id))


def ask_counter(connection: Connection, offer_id: UUID) -> Rows:
    """Ask how much of an offer is taken; `counter_from` reads the answer."""
    return connection.execute(READ_COUNTER, (offer_id,))


def counter_from(rows: Rows) -> Counter:
    """Return what was asked for."""
    row = rows.fetchone()
    assert row is not None  # noqa: S101  it is made together with the offer
    return Counter(*row)


def ask_use(connection: Connection, offer_id: UUID, use: Use) -> Rows:
    """Ask how often somebody has taken an offer in a period: one row with a number, or none."""
    return connection.execute(READ_USE, (offer_id, use.holder_kind, use.holder, use.starts_on))


def refusal_of(
    error: psycopg.errors.IntegrityError, taking: Taking | None = None
) -> DomainError | None:
    """Return the refusal that a failed constraint stands for; None: it is not one of ours.

    Args:
        error: what the commit, or a statement before it, has failed with.
        taking: what was to be taken; without it a refusal does not say for how long it holds.
    """
    match error.diag.constraint_name:
        case "ck_offer_counter_quota_kept":
            return OfferQuotaExhausted("Everything of this offer is taken.")
        case "ck_offer_counter_budget_kept":
            return CampaignBudgetExhausted("The budget of this offer is used up.")
        case "ck_offer_use_person_limit_kept":
            return _limit_reached(error, taking.uses if taking else ())
    return None


def _limit_reached(error: psycopg.errors.IntegrityError, uses: Sequence[Use]) -> PersonLimitReached:
    # The failing row is told in the detail; of whom it is says which cap was reached.
    said = _HOLDER_KIND.search(error.diag.message_detail or "")
    for use in uses:
        if len(uses) == 1 or (said and said[1] == use.holder_kind):
            return limit_reached(use)
    return PersonLimitReached("You have taken this offer as often as one person may.")


def limit_reached(use: Use) -> PersonLimitReached:
    """Return the refusal to take an offer more often than a cap allows."""
    ends = next_period_start(use.period, use.starts_on)
    return PersonLimitReached(
        "This offer can be taken {limit} times per person in its period ({period})."
        if ends
        else "This offer can be taken {limit} times per person.",
        limit=use.most,
        period=use.period,
        next_available_at=clock.start_of(ends).isoformat() if ends else None,
    )
