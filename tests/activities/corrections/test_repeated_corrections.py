"""A correction that is sent again, and feeds that come after it."""

import json
from uuid import uuid4

from flask import Flask

from service.runtime import Runtime
from tests.activities.corrections.desk import (
    RIDE_4100_M_G,
    a_certified_ride,
    at_once,
    correct,
    corrected,
    of_id,
    restated,
)
from tests.activities.factories import (
    points_of,
    record,
    verdicts_of,
)


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
