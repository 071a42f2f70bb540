"""From facts to a grade, with reasons; pure, so that the same facts always give the same answer."""

import hashlib
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, NamedTuple, get_args
from uuid import UUID

import rfc8785

from service.activities.totals import CertifiedTotals
from service.messages import Language
from service.rewards.conditions import Condition

GradeName = Literal["light_green", "medium_green", "deep_green"]

GRADES: Final[tuple[GradeName, ...]] = get_args(GradeName)
"""浅绿, 中绿, 深绿: the lowest first."""

MONTHS_IN_YEAR: Final = 12


class Threshold(NamedTuple):
    """What one grade takes: grams and breadth, both."""

    grade: GradeName
    reduction_g_at_least: int
    behaviors_at_least: int


class Rules(NamedTuple):
    """One version of grade rules, as far as a judgement depends on it."""

    name: str
    version: int
    window_months: int
    thresholds: tuple[Threshold, ...]
    """The lowest grade first."""


class Raised(NamedTuple):
    """What a human decided about somebody's grade, and until when it holds."""

    review_id: UUID
    grade: GradeName
    holds_until: date


class Window(NamedTuple):
    """Days in Asia/Shanghai, the last one included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Assessment:
    """A grade on a day, and everything it follows from."""

    grade: GradeName | None
    next_grade: GradeName | None
    """The one above, if the rules have one."""
    rules_name: str
    rules_version: int
    window_from: date
    window_to: date
    facts: dict[str, Any]
    """`reduction_g`, `active_days` and `behaviors`: for each its `reduction_g`, `acts`, `days`."""
    facts_digest: str
    """SHA-256 (hex) of rules, window, facts and human decision as RFC 8785 writes them."""
    raised: Raised | None
    conditions: tuple[Condition, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The assessment as JSON, to be kept and to be shown (see `in_words`)."""
        return {
            "grade": self.grade,
            "next_grade": self.next_grade,
            "rules": {"name": self.rules_name, "version": self.rules_version},
            "period": {"from": self.window_from.isoformat(), "to": self.window_to.isoformat()},
            "facts": self.facts,
            "facts_digest": self.facts_digest,
            "raised_until": self.raised.holds_until.isoformat() if self.raised else None,
            "conditions": [
                {**condition.values, "passed": condition.passed} for condition in self.conditions
            ],
        }


def in_words(document: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return an assessment's document with each condition said in a sentence."""
    told = [Condition(**condition).view(language) for condition in document["conditions"]]
    return {**document, "conditions": told}


def window_of(months: int, on: date) -> Window:
    """Return the whole months that end with a day.

    Three months back from 20 November begin on 21 August. Where the month has no such day, its
    last one stands for it: three months back from 31 May begin on 1 March.
    """
    whole = on.year * MONTHS_IN_YEAR + on.month - 1 - months
    year, month = whole // MONTHS_IN_YEAR, whole % MONTHS_IN_YEAR + 1
    before = date(year, month, min(on.day, monthrange(year, month)[1]))
    return Window(before + timedelta(days=1), on)


def is_at_least(grade: str | None, required: str) -> bool:
    """Say whether a grade is a certain one or above it."""
    return rank(grade) >= rank(required)


def rank(grade: str | None) -> int:
    """Return a grade's place among all, from 1; 0 for none."""
    return 0 if grade is None else GRADES.index(grade) + 1


def judge(rules: Rules, on: date, totals: CertifiedTotals, raised: Raised | None) -> Assessment:
    """Return the grade that follows from facts.

    Args:
        rules: in force on the day.
        on: the day, Asia/Shanghai.
        totals: of the rules' window.
        raised: a human decision that holds on the day; it can only raise a grade.
    """
    earned = _earned(rules.thresholds, totals)
    counts = raised if raised is not None and rank(raised.grade) > rank(earned) else None
    grade = counts.grade if counts else earned
    above = [each for each in rules.thresholds if rank(each.grade) > rank(grade)]
    window, facts = window_of(rules.window_months, on), facts_of(totals)
    return Assessment(
        grade=grade,
        next_grade=above[0].grade if above else None,
        rules_name=rules.name,
        rules_version=rules.version,
        window_from=window.first,
        window_to=window.last,
        facts=facts,
        facts_digest=_digest(rules, window, facts, counts),
        raised=counts,
        conditions=tuple(_reasons(rules.thresholds, totals, grade, counts, above[:1])),
    )


def facts_of(totals: CertifiedTotals) -> dict[str, Any]:
    """Return totals as JSON."""
    behaviors = {each.behavior: each._asdict() for each in totals.behaviors}
    for each in behaviors.values():
        del each["behavior"]
    return {
        "reduction_g": totals.reduction_g,
        "active_days": totals.days,
        "behaviors": behaviors,
    }


def _earned(thresholds: Sequence[Threshold], totals: CertifiedTotals) -> GradeName | None:
    met = [each.grade for each in thresholds if all(c.passed for c in _asked(each, totals))]
    return max(met, key=rank, default=None)


def _asked(threshold: Threshold, totals: CertifiedTotals) -> tuple[Condition, Condition]:
    grams, breadth = totals.reduction_g, len(totals.behaviors)
    needed_g, needed = threshold.reduction_g_at_least, threshold.behaviors_at_least
    about = threshold.grade
    return (
        Condition("reduction-in-window", needed_g, grams, grams >= needed_g, about),
        Condition("behaviors-in-window", needed, breadth, breadth >= needed, about),
    )


def _reasons(
    thresholds: Sequence[Threshold],
    totals: CertifiedTotals,
    grade: GradeName | None,
    raised: Raised | None,
    above: Sequence[Threshold],
) -> list[Condition]:
    """Return why the grade is this one, and what the next one takes."""
    reasons = []
    if raised is not None:
        until = raised.holds_until.isoformat()
        reasons.append(Condition("raised-by-human", raised.grade, until, passed=True))
    reached = [each for each in thresholds if each.grade == grade]
    for threshold in (*reached, *above):
        reasons.extend(_asked(threshold, totals))
    return reasons


def _digest(rules: Rules, window: Window, facts: dict[str, Any], raised: Raised | None) -> str:
    canonical = rfc8785.dumps(
        {
            "rules": {"name": rules.name, "version": rules.version},
            "window": [window.first.isoformat(), window.last.isoformat()],
            "facts": facts,
            "raised": [raised.grade, raised.holds_until.isoformat()] if raised else None,
        }
    )
    return hashlib.sha256(canonical).hexdigest()
