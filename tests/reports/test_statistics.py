"""The public statistics."""

from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from service import clock
from service.activities.certification.batches import close_due_batches
from service.app import create_app
from service.redis import connect
from service.reports.latest import LatestStatistics
from service.reports.statistics import FATES, statistics
from service.runtime import Runtime
from tests.ledger.damage import damaged
from tests.ledger.town import Town, hours_ago, ride

RIDE_G = 383


def numbers(runtime: Runtime, *, days_ahead: int = 0) -> dict[str, Any]:
    with (
        clock.shifted(timedelta(days=days_ahead)),
        runtime.database.raw_transaction() as connection,
    ):
        return statistics(connection, clock.today(), clock.now())


def real(runtime: Runtime, *accounts: str, delay_days: int = 0) -> Town:
    """A town whose people are no inventions."""
    town = Town.founded(runtime, *accounts, delay_days=delay_days)
    damaged(
        runtime,
        "UPDATE citizen SET simulated = false WHERE citizen_id = ANY(%(people)s)",
        "UPDATE source_link SET simulated = false WHERE citizen_id = ANY(%(people)s)",
        people=list(town.citizens.values()),
    )
    return town


class TestTheStatistics:
    def test_of_an_empty_scheme_are_zeros(self, fresh_runtime: Runtime) -> None:
        answer = numbers(fresh_runtime)

        assert answer["activities"]["recorded"] == 0
        assert set(answer["reduction_g"].values()) == {0}
        assert answer["behaviors"] == []

    def test_count_each_behavior(self, fresh_runtime: Runtime) -> None:
        town = real(fresh_runtime, "a", "b")
        town.report([ride("a"), ride("b"), ride("b", start=hours_ago(5.9))])

        [metro] = numbers(fresh_runtime)["behaviors"]

        assert metro["behavior"] == "metro_ride"
        assert metro["activities"]["recorded"] == 3
        assert metro["activities"]["refused"] == 1
        assert metro["reduction_g"] == {
            "certified": 2 * RIDE_G,
            "pending": 0,
            "invalidated": 0,
        }

    def test_reconcile(self, fresh_runtime: Runtime) -> None:
        real(fresh_runtime, "a").report([ride("a")])
        slow = real(fresh_runtime, "b", delay_days=1)
        slow.report([ride("b")])
        close_due_batches(fresh_runtime.database, today=clock.today() + timedelta(days=2))

        answer = numbers(fresh_runtime)

        for unit in ("reduction_g", "points"):
            sums = answer[unit]
            parts = sum(sums[fate] for fate in FATES[1:])
            assert sums["certified"] == parts == RIDE_G
            assert sums["recorded"] == sums["certified"] + sums["pending"] == 2 * RIDE_G

    def test_see_expiry_before_it_is_booked(self, fresh_runtime: Runtime) -> None:
        real(fresh_runtime, "a").report([ride("a")])

        answer = numbers(fresh_runtime, days_ahead=4 * 366)

        assert (answer["points"]["available"], answer["points"]["expired"]) == (0, RIDE_G)

    def test_keep_made_up_people_apart(self, fresh_runtime: Runtime) -> None:
        Town.founded(fresh_runtime, "a").report([ride("a")])

        answer = numbers(fresh_runtime)

        assert answer["reduction_g"]["certified"] == 0
        assert answer["simulated"]["reduction_g"]["certified"] == RIDE_G
        assert answer["simulated"]["activities"]["certified"] == 1


class TestTheEndpoint:
    def test_is_open_to_everybody(self, client: FlaskClient) -> None:
        response = client.get("/v1/statistics")

        assert response.status_code == 200
        assert response.get_json()["reduction_g"]["redeemed"] >= 0
        assert response.headers["Cache-Control"] == "public, max-age=30"

    def test_adds_up_once_a_minute_for_all_processes(self, fresh_runtime: Runtime) -> None:
        one, another = (create_app(fresh_runtime).test_client() for _ in range(2))
        first = one.get("/v1/statistics").get_json()
        real(fresh_runtime, "a").report([ride("a")])

        assert another.get("/v1/statistics").get_json() == first

    def test_works_while_redis_is_away(self, fresh_runtime: Runtime) -> None:
        away = Runtime(
            fresh_runtime.settings,
            fresh_runtime.database,
            fresh_runtime.eraser,
            fresh_runtime.keys,
            connect("redis://127.0.0.1:1"),
        )

        assert b'"certified"' in LatestStatistics(away).body()
