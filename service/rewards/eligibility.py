"""Whether a citizen can redeem an offer now, and everything that stands in the way.

First everything is asked, then everything is judged: the statements travel together. An offer that
asks for no grade costs one round trip, one that asks for a grade a second one, for the window is
known only with the rules. Nothing is locked and nothing is written: the reservation decides again,
by constraints.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.clock import day_of
from service.ledger.balances import LOTS_OF, LotLine, balance_from
from service.pipelining import Connection, Rows
from service.rewards.conditions import Condition
from service.rewards.errors import NotEligible
from service.rewards.grades.assessing import Asked as GradeAsked
from service.rewards.grades.assessing import ask_grade, assessed
from service.rewards.grades.judging import Assessment, is_at_least
from service.rewards.offers.counters import Use, ask_use, uses_of
from service.rewards.offers.terms import Terms

READ_OFFER: Final = """
SELECT offer.state, offer.active_version, partner.state = 'active',
       offer_counter.quota - offer_counter.taken,
       offer_counter.budget_minor - offer_counter.budget_taken_minor
FROM offer JOIN partner ON partner.id = offer.partner_id
LEFT JOIN offer_counter ON offer_counter.offer_id = offer.id
WHERE offer.id = %s
"""

READ_STANDING: Final = "SELECT state, spending_held_until FROM citizen WHERE citizen_id = %s"

READ_OWED: Final = "SELECT owed_g FROM account WHERE citizen_id = %s"


class Asked(NamedTuple):
    """What has been asked about a citizen and an offer, and waits to be read."""

    connection: Connection
    terms: Terms
    person_id: bytes | None
    now: datetime
    offer: Rows
    standing: Rows
    lots: Rows | None
    owed: Rows | None
    uses: tuple[tuple[Use, Rows], ...]
    grade: GradeAsked | None


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether somebody can redeem an offer, condition by condition."""

    is_eligible: bool
    conditions: tuple[Condition, ...]
    facts: dict[str, Any]
    """JSON: every value that the answer follows from, to be kept beside what it was asked for."""

    @property
    def failed(self) -> tuple[Condition, ...]:
        """What stands in the way."""
        return tuple(each for each in self.conditions if not each.passed)

    def required(self) -> "Eligibility":
        """Return it, if everything is met.

        Raises:
            NotEligible: with every failed condition, which the edge says in words.
        """
        if self.is_eligible:
            return self
        raise NotEligible(
            "This offer cannot be redeemed now; failed_conditions says why.",
            failed_conditions=self.failed,
        )


def conditions_of(
    connection: Connection, citizen_id: UUID, person_id: bytes | None, terms: Terms, now: datetime
) -> Eligibility:
    """Judge every condition of an offer for one citizen.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose points and grade.
        person_id: who she is, where that is verified.
        terms: of the version that is to be redeemed.
        now: aware.
    """
    return judge(ask_facts(connection, citizen_id, person_id, terms, now))


def ask_facts(
    connection: Connection, citizen_id: UUID, person_id: bytes | None, terms: Terms, now: datetime
) -> Asked:
    """Ask for all that the terms depend on; `judge` reads it. Arguments as `conditions_of`."""
    on, wanted = day_of(now), terms.eligibility
    of_all_time = wanted.reduction_g_at_least is not None and wanted.grade_rules is None
    hers = {"citizen_id": citizen_id}
    return Asked(
        connection=connection,
        terms=terms,
        person_id=person_id,
        now=now,
        offer=connection.execute(READ_OFFER, (terms.offer_id,)),
        standing=connection.execute(READ_STANDING, (citizen_id,)),
        lots=connection.execute(LOTS_OF, hers) if terms.points or of_all_time else None,
        owed=connection.execute(READ_OWED, (citizen_id,)) if of_all_time else None,
        uses=tuple(
            (use, ask_use(connection, terms.offer_id, use))
            for use in uses_of(terms.caps, citizen_id, person_id, on)
        ),
        grade=ask_grade(connection, citizen_id, wanted.grade_rules, on)
        if wanted.grade_rules is not None
        else None,
    )


