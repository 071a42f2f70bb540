"""The shapes of grades, their rules and their reviews at the HTTP edge."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from marshmallow import Schema, fields, validate

from service.ids import GRADE_REVIEW, public_id
from service.messages import Language
from service.rewards.grades.judging import GRADES, in_words
from service.rewards.grades.reviews import Review
from service.rewards.grades.versions import RulesVersion
from service.web.pagination import PageQuery, list_view

NAME: Final = validate.Regexp(r"[a-z0-9][a-z0-9-]{0,63}\Z")
WORDS_MAX: Final = 2_000
SOURCE_MAX: Final = 1_000
GRAMS_MAX: Final = 10**12
MONTHS_MAX: Final = 60
BEHAVIORS_MAX: Final = 100
STATES: Final = ("open", "upheld", "changed")

A_GRADE: Final = validate.OneOf(GRADES)


class ThresholdSchema(Schema):
    """What one grade takes; both numbers count."""

    grade = fields.String(required=True, validate=A_GRADE)
    reduction_g_at_least = fields.Integer(
        required=True, strict=True, validate=validate.Range(min=0, max=GRAMS_MAX)
    )
    behaviors_at_least = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(min=0, max=BEHAVIORS_MAX),
        metadata={"description": "Different behaviors that were certified."},
    )


class GradeRulesRequest(Schema):
    """Body of POST /v1/grade-rules."""

    name = fields.String(required=True, validate=NAME)
    effective_from = fields.Date(
        required=True, metadata={"description": "First day, Asia/Shanghai."}
    )
    window_months = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(min=1, max=MONTHS_MAX),
        metadata={"description": "Whole months that end with the day asked about."},
    )
    thresholds = fields.List(
        fields.Nested(ThresholdSchema), required=True, validate=validate.Length(1, len(GRADES))
    )
    source = fields.String(
        required=True,
        validate=validate.Length(1, SOURCE_MAX),
        metadata={"description": "Who decided these thresholds, when, and where it stands."},
    )


class GradeRulesView(GradeRulesRequest):
    """A version of grade rules."""

    version = fields.Integer(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(
            ["awaiting-approval", "not-yet-in-force", "in-force", "superseded"]
        ),
    )
    recorded_at = fields.AwareDateTime(required=True)
    approved_at = fields.AwareDateTime(required=True, allow_none=True)


class GradeRulesQuery(PageQuery):
    """Query of GET /v1/grade-rules."""

    name = fields.String(load_default=None, validate=NAME)


class GradeQuery(Schema):
    """By which rules."""

    rules = fields.String(required=True, validate=NAME)


class RulesNamedView(Schema):
    """The version of the rules that counted."""

    name = fields.String(required=True)
    version = fields.Integer(required=True)


class PeriodView(Schema):
    """Days in Asia/Shanghai, both included."""

    # `from` is a word of Python's own.
    from_ = fields.String(required=True, data_key="from", attribute="from")
    to = fields.String(required=True)


class ConditionView(Schema):
    """One thing that is asked for."""

    code = fields.String(
        required=True, metadata={"description": "Names what is missing when it is not met."}
    )
    passed = fields.Boolean(required=True)
    about = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Which of several alike: a grade, `per_citizen`, `per_person`."},
    )
    required = fields.Raw(required=True, allow_none=True)
    actual = fields.Raw(
        required=True,
        allow_none=True,
        metadata={"description": "Null as well where the reader may not know it."},
    )
    detail = fields.String(required=True)


class BehaviorFactsView(Schema):
    """One behavior's certified acts in the period."""

    reduction_g = fields.Integer(required=True)
    acts = fields.Integer(required=True)
    days = fields.Integer(required=True)


class FactsView(Schema):
    """What the grade follows from: certified, not invalidated, begun in the period."""

    reduction_g = fields.Integer(required=True)
    active_days = fields.Integer(required=True)
    behaviors = fields.Dict(
        keys=fields.String(), values=fields.Nested(BehaviorFactsView), required=True
    )


