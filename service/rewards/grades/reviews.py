"""A citizen asks a human to look at her grade; the human decides, once, and can only raise it.

Her words and the human's may name people, so they stand in tables that an erasure empties.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from service.rewards.grades.assessing import assess
from service.rewards.grades.errors import (
    GradeNotRaised,
    GradeReviewDecided,
    GradeReviewOpen,
    GradeReviewUnknown,
)
from service.rewards.grades.judging import rank

Ruling = Literal["upheld", "changed"]
ReviewState = Literal["open", "upheld", "changed"]

ONE_OF_A_CITIZEN_AT_A_TIME: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('grade_review ' || %s::text, 0))
"""

READ: Final = """
SELECT r.id, r.citizen_id, r.rules_name, r.rules_version, r.grade, r.assessment, r.words,
       r.recorded_at, coalesce(d.decision, 'open') AS state, d.grade AS new_grade, d.holds_until,
       d.reason, d.decided_by, d.recorded_at AS decided_at
FROM grade_review r
LEFT JOIN grade_review_decision d ON d.citizen_id = r.citizen_id AND d.review_id = r.id
"""

READ_BY_ID: Final = f"{READ} WHERE r.id = %s"

READ_OPEN: Final = f"""{READ}
WHERE r.citizen_id = %s AND r.rules_name = %s AND d.review_id IS NULL
"""

READ_PAGE: Final = f"""{READ}
WHERE (%(state)s::text IS NULL OR coalesce(d.decision, 'open') = %(state)s)
  AND (%(citizen_id)s::uuid IS NULL OR r.citizen_id = %(citizen_id)s)
  AND (%(after)s::timestamptz IS NULL OR (r.recorded_at, r.id) > (%(after)s, %(after_id)s))
ORDER BY r.recorded_at, r.id LIMIT %(rows)s
"""

MAKE: Final = """
INSERT INTO grade_review (citizen_id, id, rules_name, rules_version, grade, assessment, words)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

DECIDE: Final = """
INSERT INTO grade_review_decision
    (citizen_id, review_id, decision, grade, holds_until, reason, decided_by)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class Decision(NamedTuple):
    """What a human decides."""

    ruling: Ruling
    grade: str | None
    holds_until: date | None
    """Last day, Asia/Shanghai."""
    reason: str


@dataclass(frozen=True, slots=True)
class Review:
    """A review and, once it is decided, the answer."""

    id: UUID
    citizen_id: UUID
    rules_name: str
    rules_version: int | None
    grade: str | None
    """As it was when she asked."""
    assessment: dict[str, Any]
    words: str
    recorded_at: datetime
    state: ReviewState
    new_grade: str | None
    holds_until: date | None
    reason: str | None
    decided_by: UUID | None
    decided_at: datetime | None

    @property
    def position(self) -> list[str | int]:
        """Where a list that is cut after this review goes on."""
        return [self.recorded_at.isoformat(), self.id.hex]


def make_review(
    connection: psycopg.Connection[Any], citizen_id: UUID, rules_name: str, words: str, today: date
) -> tuple[Review, bool]:
    """Ask for a human to look at a grade, and keep the assessment as it is now.

    Returns:
        The review, and whether it is new: the same words again are the same review.

    Raises:
        GradeRulesNotInForce: there is no such grade to look at.
        GradeReviewOpen: one with other words waits.
    """
    connection.execute(ONE_OF_A_CITIZEN_AT_A_TIME, [citizen_id])
    waiting = _one(connection, READ_OPEN, (citizen_id, rules_name))
    if waiting is not None:
        return _same(waiting, words), False
    seen = assess(connection, citizen_id, rules_name, today)
    review_id = uuid4()
    kept = seen.rules_version, seen.grade, json.dumps(seen.document), words
    connection.execute(MAKE, (citizen_id, review_id, rules_name, *kept))
    return _review(connection, review_id), True


def reviews(
    connection: psycopg.Connection[Any],
    after: Sequence[str | int] | None,
    rows: int,
    *,
    citizen_id: UUID | None = None,
    state: ReviewState | None = None,
) -> list[Review]:
    """Return reviews, the oldest first: one citizen's, or everybody's."""
    moment, review_id = after or (None, None)
    terms = {
        "citizen_id": citizen_id,
        "state": state,
        "after": moment,
        "after_id": review_id,
        "rows": rows,
    }
    with connection.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(READ_PAGE, terms).fetchall()


def is_under_review(connection: psycopg.Connection[Any], citizen_id: UUID, rules_name: str) -> bool:
    """Say whether a human was asked to look at a grade and has not answered yet."""
    return _one(connection, READ_OPEN, (citizen_id, rules_name)) is not None


def decide_review(
    connection: psycopg.Connection[Any],
    review_id: UUID,
    decision: Decision,
    decided_by: UUID,
    today: date,
) -> tuple[Review, bool]:
    """Decide a review, once.

    Returns:
        The decided review, and whether the decision is new.

    Raises:
        GradeReviewUnknown: there is no such review.
        GradeNotRaised: a change is no higher grade, or holds until a day that is over.
        GradeReviewDecided: on other terms, or by somebody else.
    """
    review = _review(connection, review_id)
    _require_raise(review, decision, today)
    terms = (review.citizen_id, review_id, *decision, decided_by)
    is_new = connection.execute(DECIDE, terms).rowcount > 0
    decided = _review(connection, review_id)
    if not is_new and _of(decided) != (decision, decided_by):
        raise GradeReviewDecided(
            "This review was {state} before. A review is decided once.", state=decided.state
        )
    return decided, is_new


def _require_raise(review: Review, decision: Decision, today: date) -> None:
    given = decision.grade is not None and decision.holds_until is not None
    if decision.ruling == "upheld":
        if decision.grade is not None or decision.holds_until is not None:
            raise GradeNotRaised("A grade that is upheld needs neither a grade nor a last day.")
    elif not given or rank(decision.grade) <= rank(review.grade):
        raise GradeNotRaised("A change names a higher grade and the last day on which it holds.")
    elif review.state == "open" and decision.holds_until < today:  # type: ignore[operator]  # given
        raise GradeNotRaised("The last day on which the grade holds is over already.")


def _of(review: Review) -> tuple[Decision, UUID | None]:
    ruling: Any = review.state
    said = Decision(ruling, review.new_grade, review.holds_until, review.reason or "")
    return said, review.decided_by


def _same(waiting: Review, words: str) -> Review:
    if waiting.words != words:
        raise GradeReviewOpen("A human is looking at this grade. Please wait for the answer.")
    return waiting


def _review(connection: psycopg.Connection[Any], review_id: UUID) -> Review:
    found = _one(connection, READ_BY_ID, (review_id,))
    if found is None:
        raise GradeReviewUnknown("There is no such review.")
    return found


def _one(connection: psycopg.Connection[Any], query: str, terms: tuple[Any, ...]) -> Review | None:
    with connection.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(query, terms).fetchone()
