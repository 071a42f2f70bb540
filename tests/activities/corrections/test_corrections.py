"""A source restates what it has reported, and the books are as if it had been right at first."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from service import clock, ids
from service.app import create_app
from service.identity.export import records_of
from service.runtime import Runtime
from tests.activities.callers import bearer
from tests.activities.corrections.desk import (
    HALF_AN_HOUR,
    RIDE_4100_M_G,
    RIDE_12300_M_G,
    WITHDRAWN,
    a_certified_ride,
    a_waiting_ride,
    approve,
    broken,
    close,
    correct,
    corrected,
    of_id,
    owed,
    restated,
    spend,
)
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_reading,
    a_ride,
    a_source,
    activity_ids,
    an_act,
    an_invoice,
    noon,
    points_of,
    record,
    verdicts_of,
)
from tests.activities.intake.test_intake import enter_baseline


class TestACorrection:
    @pytest.mark.parametrize(
        ("distance_m", "grams"), [(4100, RIDE_4100_M_G), (12300, RIDE_12300_M_G)]
    )
    def test_leaves_what_the_right_record_gives(
        self, app: Flask, runtime: Runtime, distance_m: int, grams: int
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)

        answer = corrected(app, source, act, restated(distance_m))

        assert answer["verdict"] == "certified"
        assert (answer["reduction_g"], answer["points"]) == (grams, grams)
        assert answer["invalidated"] == {"reduction_g": RIDE_8200_M_G, "points": RIDE_8200_M_G}
        assert answer["owed"] == {"reduction_g": 0, "points": 0}
        assert answer["revision"] == 1
        assert points_of(runtime, citizen) == grams
        assert verdicts_of(runtime, act) == [("invalidated", "corrected")]

    def test_of_an_act_that_never_was_takes_everything_back(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)

        answer = corrected(app, source, act, WITHDRAWN)

        assert (answer["verdict"], answer["code"]) == ("invalidated", "withdrawn-by-source")
        assert answer["activity_id"] is None
        assert points_of(runtime, citizen) == 0
        assert verdicts_of(runtime, act) == [("invalidated", "withdrawn-by-source")]

    def test_can_be_refused_and_then_nothing_is_left(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)

        answer = corrected(app, source, act, restated(180_000))

        assert (answer["verdict"], answer["reduction_g"]) == ("refused", 0)
        assert answer["code"] in {"speed-impossible", "distance-impossible"}
        assert points_of(runtime, citizen) == 0

    def test_after_points_were_spent_leaves_the_rest_owed(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        spend(runtime, citizen, RIDE_8200_M_G)

        answer = corrected(app, source, act, restated())

        short = RIDE_8200_M_G - RIDE_4100_M_G
        assert answer["owed"] == {"reduction_g": short, "points": short}
        assert owed(runtime, citizen) == (short, short)
        assert points_of(runtime, citizen) == 0

    def test_that_left_something_owed_is_paid_by_the_next_feed(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        spend(runtime, citizen, RIDE_8200_M_G)
        corrected(app, source, act, WITHDRAWN)

        record(runtime, source, a_ride(at=noon(2)), a_ride(at=noon(3)))

        assert owed(runtime, citizen) == (0, 0)
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_of_a_correction_goes_on_from_there(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())

        second = corrected(app, source, of_id(first["activity_id"]), restated(12300))

        assert second["revision"] == 2
        assert points_of(runtime, citizen) == RIDE_12300_M_G

    def test_back_to_what_it_was_is_a_revision_as_well(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, line = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())

        back = corrected(app, source, of_id(first["activity_id"]), restated(8200))
        again = record(runtime, source, line).outcomes[0]

        assert points_of(runtime, citizen) == RIDE_8200_M_G
        assert again.verdict == "duplicate"
        assert again.activity_id == of_id(back["activity_id"]).hex
        assert again.present_verdict is None

    def test_of_a_withdrawn_act_brings_it_back(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        corrected(app, source, act, WITHDRAWN)

        corrected(app, source, act, restated(8200))

        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_moves_a_trip_to_a_time_that_only_its_old_self_blocked(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        later = noon() + timedelta(minutes=10)
        times = {
            "started_at": later.isoformat(),
            "ended_at": (later + HALF_AN_HOUR).isoformat(),
        }

        answer = corrected(app, source, act, restated(8200, **times))

        assert answer["verdict"] == "certified"
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_frees_the_time_for_another_trip(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        corrected(app, source, act, WITHDRAWN)

        outcome = record(runtime, source, a_ride()).outcomes[0]

        assert outcome.verdict == "certified"
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_frees_what_counts_once(self, app: Flask, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        number = uuid4().hex
        (act,) = activity_ids(record(runtime, source, an_invoice(number)))
        corrected(app, source, act, WITHDRAWN)

        assert record(runtime, source, an_invoice(number)).outcomes[0].verdict == "certified"

    def test_frees_a_place_under_the_cap(self, app: Flask, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        hours = [noon() + timedelta(hours=each) for each in range(-9, 9)]
        feed = record(runtime, source, *(a_ride(at=hour) for hour in hours))
        certified = [each for each in feed.outcomes if each.verdict == "certified"]
        assert feed.outcomes[-1].code == "daily-cap-reached"
        assert certified[0].activity_id is not None

        corrected(app, source, UUID(hex=certified[0].activity_id), WITHDRAWN)
        more = record(runtime, source, a_ride(at=hours[-1]), a_ride(at=hours[-2]))

        assert [each.verdict for each in more.outcomes] == ["certified", "refused"]

    def test_of_panels_that_never_were_lets_electricity_count(self, fresh_runtime: Runtime) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        enter_baseline(runtime)
        a_citizen(runtime, source)
        (panels,) = activity_ids(record(runtime, source, a_reading()))
        bill = {"energy_wh": 200_000, "days": 30, "bill_account": "0755-1"}
        corrected(create_app(runtime), source, panels, WITHDRAWN)

        feed = record(runtime, source, an_act("household_electricity", bill))

        assert feed.outcomes[0].code != "pv-home-excluded"

    def test_that_comes_late_is_not_too_late(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)

        with clock.shifted(timedelta(days=30)):
            response = correct(app, source, act, restated_then())

        assert response.get_json()["verdict"] == "certified"
        assert points_of(runtime, citizen) == RIDE_4100_M_G

    def test_does_not_make_up_for_a_record_that_came_too_late(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        at = noon(9)
        (act,) = activity_ids(record(runtime, source, a_ride(at=at)))
        times = {"started_at": at.isoformat(), "ended_at": (at + HALF_AN_HOUR).isoformat()}

        answer = corrected(app, source, act, restated(4100, **times))

        assert (answer["verdict"], answer["code"]) == ("refused", "too-late")
        assert verdicts_of(runtime, act) == [("corrected", "corrected")]
        assert points_of(runtime, citizen) == 0

    def test_of_a_refused_record_lets_it_count(self, app: Flask, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        at_once = (noon() + timedelta(seconds=10)).isoformat()
        too_fast = json.loads(a_ride()) | {"ended_at": at_once}
        feed = record(runtime, source, json.dumps(too_fast).encode())
        assert feed.outcomes[0].verdict == "refused"

        corrected(app, source, activity_ids(feed)[0], restated(8200))

        assert points_of(runtime, citizen) == RIDE_8200_M_G


def restated_then() -> dict[str, Any]:
    """Return the correction of yesterday's ride, thirty days later."""
    at = noon(31)
    times = {"started_at": at.isoformat(), "ended_at": (at + HALF_AN_HOUR).isoformat()}
    return restated(4100, **times)


