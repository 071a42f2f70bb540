"""A source restates what it has reported, and the books are as if it had been right at first."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from service import clock, ids
from service.activities.audit import CHECKS as OF_ACTIVITIES
from service.activities.certification.batches import close_due_batches, decide_batch
from service.activities.certification.carrying_out import carry_out
from service.activities.intake.candidates import Source
from service.app import create_app
from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze
from service.identity.erasure import begin_erasure, complete_erasure
from service.leaving import consequences
from service.ledger.audit import run_audit
from service.ledger.invariants import CHECKS as OF_THE_LEDGER
from service.ledger.spending import retire
from service.runtime import Runtime
from tests.activities.callers import bearer
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    an_invoice,
    noon,
    points_of,
    record,
    rows,
    verdicts_of,
)

RIDE_4100_M_G = 191
"""4.1 km × 46.8 g/km, rounded down."""
RIDE_12300_M_G = 575
HALF_AN_HOUR = timedelta(minutes=30)
VERIFIER = uuid4()

END_LINKS = """
UPDATE source_link SET state = 'ended', ended_at = now(), account_sealed = NULL,
       sealed_key_version = NULL
WHERE citizen_id = %s
"""


def restated(distance_m: int = 4100, **changes: Any) -> dict[str, Any]:
    """Return the body of a correction: the same ride, of another length."""
    return {
        "reason": "a gate was counted twice",
        "started_at": noon().isoformat(),
        "ended_at": (noon() + HALF_AN_HOUR).isoformat(),
        "activity_data": {"distance_m": distance_m},
        **changes,
    }


WITHDRAWN = {"reason": "a test card", "withdrawn": True}


def correct(
    app: Flask, source: Source, act: UUID, body: dict[str, Any], **headers: str
) -> TestResponse:
    assert source.id is not None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().post(
        f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/corrections",
        json=body,
        headers={**bearer(app, "partner", source.id, "source"), **named},
    )


def corrected(app: Flask, source: Source, act: UUID, body: dict[str, Any]) -> dict[str, Any]:
    response = correct(app, source, act, body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.get_json()
    return answer


def a_certified_ride(runtime: Runtime) -> tuple[Source, UUID, UUID, bytes]:
    """Return a source, a citizen, her ride of 8.2 km, and its line."""
    source = a_source(runtime)
    citizen, line = a_citizen(runtime, source), a_ride()
    (act,) = activity_ids(record(runtime, source, line))
    return source, citizen, act, line


def a_waiting_ride(runtime: Runtime) -> tuple[Source, UUID, UUID]:
    source = a_source(runtime, delay_days=1)
    citizen = a_citizen(runtime, source)
    (act,) = activity_ids(record(runtime, source, a_ride()))
    return source, citizen, act


def spend(runtime: Runtime, citizen: UUID, points: int) -> None:
    with runtime.database.raw_transaction() as connection:
        retire(connection, citizen, uuid4(), points=points).raise_refusal()


def owed(runtime: Runtime, citizen: UUID) -> tuple[int, int]:
    ((points, grams),) = rows(
        runtime, "SELECT owed_points, owed_g FROM account WHERE citizen_id = %s", citizen
    )
    return points, grams


def broken(runtime: Runtime) -> list[str]:
    report = run_audit(runtime.database, (*OF_THE_LEDGER, *OF_ACTIVITIES))
    return [each.check.name for each in report if each.differences]


def of_id(public: str) -> UUID:
    return ids.uuid_of(ids.ACTIVITY, public)


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


class TestACorrectionOfWhatWaits:
    def test_takes_its_place_in_the_queue(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act = a_waiting_ride(runtime)

        answer = corrected(app, source, act, restated())

        assert answer["verdict"] == "pending"
        assert answer["invalidated"] == {"reduction_g": 0, "points": 0}
        assert waiting(runtime, citizen) == [(of_id(answer["activity_id"]), RIDE_4100_M_G)]
        assert verdicts_of(runtime, act) == [("corrected", "corrected")]

    def test_withdraws_it(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act = a_waiting_ride(runtime)

        answer = corrected(app, source, act, WITHDRAWN)

        assert (answer["verdict"], answer["code"]) == ("withdrawn", "withdrawn-by-source")
        assert waiting(runtime, citizen) == []

    def test_leaves_a_closed_batch_without_it(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act = a_waiting_ride(runtime)
        other = a_citizen(runtime, source, "card-2")
        record(runtime, source, a_ride("card-2"))
        batch = close(runtime, source)

        corrected(app, source, act, restated())
        outcome = approve(runtime, batch)

        assert (outcome.issued, outcome.skipped) == (1, {"corrected": 1})
        assert (points_of(runtime, citizen), points_of(runtime, other)) == (0, RIDE_8200_M_G)
        approve(runtime, close(runtime, source))
        assert points_of(runtime, citizen) == RIDE_4100_M_G

    def test_of_a_frozen_citizen_waits(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "looked into")

        answer = corrected(app, source, act, restated())

        assert (answer["verdict"], answer["code"]) == ("pending", "account-frozen")
        assert points_of(runtime, citizen) == 0


def waiting(runtime: Runtime, citizen: UUID) -> list[tuple[UUID, int]]:
    query = "SELECT activity_id, points FROM pending_activity WHERE citizen_id = %s"
    return [(act, points) for act, points in rows(runtime, query, citizen)]


def close(runtime: Runtime, source: Source) -> UUID:
    close_due_batches(runtime.database, today=clock.today() + timedelta(days=2))
    query = (
        "SELECT id FROM certification_batch b WHERE source_id = %s AND NOT EXISTS"
        " (SELECT FROM certification_decision d WHERE d.batch_id = b.id)"
    )
    ((batch,),) = rows(runtime, query, source.id)
    assert isinstance(batch, UUID)
    return batch


def approve(runtime: Runtime, batch: UUID) -> Any:
    with runtime.database.raw_transaction() as connection:
        decide_batch(connection, batch, "approved", "looked at", VERIFIER)
    return carry_out(runtime.database, batch)


class TestTheSameCorrectionAgain:
    def test_gets_the_same_answer(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())

        again = correct(app, source, act, restated(reason="sent again"))

        assert (again.status_code, again.get_json()) == (200, first)
        assert points_of(runtime, citizen) == RIDE_4100_M_G

    def test_gets_it_after_another_one_too(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())
        corrected(app, source, of_id(first["activity_id"]), restated(12300))

        assert correct(app, source, act, restated()).get_json() == first

    def test_is_replayed_by_its_key(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, _ = a_certified_ride(runtime)
        key = uuid4().hex
        first = correct(app, source, act, restated(), Idempotency_Key=key)

        again = correct(app, source, act, restated(), Idempotency_Key=key)

        assert (again.status_code, again.get_json()) == (201, first.get_json())
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_has_one_effect_however_many_come_at_once(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)

        answers = at_once(20, lambda: correct(app, source, act, restated()))

        assert {answer.status_code for answer in answers} <= {200, 201, 503}
        assert [answer.status_code for answer in answers].count(201) == 1
        assert points_of(runtime, citizen) == RIDE_4100_M_G
        assert len(verdicts_of(runtime, act)) == 1

    def test_in_other_words_at_once_is_won_by_one(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        lengths = iter(range(4100, 4700, 100))

        answers = at_once(6, lambda: correct(app, source, act, restated(next(lengths))))

        (won,) = [answer for answer in answers if answer.status_code == 201]
        assert points_of(runtime, citizen) == won.get_json()["points"]


def at_once(times: int, act: Callable[[], TestResponse]) -> list[TestResponse]:
    barrier = Barrier(times)

    def start(_: int) -> TestResponse:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(start, range(times)))


class TestAFeedAfterACorrection:
    def test_that_brings_the_old_record_is_told_what_became_of_it(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, _, act, line = a_certified_ride(runtime)
        corrected(app, source, act, restated())

        outcome = record(runtime, source, line).outcomes[0]

        assert (outcome.verdict, outcome.first_verdict) == ("duplicate", "certified")
        assert (outcome.present_verdict, outcome.code) == ("invalidated", "corrected")
        assert outcome.activity_id == act.hex

    def test_that_brings_the_right_record_finds_it(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, line = a_certified_ride(runtime)
        answer = corrected(app, source, act, restated())
        right = json.loads(line) | {"activity_data": {"distance_m": 4100}}

        outcome = record(runtime, source, json.dumps(right).encode()).outcomes[0]

        assert (outcome.verdict, outcome.first_verdict) == ("duplicate", "certified")
        assert outcome.activity_id == of_id(answer["activity_id"]).hex
        assert (outcome.present_verdict, outcome.points) == (None, RIDE_4100_M_G)
        assert points_of(runtime, citizen) == RIDE_4100_M_G

    def test_that_brings_a_third_version_is_a_conflict(self, app: Flask, runtime: Runtime) -> None:
        source, _, act, line = a_certified_ride(runtime)
        corrected(app, source, act, restated())
        third = json.loads(line) | {"activity_data": {"distance_m": 5000}}

        outcome = record(runtime, source, json.dumps(third).encode()).outcomes[0]

        assert outcome.verdict == "conflict"


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

        assert (response.status_code, response.get_json()["code"]) == (409, "consent-missing")
        assert corrected(app, source, act, WITHDRAWN)["verdict"] == "invalidated"
        assert points_of(runtime, citizen) == 0

    def test_when_she_has_left_but_can_withdraw(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen, "citizen", consequences(lambda: runtime.settings))
        with runtime.eraser.raw_transaction() as connection:
            complete_erasure(connection, citizen)

        response = correct(app, source, act, restated())

        assert (response.status_code, response.get_json()["code"]) == (409, "consent-missing")
        assert corrected(app, source, act, WITHDRAWN)["verdict"] == "invalidated"
        words = rows(runtime, "SELECT FROM correction_reason WHERE citizen_id = %s", citizen)
        assert words == []


def rows_changed(runtime: Runtime, statement: str, *arguments: Any) -> None:
    with runtime.database.raw_transaction() as connection:
        connection.execute(statement.encode(), arguments)


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


class TestTheAudit:
    def test_is_clean_after_corrections_of_every_kind(self, fresh_runtime: Runtime) -> None:
        runtime, app = fresh_runtime, create_app(fresh_runtime)
        source, citizen, act, _ = a_certified_ride(runtime)
        first = corrected(app, source, act, restated())
        spend(runtime, citizen, 100)
        corrected(app, source, of_id(first["activity_id"]), WITHDRAWN)
        slow, _, waits = a_waiting_ride(runtime)
        batch = close(runtime, slow)
        corrected(app, slow, waits, restated())
        approve(runtime, batch)
        approve(runtime, close(runtime, slow))

        assert broken(runtime) == []
