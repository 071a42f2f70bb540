"""Entering grade rules: two people, a source, and nothing before that."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from service import clock
from tests.rewards.grades.town import SOURCE, Desk, an_operator


def rules(**changes: Any) -> dict[str, Any]:
    return {
        "name": f"rules-{uuid4().hex[:12]}",
        "effective_from": clock.today().isoformat(),
        "window_months": 3,
        "thresholds": [threshold("light_green", 0, 1), threshold("deep_green", 100_000, 3)],
        "source": SOURCE,
    } | changes


def threshold(grade: str, grams: int, behaviors: int) -> dict[str, Any]:
    return {
        "grade": grade,
        "reduction_g_at_least": grams,
        "behaviors_at_least": behaviors,
    }


def entered(app: Flask, **changes: Any) -> tuple[Desk, str]:
    """Enter rules; return who did and their name."""
    operator, body = an_operator(app), rules(**changes)
    response = operator.post("/grade-rules", body)
    assert response.status_code == 201, response.text
    return operator, body["name"]


def listed(app: Flask, name: str) -> list[tuple[int, str]]:
    found = app.test_client().get("/v1/grade-rules", query_string={"name": name})
    return [(item["version"], item["state"]) for item in found.get_json()["items"]]


class TestEnteringRules:
    def test_leaves_them_waiting_for_a_second_person(self, app: Flask) -> None:
        body = rules()

        response = an_operator(app).post("/grade-rules", body)

        assert response.status_code == 201
        answer = response.get_json()
        assert (answer["version"], answer["state"]) == (1, "awaiting-approval")
        assert {name: answer[name] for name in body} == body

    def test_with_the_same_key_twice_enters_one_version(self, app: Flask) -> None:
        operator, body = an_operator(app), rules()

        first = operator.post("/grade-rules", body, Idempotency_Key="once")
        again = operator.post("/grade-rules", body, Idempotency_Key="once")

        assert again.get_json() == first.get_json()
        assert listed(app, body["name"]) == [(1, "awaiting-approval")]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"source": "   none    "}, "grade-rules-invalid"),
            ({"thresholds": [threshold("deep_green", 1, 1)] * 2}, "grade-rules-invalid"),
            (
                {"thresholds": [threshold("deep_green", 5, 1), threshold("light_green", 6, 1)]},
                "grade-rules-invalid",
            ),
            (
                {"thresholds": [threshold("deep_green", 6, 1), threshold("light_green", 5, 2)]},
                "grade-rules-invalid",
            ),
            (
                {"thresholds": [threshold("deep_green", 5, 1), threshold("light_green", 5, 1)]},
                "grade-rules-invalid",
            ),
            ({"thresholds": []}, "validation-failed"),
            ({"thresholds": [threshold("dark_green", 5, 1)]}, "validation-failed"),
            ({"thresholds": [threshold("deep_green", -1, 1)]}, "validation-failed"),
            ({"window_months": 0}, "validation-failed"),
            ({"window_months": 61}, "validation-failed"),
            ({"name": "A name"}, "validation-failed"),
            ({"name": "rules\n"}, "validation-failed"),
        ],
    )
    def test_is_refused(self, app: Flask, changes: dict[str, Any], code: str) -> None:
        response = an_operator(app).post("/grade-rules", rules(**changes))

        assert (response.status_code, response.get_json()["code"]) == (422, code)

    @pytest.mark.parametrize(
        "caller", [("citizen", ()), ("staff", ("verifier",)), ("staff", ("auditor",))]
    )
    def test_is_for_operators(self, app: Flask, caller: tuple[Any, tuple[str, ...]]) -> None:
        kind, roles = caller

        assert Desk(app, kind, roles=roles).post("/grade-rules", rules()).status_code == 403


class TestApprovingRules:
    def test_by_another_person_puts_them_in_force(self, app: Flask) -> None:
        _, name = entered(app)

        response = an_operator(app).post(f"/grade-rules/{name}/versions/1/approvals")

        assert response.status_code == 201
        assert response.get_json()["state"] == "in-force"

    def test_by_the_same_person_is_refused(self, app: Flask) -> None:
        operator, name = entered(app)

        response = operator.post(f"/grade-rules/{name}/versions/1/approvals")

        assert (response.status_code, response.get_json()["code"]) == (403, "same-person-approval")
        assert listed(app, name) == [(1, "awaiting-approval")]

    def test_twice_changes_nothing(self, app: Flask) -> None:
        _, name = entered(app)
        path = f"/grade-rules/{name}/versions/1/approvals"
        first = an_operator(app).post(path).get_json()

        assert an_operator(app).post(path).get_json() == first

    def test_that_nobody_entered_is_refused(self, app: Flask) -> None:
        response = an_operator(app).post("/grade-rules/nowhere/versions/1/approvals")

        assert (response.status_code, response.get_json()["code"]) == (404, "grade-rules-unknown")

    @pytest.mark.parametrize("version", ["0", "99999999999999999999", "-1", "one"])
    def test_of_a_version_that_cannot_be_is_refused(self, app: Flask, version: str) -> None:
        _, name = entered(app)

        response = an_operator(app).post(f"/grade-rules/{name}/versions/{version}/approvals")

        assert response.status_code == 404


class TestTheRulesInForce:
    def test_are_the_newest_approved_version_that_has_begun(self, app: Flask) -> None:
        _, name = entered(app)
        tomorrow = (clock.today() + timedelta(days=1)).isoformat()
        for first_day in (date(2020, 1, 1).isoformat(), tomorrow, clock.today().isoformat()):
            an_operator(app).post("/grade-rules", rules(name=name, effective_from=first_day))
        for version in (1, 2, 3):
            an_operator(app).post(f"/grade-rules/{name}/versions/{version}/approvals")

        assert listed(app, name) == [
            (1, "superseded"),
            (2, "in-force"),
            (3, "not-yet-in-force"),
            (4, "awaiting-approval"),
        ]

    def test_are_shown_in_pages_to_everybody(self, app: Flask) -> None:
        _, name = entered(app)
        an_operator(app).post("/grade-rules", rules(name=name))
        client = app.test_client()

        first = client.get("/v1/grade-rules", query_string={"name": name, "limit": 1}).get_json()
        query = {"name": name, "limit": 1, "cursor": first["next"]}
        second = client.get("/v1/grade-rules", query_string=query).get_json()

        assert [page["items"][0]["version"] for page in (first, second)] == [1, 2]
        assert second["next"] is None
        assert "entered_by" not in first["items"][0]
