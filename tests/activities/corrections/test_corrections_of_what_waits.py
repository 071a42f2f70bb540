"""A correction of what waits for certification, in an open and in a closed batch."""

from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze
from service.runtime import Runtime
from tests.activities.corrections.desk import (
    RIDE_4100_M_G,
    WITHDRAWN,
    a_certified_ride,
    a_waiting_ride,
    approve,
    close,
    corrected,
    of_id,
    restated,
    waiting,
)
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    points_of,
    record,
    verdicts_of,
)


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

    def test_beside_its_certification_leaves_one_of_the_two(
        self, app: Flask, runtime: Runtime
    ) -> None:
        source, citizen, act = a_waiting_ride(runtime)
        batch = close(runtime, source)
        with ThreadPoolExecutor(2) as pool:
            approved = pool.submit(approve, runtime, batch)
            answer = pool.submit(corrected, app, source, act, restated()).result()
            approved.result()

        assert waiting(runtime, citizen) == [(of_id(answer["activity_id"]), RIDE_4100_M_G)]
        assert points_of(runtime, citizen) == 0

    def test_of_a_frozen_citizen_waits(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act, _ = a_certified_ride(runtime)
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "looked into")

        answer = corrected(app, source, act, restated())

        assert (answer["verdict"], answer["code"]) == ("pending", "account-frozen")
        assert points_of(runtime, citizen) == 0
