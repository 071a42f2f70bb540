"""Grades over HTTP: their rules, a citizen's own grade, and a human who looks at it."""

from typing import Any

from flask import Response, request

from service import clock, ids
from service.db import driver_connection
from service.messages import Language, language_of
from service.rewards.grades.assessing import assess
from service.rewards.grades.judging import Threshold
from service.rewards.grades.reviews import Decision, decide_review, make_review, reviews
from service.rewards.grades.schemas import (
    GradeQuery,
    GradeReviewDecisionRequest,
    GradeReviewListView,
    GradeReviewQuery,
    GradeReviewRequest,
    GradeReviewView,
    GradeRulesListView,
    GradeRulesQuery,
    GradeRulesRequest,
    GradeRulesView,
    GradeView,
    SubjectGradeView,
    grade_view,
    review_view,
    rules_view,
)
from service.rewards.grades.telling import grade_for_partner
from service.rewards.grades.versions import (
    NewRules,
    approve_rules,
    enter_rules,
    rules_versions,
)
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime, transaction
from service.web.idempotency import Answer, answer_anew, answer_once
from service.web.pagination import Page, PageQuery

blueprint = Blueprint(
    "grades", __name__, url_prefix="/v1", description="Grades, with reasons and a human behind them"
)

_REVIEW = {"application/json": {"schema": GradeReviewView}}
_RULES = {"application/json": {"schema": GradeRulesView}}
ASKED_BEFORE = {"description": "The same review waits already.", "content": _REVIEW}
DECIDED_BEFORE = {"description": "It was decided so before.", "content": _REVIEW}


@blueprint.post("/grade-rules")
@requires("staff", role="operator")
@blueprint.arguments(GradeRulesRequest)
@blueprint.repeatable()
@blueprint.response(201, GradeRulesView)
@blueprint.refusals(422, "grade-rules-invalid")
def create_grade_rules(body: dict[str, Any]) -> Response:
    """Enter a version of grade rules, with its source; another staff member has to approve it."""
    thresholds = tuple(Threshold(**each) for each in body.pop("thresholds"))
    rules = NewRules(thresholds=thresholds, **body)
    with transaction() as session:

        def effect() -> Answer:
            entered = enter_rules(
                driver_connection(session), rules, current_caller().id, clock.today()
            )
            return 201, GradeRulesView().dump(rules_view(entered, clock.today()))

        return answer_once(session, effect)


@blueprint.post("/grade-rules/<name>/versions/<int:version>/approvals")
@requires("staff", role="operator")
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, GradeRulesView)
@blueprint.refusals(403, "same-person-approval")
@blueprint.refusals(404, "grade-rules-unknown")
def create_grade_rules_approval(name: str, version: int) -> Response:
    """Approve what a colleague has entered; once more changes nothing."""
    with raw_transaction() as connection:

        def effect() -> Answer:
            approved = approve_rules(connection, name, version, current_caller().id, clock.today())
            return 201, GradeRulesView().dump(rules_view(approved, clock.today()))

        return answer_anew(effect)


@blueprint.get("/grade-rules")
@requires("anyone")
@blueprint.arguments(GradeRulesQuery, location="query")
@blueprint.response(200, GradeRulesListView)
@blueprint.refusals(400, "cursor-invalid")
def list_grade_rules(query: dict[str, Any]) -> Any:
    """Return every version of grade rules with its source, by name and number."""
    page, today = Page.asked(query), clock.today()
    name, version = page.after or ("", 0)
    with raw_transaction() as connection:
        found = rules_versions(
            connection,
            today,
            name=query["name"],
            rows=page.rows_needed,
            after=(str(name), int(version)),
        )
    body, status, headers = page.answer(found, lambda rules: [rules.name, rules.version])
    return {**body, "items": [rules_view(each, today) for each in body["items"]]}, status, headers


@blueprint.get("/me/grade")
@requires("citizen")
@blueprint.arguments(GradeQuery, location="query")
@blueprint.response(200, GradeView)
@blueprint.refusals(404, "grade-rules-not-in-force")
def read_own_grade(query: dict[str, Any]) -> Any:
    """Return the caller's grade today, with its reasons and what the next one takes."""
    with runtime().database.pipelined_transaction() as connection:
        found = assess(connection, current_caller().id, query["rules"], clock.today())
    return grade_view(found.document, language())


