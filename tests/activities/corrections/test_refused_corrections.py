"""What no source can correct, and what it is told."""

from typing import Any

import pytest
from flask import Flask

from service.identity.erasure import begin_erasure, complete_erasure
from service.leaving import consequences
from service.runtime import Runtime
from tests.activities.corrections.desk import (
    END_LINKS,
    WITHDRAWN,
    a_certified_ride,
    correct,
    corrected,
    restated,
    rows_changed,
)
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_source,
    points_of,
    rows,
)


class TestACorrectionIsRefused:
    def test_to_another_source(self, app: Flask, runtime: Runtime) -> None:
        _, citizen, act, _ = a_certified_ride(runtime)

        response = correct(app, a_source(runtime), act, restated())

        assert (response.status_code, response.get_json()["code"]) == (404, "activity-unknown")
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_when_a_newer_revision_is_there(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())

        response = correct(app, source, act, restated(5000))

        problem = response.get_json()
        assert (response.status_code, problem["code"]) == (409, "correction-superseded")
        assert problem["activity_id"] == first["activity_id"]

    def test_when_it_changes_nothing(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)

        response = correct(app, source, act, restated(8200))

        assert (response.status_code, response.get_json()["code"]) == (409, "nothing-corrected")

    def test_when_it_makes_another_behavior_of_it(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)

        response = correct(app, source, act, restated(behavior="bus_ride"))

        (fault,) = response.get_json()["errors"]
        assert response.status_code == 422
        assert (fault["pointer"], fault["code"]) == ("/behavior", "behavior-differs")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"activity_data": {"distance_m": "far"}}, "type-wrong"),
            ({"activity_data": {}}, "field-missing"),
            ({"started_at": "yesterday"}, "time-malformed"),
            ({"reason": ""}, "text-length"),
            ({"reason": "\u0007"}, "text-invalid"),
            ({"external_id": "other"}, "unknown-field"),
            ({"withdrawn": True}, "unknown-field"),
            ({"withdrawn": "yes"}, "type-wrong"),
        ],
    )
    def test_when_it_cannot_be_read(
        self, app: Flask, runtime: Runtime, change: dict[str, Any], code: str
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)

        response = correct(app, source, act, restated(**change))

        assert response.status_code == 422, response.text
        assert [each["code"] for each in response.get_json()["errors"]] == [code]
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_when_the_link_has_ended_but_can_withdraw(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        rows_changed(runtime, END_LINKS, citizen)

        response = correct(app, source, act, restated())

        assert (response.status_code, response.get_json()["code"]) == (
            409,
            "restatement-not-covered",
        )
        assert corrected(app, source, act, WITHDRAWN)["verdict"] == "invalidated"
        assert points_of(runtime, citizen) == 0

    def test_when_she_has_left_but_can_withdraw(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen, "citizen", consequences(lambda: runtime.settings))
        with runtime.eraser.raw_transaction() as connection:
            complete_erasure(connection, citizen)

        response = correct(app, source, act, restated())

        assert (response.status_code, response.get_json()["code"]) == (
            409,
            "restatement-not-covered",
        )
        assert corrected(app, source, act, WITHDRAWN)["verdict"] == "invalidated"
        words = rows(runtime, "SELECT FROM correction_reason WHERE citizen_id = %s", citizen)
        assert words == []
