"""Staff find an act false: one proposes, another one approves, and it counts no more."""

import json
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from flask import Flask
from werkzeug.test import TestResponse

from service import ids
from service.activities.corrections.commands import activity_group
from service.activities.errors import SecondPersonNeeded
from service.app import create_app
from service.identity.staff import add_staff
from service.runtime import Runtime
from tests.activities.callers import bearer
from tests.activities.corrections.desk import (
    WITHDRAWN,
    a_certified_ride,
    a_waiting_ride,
    approve,
    broken,
    close,
    correct,
    owed,
    restated,
    spend,
    waiting,
)
from tests.activities.factories import RIDE_8200_M_G, points_of, verdicts_of

REASON = {"reason": "the gate was broken that day"}


def an_operator(runtime: Runtime) -> UUID:
    with runtime.database.transaction() as session:
        return add_staff(session, runtime.keys, f"olga-{uuid4().hex}", "operator").id


def propose(app: Flask, operator: UUID, act: UUID) -> TestResponse:
    return app.test_client().post(
        f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/invalidations",
        json=REASON,
        headers=bearer(app, "staff", operator, "operator"),
    )


def agree(app: Flask, operator: UUID, act: UUID) -> TestResponse:
    return app.test_client().post(
        f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/invalidations/approvals",
        headers=bearer(app, "staff", operator, "operator"),
    )


class TestAnInvalidation:
    def test_changes_nothing_until_a_second_person_agrees(
        self, app: Flask, runtime: Runtime
    ) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)
        one, other = an_operator(runtime), an_operator(runtime)

        proposed = propose(app, one, act)
        before = points_of(runtime, citizen)
        decided = agree(app, other, act)

        assert (proposed.status_code, proposed.get_json()["state"]) == (201, "proposed")
        assert before == RIDE_8200_M_G
        assert (decided.status_code, decided.get_json()["state"]) == (201, "invalidated")
        assert points_of(runtime, citizen) == 0
        assert verdicts_of(runtime, act) == [("invalidated", "found-false")]

    def test_is_not_approved_by_who_proposed_it(self, app: Flask, runtime: Runtime) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)
        one = an_operator(runtime)
        propose(app, one, act)

        response = agree(app, one, act)

        assert (response.status_code, response.get_json()["code"]) == (409, "second-person-needed")
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_is_not_approved_before_it_is_proposed(self, app: Flask, runtime: Runtime) -> None:
        _, _, act, _ = a_certified_ride(runtime)

        response = agree(app, an_operator(runtime), act)

        problem = response.get_json()
        assert (response.status_code, problem["code"]) == (409, "invalidation-not-proposed")

    def test_is_done_once(self, app: Flask, runtime: Runtime) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)
        one, other = an_operator(runtime), an_operator(runtime)
        propose(app, one, act)
        first = agree(app, other, act)

        again = agree(app, an_operator(runtime), act)

        assert (again.status_code, again.get_json()) == (200, first.get_json())
        assert len(verdicts_of(runtime, act)) == 1
        assert points_of(runtime, citizen) == 0

    def test_of_spent_points_leaves_them_owed(self, app: Flask, runtime: Runtime) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)
        spend(runtime, citizen, 300)
        propose(app, an_operator(runtime), act)

        agree(app, an_operator(runtime), act)

        assert points_of(runtime, citizen) == 0
        assert owed(runtime, citizen) == (300, 300)

    def test_of_what_waits_refuses_it(self, app: Flask, runtime: Runtime) -> None:
        _, citizen, act = a_waiting_ride(runtime)
        propose(app, an_operator(runtime), act)

        agree(app, an_operator(runtime), act)

        assert waiting(runtime, citizen) == []
        assert verdicts_of(runtime, act) == [("refused", "found-false")]

    def test_is_not_undone_by_a_correction(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        propose(app, an_operator(runtime), act)
        agree(app, an_operator(runtime), act)

        response = correct(app, source, act, restated())

        assert (response.status_code, response.get_json()["code"]) == (409, "not-correctable")
        assert points_of(runtime, citizen) == 0

    def test_of_what_does_not_count_is_refused(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)
        correct(app, source, act, WITHDRAWN)

        response = propose(app, an_operator(runtime), act)

        problem = response.get_json()
        assert (response.status_code, problem["code"]) == (409, "nothing-to-invalidate")
        assert problem["verdict"] == "invalidated"

    def test_of_nothing_finds_nothing(self, app: Flask, runtime: Runtime) -> None:
        response = propose(app, an_operator(runtime), uuid4())

        assert (response.status_code, response.get_json()["code"]) == (404, "activity-unknown")

    def test_is_for_operators(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)
        assert source.id is not None

        response = app.test_client().post(
            f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/invalidations",
            json=REASON,
            headers=bearer(app, "partner", source.id, "source"),
        )

        assert response.status_code == 403

    def test_leaves_the_audit_clean(self, fresh_runtime: Runtime) -> None:
        runtime, app = fresh_runtime, create_app(fresh_runtime)
        source, citizen, act = a_waiting_ride(runtime)
        approve(runtime, close(runtime, source))
        spend(runtime, citizen, 100)
        propose(app, an_operator(runtime), act)
        agree(app, an_operator(runtime), act)

        assert broken(runtime) == []


class TestTheCommand:
    def names(self, runtime: Runtime) -> list[str]:
        names = [f"olga-{uuid4().hex}" for _ in range(2)]
        with runtime.database.transaction() as session:
            for name in names:
                add_staff(session, runtime.keys, name, "operator")
        return names

    def test_invalidates_by_two_people(self, runtime: Runtime) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)
        one, other = self.names(runtime)

        result = self.invalidate(runtime, act, one, other)

        assert json.loads(result)["approved_by"] == other
        assert points_of(runtime, citizen) == 0

    def test_needs_two(self, runtime: Runtime) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)
        one, _ = self.names(runtime)

        with pytest.raises(SecondPersonNeeded):
            self.invalidate(runtime, act, one, one)

        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def invalidate(self, runtime: Runtime, act: UUID, one: str, other: str) -> str:
        words = ["invalidate", ids.public_id(ids.ACTIVITY, act), "--reason", "a broken gate"]
        words += ["--by", one, "--approved-by", other]
        return CliRunner().invoke(activity_group, words, obj=runtime, catch_exceptions=False).output