class TestTheCitizen:
    def test_sees_what_became_of_her_act_in_her_language(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        answer = corrected(app, source, act, restated())

        shown = app.test_client().get(
            f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}",
            headers={**bearer(app, "citizen", citizen), "Accept-Language": "zh-CN"},
        )

        view = shown.get_json()
        assert (view["verdict"], view["code"]) == ("invalidated", "corrected")
        assert view["detail"] == "数据来源已更正该记录，由更正后的记录取代。"
        assert (view["points"], view["revision"]) == (0, 0)
        assert view["replaced_by"] == answer["activity_id"]

    def test_finds_the_invalidation_in_her_statement(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        corrected(app, source, act, restated())

        shown = app.test_client().get("/v1/me/transfers", headers=bearer(app, "citizen", citizen))

        kinds = [each["kind"] for each in shown.get_json()["items"]]
        assert kinds == ["issue", "invalidate", "issue"]

    def test_has_every_correction_in_her_export(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        corrected(app, source, act, restated())

        with runtime.database.raw_transaction() as connection:
            records = records_of(connection, citizen)

        (correction,) = records["correction"]
        assert correction["corrected_id"] == str(act)
        (words,) = records["correction_reason"]
        assert words["reason"] == "a gate was counted twice"

    def test_is_told_why_her_issue_was_taken_back(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        answer = corrected(app, source, act, restated())

        shown = app.test_client().get(
            f"/v1/transfers/trf_{act.hex}/provenance", headers=bearer(app, "citizen", citizen)
        )

        document = shown.get_json()
        assert document["status"] == "equal"
        assert document["invalidation"]["code"] == "corrected"
        assert document["invalidation"]["replaced_by"] == answer["activity_id"]


class TestTheAudit:
    def test_is_clean_after_corrections_of_every_kind(self, fresh_runtime: Runtime) -> None:
        runtime, app = fresh_runtime, create_app(fresh_runtime)
        source, citizen, act, _ = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())
        spend(runtime, citizen, 100)
        corrected(app, source, of_id(first["activity_id"]), WITHDRAWN)
        back = corrected(app, source, of_id(first["activity_id"]), restated(8200))
        corrected(app, source, of_id(back["activity_id"]), restated(12300))
        slow, _, waits = a_waiting_ride(runtime)
        batch = close(runtime, slow)
        corrected(app, slow, waits, restated())
        approve(runtime, batch)
        approve(runtime, close(runtime, slow))

        assert broken(runtime) == []