class GradeView(Schema):
    """A grade with its reasons, for the citizen."""

    grade = fields.String(required=True, allow_none=True, validate=A_GRADE)
    next_grade = fields.String(required=True, allow_none=True, validate=A_GRADE)
    rules = fields.Nested(RulesNamedView, required=True)
    period = fields.Nested(PeriodView, required=True)
    facts = fields.Nested(FactsView, required=True)
    facts_digest = fields.String(
        required=True,
        metadata={"description": "The same facts and rules give the same digest and grade."},
    )
    raised_until = fields.Date(
        required=True,
        allow_none=True,
        metadata={"description": "A human has raised it; last day on which that holds."},
    )
    conditions = fields.List(fields.Nested(ConditionView), required=True)


class SubjectGradeView(Schema):
    """A grade as a partner may know it; more only where the citizen agreed to more."""

    subject = fields.String(required=True)
    grade = fields.String(required=True, allow_none=True, validate=A_GRADE)
    rules = fields.Nested(RulesNamedView, required=True)
    period = fields.Nested(PeriodView, required=True)
    reduction_g = fields.Integer(metadata={"description": "With the cluster `total_certified`."})
    categories = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Grams by behavior, with the cluster `category_totals`."},
    )


class GradeReviewRequest(Schema):
    """Body of POST /v1/me/grade-reviews."""

    rules = fields.String(required=True, validate=NAME)
    words = fields.String(
        required=True,
        validate=validate.Length(1, WORDS_MAX),
        metadata={"description": "Why the grade is wrong."},
    )


class GradeReviewDecisionRequest(Schema):
    """Body of POST /v1/grade-reviews/{id}/decisions."""

    decision = fields.String(required=True, validate=validate.OneOf(["upheld", "changed"]))
    grade = fields.String(load_default=None, validate=A_GRADE)
    holds_until = fields.Date(
        load_default=None, metadata={"description": "Last day, Asia/Shanghai."}
    )
    reason = fields.String(
        required=True,
        validate=validate.Length(1, WORDS_MAX),
        metadata={"description": "Why; the citizen reads it."},
    )


class GradeReviewQuery(PageQuery):
    """Query of GET /v1/grade-reviews."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


class GradeReviewAnswerView(Schema):
    """What was decided."""

    decision = fields.String(required=True, validate=validate.OneOf(["upheld", "changed"]))
    grade = fields.String(required=True, allow_none=True)
    holds_until = fields.Date(required=True, allow_none=True)
    reason = fields.String(required=True)
    decided_at = fields.AwareDateTime(required=True)


class GradeReviewView(Schema):
    """A review."""

    id = fields.String(required=True)
    words = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    assessment = fields.Nested(
        GradeView, required=True, metadata={"description": "As it was when she asked."}
    )
    recorded_at = fields.AwareDateTime(required=True)
    decision = fields.Nested(GradeReviewAnswerView, required=True, allow_none=True)


GradeRulesListView = list_view(GradeRulesView)
GradeReviewListView = list_view(GradeReviewView)


def rules_view(rules: RulesVersion, today: date) -> dict[str, Any]:
    """Return a version of the rules as everybody is shown it; who entered it is not said."""
    return {
        "name": rules.name,
        "version": rules.version,
        "effective_from": rules.effective_from,
        "window_months": rules.window_months,
        "thresholds": rules.thresholds,
        "source": rules.source,
        "state": _state(rules, today),
        "recorded_at": rules.recorded_at,
        "approved_at": rules.approved_at,
    }


def grade_view(document: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return an assessment's document as `GradeView` writes it."""
    told = in_words(document, language)
    until = told["raised_until"]
    return {**told, "raised_until": until and date.fromisoformat(until)}


def review_view(review: Review, language: Language) -> dict[str, Any]:
    """Return a review as it is shown, to its citizen and to staff; it does not say whose it is."""
    answer = {
        "decision": review.state,
        "grade": review.new_grade,
        "holds_until": review.holds_until,
        "reason": review.reason,
        "decided_at": review.decided_at,
    }
    return {
        "id": public_id(GRADE_REVIEW, review.id),
        "words": review.words,
        "state": review.state,
        "assessment": grade_view(review.assessment, language),
        "recorded_at": review.recorded_at,
        "decision": None if review.state == "open" else answer,
    }


def _state(rules: RulesVersion, today: date) -> str:
    if rules.approved_at is None:
        return "awaiting-approval"
    if rules.effective_from > today:
        return "not-yet-in-force"
    return "in-force" if rules.is_in_force else "superseded"