def judge(asked: Asked) -> Eligibility:
    """Judge what was asked; only a grade's own facts are asked for here."""
    conditions = [
        *_of_the_offer(asked),
        *_of_the_account(asked),
        *_of_the_points(asked),
        *_of_the_person(asked),
    ]
    grade = None
    if asked.grade is not None:
        assessment = assessed(asked.connection, asked.grade)
        conditions += _of_the_grade(asked, assessment)
        grade = _in_short(assessment)
    facts = {"conditions": [condition.values for condition in conditions], "grade": grade}
    is_eligible = all(condition.passed for condition in conditions)
    return Eligibility(is_eligible, tuple(conditions), facts)


def _of_the_offer(asked: Asked) -> list[Condition]:
    state, version, partner_is_active, left, left_minor = asked.offer.fetchone() or (
        *("retired", None, False),
        *(None, None),
    )
    terms = asked.terms
    if state == "active":
        state = _openness(terms, asked.now, version=version, partner_is_active=partner_is_active)
    found = [Condition("offer-not-active", "active", state, state == "active")]
    if left is not None:
        found.append(Condition("offer-quota-exhausted", 1, left, left >= 1))
    if left_minor is not None:
        needed = terms.subsidy_minor
        enough = left_minor >= needed
        found.append(Condition("campaign-budget-exhausted", needed, left_minor, enough))
    return found


def _openness(terms: Terms, now: datetime, *, version: int | None, partner_is_active: bool) -> str:
    """Return how open an active offer is on these terms."""
    if not partner_is_active:
        return "paused"
    if version != terms.version:
        return "terms_changed"
    if now < terms.valid_from:
        return "not_yet_open"
    return "active" if now < terms.valid_to else "closed"


def _of_the_account(asked: Asked) -> list[Condition]:
    state, held_until = asked.standing.fetchone() or ("erased", None)
    found = [Condition("account-frozen", "active", state, state == "active")]
    if asked.terms.points and held_until is not None:
        is_free = held_until <= asked.now
        until = None if is_free else held_until.isoformat()
        found.append(Condition("spending-held", None, until, is_free))
    return found


def _of_the_points(asked: Asked) -> list[Condition]:
    """Return whether points are enough, and grams of all time where no rules name a window."""
    if asked.lots is None:
        return []
    lots = asked.lots.fetchall()
    found = []
    if asked.terms.points:
        available = balance_from(lots, day_of(asked.now)).available_points
        needed = asked.terms.points
        found.append(Condition("points-too-few", needed, available, available >= needed))
    if asked.owed is not None:
        (owed_g,) = asked.owed.fetchone() or (0,)
        stands_g = sum(line.issued_g - line.invalidated_g for line in map(LotLine._make, lots))
        found.append(_enough_grams(asked.terms, stands_g - owed_g))
    return found


def _of_the_person(asked: Asked) -> list[Condition]:
    found = []
    caps = asked.terms.caps
    if asked.terms.eligibility.person_required or caps.per_person is not None:
        is_verified = asked.person_id is not None
        found.append(Condition("person-not-verified", True, is_verified, is_verified))
    for use, rows in asked.uses:
        (taken,) = rows.fetchone() or (0,)
        about = f"per_{use.holder_kind}"
        found.append(Condition("person-limit-reached", use.most, taken, taken < use.most, about))
    return found


def _of_the_grade(asked: Asked, assessment: Assessment | None) -> list[Condition]:
    wanted = asked.terms.eligibility
    if assessment is None:
        return [Condition("grade-unknown", wanted.grade_rules, None, passed=False)]
    found = []
    if wanted.grade_at_least is not None:
        enough = is_at_least(assessment.grade, wanted.grade_at_least)
        found.append(Condition("grade-too-low", wanted.grade_at_least, assessment.grade, enough))
    if wanted.reduction_g_at_least is not None:
        found.append(_enough_grams(asked.terms, assessment.facts["reduction_g"]))
    return found


def _enough_grams(terms: Terms, stands_g: int) -> Condition:
    needed = terms.eligibility.reduction_g_at_least or 0
    return Condition("reduction-too-small", needed, stands_g, stands_g >= needed)


def _in_short(assessment: Assessment | None) -> dict[str, Any] | None:
    """Return what a quote keeps of an assessment: enough to find it again, and no behavior."""
    if assessment is None:
        return None
    return {
        "grade": assessment.grade,
        "rules": assessment.rules_name,
        "rules_version": assessment.rules_version,
        "from": assessment.window_from.isoformat(),
        "to": assessment.window_to.isoformat(),
        "facts_digest": assessment.facts_digest,
    }