@blueprint.get("/subjects/<subject>/grade")
@requires("partner", scope="reports:read")
@blueprint.arguments(GradeQuery, location="query")
@blueprint.response(200, SubjectGradeView)
@blueprint.refusals(
    403,
    "consent-missing",
    "consent-expired",
    "consent-revoked",
    "consent-scope",
    "consent-uses-exhausted",
)
@blueprint.refusals(404, "grade-rules-not-in-force")
def read_grade_of_subject(query: dict[str, Any], subject: str) -> Any:
    """Return a citizen's grade to a partner she lets know it; the look is counted and logged."""
    return grade_for_partner(
        runtime().database, current_caller().id, subject, query["rules"], clock.today()
    )


@blueprint.post("/me/grade-reviews")
@requires("citizen")
@blueprint.arguments(GradeReviewRequest)
@blueprint.repeatable()
@blueprint.response(201, GradeReviewView)
@blueprint.doc(responses={"200": ASKED_BEFORE})
@blueprint.refusals(404, "grade-rules-not-in-force")
@blueprint.refusals(409, "grade-review-open")
def create_grade_review(body: dict[str, Any]) -> Response:
    """Ask for a human to look at one's own grade."""
    with transaction() as session:

        def effect() -> Answer:
            made, new = make_review(
                driver_connection(session),
                current_caller().id,
                body["rules"],
                body["words"],
                clock.today(),
            )
            return 201 if new else 200, GradeReviewView().dump(review_view(made, language()))

        return answer_once(session, effect)


@blueprint.get("/me/grade-reviews")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, GradeReviewListView)
@blueprint.refusals(400, "cursor-invalid")
def list_own_grade_reviews(query: dict[str, Any]) -> Any:
    """List one's own reviews with their answers, the oldest first."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = reviews(connection, page.after, page.rows_needed, citizen_id=current_caller().id)
    body, status, headers = page.answer(found, lambda review: review.position)
    told = [review_view(each, language()) for each in body["items"]]
    return {**body, "items": told}, status, headers


@blueprint.get("/grade-reviews")
@requires("staff", role="operator")
@requires("staff", role="auditor")
@blueprint.arguments(GradeReviewQuery, location="query")
@blueprint.response(200, GradeReviewListView)
@blueprint.refusals(400, "cursor-invalid")
def list_grade_reviews(query: dict[str, Any]) -> Any:
    """List everybody's reviews, the oldest first; they do not say whose they are."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = reviews(connection, page.after, page.rows_needed, state=query["state"])
    body, status, headers = page.answer(found, lambda review: review.position)
    told = [review_view(each, language()) for each in body["items"]]
    return {**body, "items": told}, status, headers


@blueprint.post("/grade-reviews/<review_id>/decisions")
@requires("staff", role="operator")
@blueprint.arguments(GradeReviewDecisionRequest)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, GradeReviewView)
@blueprint.doc(responses={"200": DECIDED_BEFORE})
@blueprint.refusals(404, "grade-review-unknown", "id-unknown")
@blueprint.refusals(409, "grade-review-decided")
@blueprint.refusals(422, "grade-not-raised")
def create_grade_review_decision(body: dict[str, Any], review_id: str) -> Response:
    """Uphold a grade or raise it until a day, once.

    Sent again, with or without an `Idempotency-Key`, the decision is answered as it was made.
    """
    wanted = ids.uuid_of(ids.GRADE_REVIEW, review_id)
    decision = Decision(body["decision"], body["grade"], body["holds_until"], body["reason"])
    with raw_transaction() as connection:

        def effect() -> Answer:
            decided, new = decide_review(
                connection, wanted, decision, current_caller().id, clock.today()
            )
            return 201 if new else 200, GradeReviewView().dump(review_view(decided, language()))

        return answer_anew(effect)


def language() -> Language:
    """Return the language of this request's sentences."""
    return language_of(request.headers.get("Accept-Language"))
