"""A human looks at a grade: once, with reasons, and only upwards."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from service import clock
from service.ids import CITIZEN, public_id
from service.runtime import Runtime
from tests.activities.factories import rows
from tests.rewards.grades.town import Desk, Rider, an_operator, rules_in_force

UNTIL = (clock.today() + timedelta(days=30)).isoformat()
CHANGED = {
    "decision": "changed",
    "grade": "deep_green",
    "holds_until": UNTIL,
    "reason": "The card was broken.",
}
UPHELD = {"decision": "upheld", "reason": "The grams are right."}


class Town:
    """A citizen of light green, and the rules that say so."""

    def __init__(self, app: Flask, runtime: Runtime) -> None:
        self.app = app
        self.rider = Rider.of(runtime, rides_days_ago=[1])
        self.rules = rules_in_force(runtime)
        self.desk = Desk(app, "citizen", self.rider.id)

    def asks(self, words: str = "The gate was open.", **headers: str) -> TestResponse:
        body = {"rules": self.rules, "words": words}
        return self.desk.post("/me/grade-reviews", body, **headers)

    def decided(self, decision: dict[str, Any]) -> TestResponse:
        review_id = self.asks().get_json()["id"]
        return an_operator(self.app).post(f"/grade-reviews/{review_id}/decisions", decision)

    @property
    def grade(self) -> Any:
        return self.desk.get(f"/me/grade?rules={self.rules}").get_json()


@pytest.fixture
def town(app: Flask, runtime: Runtime) -> Town:
    return Town(app, runtime)


class TestAskingForAReview:
    def test_keeps_the_assessment_as_she_saw_it(self, town: Town) -> None:
        seen = town.grade

        response = town.asks()
        town.rider.rides(2)

        assert response.status_code == 201
        (listed,) = town.desk.get("/me/grade-reviews").get_json()["items"]
        assert listed == response.get_json()
        assert (listed["assessment"], listed["state"]) == (seen, "open")

    def test_again_in_the_same_words_is_the_same_review(self, town: Town) -> None:
        first = town.asks()

        again = town.asks()

        assert (again.status_code, again.get_json()) == (200, first.get_json())

    def test_again_in_other_words_is_refused(self, town: Town) -> None:
        town.asks()

        response = town.asks("And another thing.")

        assert (response.status_code, response.get_json()["code"]) == (409, "grade-review-open")

    def test_of_a_grade_by_no_rules_is_refused(self, town: Town) -> None:
        town.rules = "nobodys-rules"

        assert town.asks().get_json()["code"] == "grade-rules-not-in-force"

    def test_shows_staff_the_words_and_not_the_person(self, town: Town) -> None:
        review_id = town.asks().get_json()["id"]

        listed = an_operator(town.app).get("/grade-reviews?state=open&limit=200")

        (mine,) = [item for item in listed.get_json()["items"] if item["id"] == review_id]
        assert mine["words"] == "The gate was open."
        assert public_id(CITIZEN, town.rider.id) not in listed.text

    def test_leaves_no_words_behind_when_she_leaves(self, town: Town, runtime: Runtime) -> None:
        town.decided(UPHELD)

        town.desk.send("DELETE", "/me")

        for table in ("grade_review", "grade_review_decision"):
            query = f"SELECT count(*) FROM {table} WHERE citizen_id = %s"
            assert rows(runtime, query, town.rider.id) == [(0,)]


class TestDecidingAReview:
    def test_can_raise_the_grade_until_a_day(self, town: Town) -> None:
        response = town.decided(CHANGED)

        assert response.status_code == 201
        grade = town.grade
        assert (grade["grade"], grade["raised_until"]) == ("deep_green", UNTIL)
        assert grade["conditions"][0]["code"] == "raised-by-human"

    def test_lets_it_fall_back_after_that_day(self, town: Town) -> None:
        town.decided({**CHANGED, "holds_until": clock.today().isoformat()})

        with clock.shifted(timedelta(days=1)):
            assert town.grade["grade"] == "light_green"

    def test_holds_for_these_rules_only(self, town: Town, runtime: Runtime) -> None:
        town.decided(CHANGED)
        town.rules = rules_in_force(runtime)

        assert town.grade["grade"] == "light_green"

    def test_can_uphold_it_and_she_reads_why(self, town: Town) -> None:
        town.decided(UPHELD)

        (review,) = town.desk.get("/me/grade-reviews").get_json()["items"]

        assert (review["state"], review["decision"]["reason"]) == ("upheld", UPHELD["reason"])
        assert town.grade["grade"] == "light_green"

    def test_lets_her_ask_again(self, town: Town) -> None:
        town.decided(UPHELD)

        assert town.asks("Please look again.").status_code == 201

    def test_twice_alike_by_the_same_person_is_one_decision(self, town: Town) -> None:
        review_id, operator = town.asks().get_json()["id"], an_operator(town.app)
        path = f"/grade-reviews/{review_id}/decisions"

        first, again = operator.post(path, CHANGED), operator.post(path, CHANGED)

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.get_json() == first.get_json()

    @pytest.mark.parametrize("other", [UPHELD, {**CHANGED, "grade": "medium_green"}])
    def test_otherwise_afterwards_is_refused(self, town: Town, other: dict[str, Any]) -> None:
        review_id, operator = town.asks().get_json()["id"], an_operator(town.app)
        path = f"/grade-reviews/{review_id}/decisions"
        operator.post(path, CHANGED)

        response = operator.post(path, other)

        assert (response.status_code, response.get_json()["code"]) == (409, "grade-review-decided")

    @pytest.mark.parametrize(
        "changes",
        [
            {"grade": "light_green"},
            {"grade": None},
            {"holds_until": None},
            {"holds_until": "2020-01-01"},
            {"decision": "upheld"},
        ],
    )
    def test_to_no_higher_grade_is_refused(self, town: Town, changes: dict[str, Any]) -> None:
        said = {name: value for name, value in (CHANGED | changes).items() if value is not None}

        response = town.decided(said)

        assert (response.status_code, response.get_json()["code"]) == (422, "grade-not-raised")

    def test_that_nobody_asked_for_is_refused(self, app: Flask) -> None:
        path = f"/grade-reviews/grv_{'0' * 32}/decisions"

        assert an_operator(app).post(path, UPHELD).get_json()["code"] == "grade-review-unknown"

    def test_is_for_operators(self, town: Town) -> None:
        path = f"/grade-reviews/{town.asks().get_json()['id']}/decisions"

        assert Desk(town.app, "staff", roles=("auditor",)).post(path, UPHELD).status_code == 403
        assert town.desk.post(path, CHANGED).status_code == 403
