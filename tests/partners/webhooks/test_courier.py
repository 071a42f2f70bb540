"""The courier: what happens arrives, signed, at least once, whatever the receiver does."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from service import clock
from service.partners.organisations import partner_by_id, set_state
from service.runtime import Runtime
from tests.partners.webhooks.conftest import Bank, MakeBank
from tests.partners.webhooks.receivers import Receiver, delivering, is_signed_by, wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def endpoint_at(bank: Bank, receiver: Receiver, **terms: Any) -> dict[str, Any]:
    answer = bank.post("/webhook-endpoints", {"url": receiver.url, **terms})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.get_json()
    return made


def deliveries(bank: Bank, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = bank.get("/webhook-deliveries", **query).get_json()["items"]
    return items


class TestAMessage:
    def test_arrives_signed_and_thin(self, bank: Bank, receiver: Receiver) -> None:
        endpoint = endpoint_at(bank, receiver)
        (object_id,) = bank.happens()

        with delivering(bank.runtime):
            (arrival,) = receiver.wait_for(1)
            wait_until(lambda: deliveries(bank)[0]["state"] == "delivered")

        (event,) = bank.feed()
        said = Webhook(endpoint["secret"]).verify(arrival.body, arrival.headers)
        assert said == {name: value for name, value in event.items() if name != "id"}
        assert arrival.id == event["id"]
        assert said["data"]["id"] == object_id
        assert is_signed_by(arrival, endpoint["public_keys"][0])
        assert arrival.headers["content-type"] == "application/json"
        assert len(arrival.body) < 4096

    def test_is_signed_in_the_ways_that_were_asked_for(
        self, bank: Bank, receiver: Receiver
    ) -> None:
        endpoint = endpoint_at(bank, receiver, signatures=["v1a"])
        bank.happens()

        with delivering(bank.runtime):
            (arrival,) = receiver.wait_for(1)

        assert (endpoint["secret"], endpoint["signatures"]) == (None, ["v1a"])
        assert arrival.headers["webhook-signature"].startswith("v1a,")
        assert is_signed_by(arrival, endpoint["public_keys"][0])

    def test_is_signed_with_both_keys_for_a_day_after_a_rotation(
        self, bank: Bank, receiver: Receiver
    ) -> None:
        old = endpoint_at(bank, receiver)
        new = bank.post(f"/webhook-endpoints/{old['id']}/key-rotations").get_json()

        with delivering(bank.runtime):
            bank.happens()
            (first,) = receiver.wait_for(1)
            with clock.shifted(timedelta(hours=25)):
                bank.happens()
                second = receiver.wait_for(2)[1]

        for endpoint in (old, new):
            Webhook(endpoint["secret"]).verify(first.body, first.headers)
            assert is_signed_by(first, endpoint["public_keys"][0])
        assert len(first.headers["webhook-signature"].split()) == 4
        assert len(second.headers["webhook-signature"].split()) == 2
        assert is_signed_by(second, new["public_keys"][0])
        assert not is_signed_by(second, old["public_keys"][0])

    def test_goes_only_where_its_type_was_asked_for(self, bank: Bank, receiver: Receiver) -> None:
        endpoint_at(bank, receiver, event_types=["consent.revoked"])
        bank.happens("redemption.captured")
        bank.happens("consent.revoked")

        with delivering(bank.runtime):
            (arrival,) = receiver.wait_for(1)

        assert json.loads(arrival.body)["type"] == "consent.revoked"
        assert len(deliveries(bank)) == 1

    def test_of_before_the_endpoint_is_not_sent(self, bank: Bank, receiver: Receiver) -> None:
        bank.happens()
        bank.feed()
        endpoint_at(bank, receiver)
        bank.happens()

        with delivering(bank.runtime):
            (arrival,) = receiver.wait_for(1)

        assert json.loads(arrival.body)["seq"] == 2

    def test_can_be_a_test_for_one_endpoint(self, bank: Bank, receiver: Receiver) -> None:
        endpoint = endpoint_at(bank, receiver, event_types=["consent.revoked"])
        with Receiver() as other:
            endpoint_at(bank, other)

            sent = bank.post(f"/webhook-endpoints/{endpoint['id']}/tests")
            with delivering(bank.runtime):
                (arrival,) = receiver.wait_for(1)

            assert sent.get_json() == {"event_id": arrival.id}
            assert json.loads(arrival.body)["type"] == "webhook.test"
            assert other.arrivals == []


async def hang(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


def answering(status: int, **headers: str) -> Any:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return answer


async def drip(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(60):
        await response.write(b".")
        await asyncio.sleep(1)
    return response


async def flood(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(160):
        await response.write(bytes(65536))
    return response


def first_of(bank: Bank) -> dict[str, Any]:
    """The newest delivery, once there is one."""
    wait_until(lambda: bool(deliveries(bank)))
    return deliveries(bank)[0]


def all_arrived(bank: Bank) -> bool:
    return {each["state"] for each in pages(bank)} == {"delivered"}


# When each attempt is due at the latest, from the first one on.
LADDER_H = (0, 0.1, 0.2, 0.8, 3, 8.5, 19.5, 35, 57, 83.5)


def has_tried_more_than(bank: Bank, attempts: int) -> bool:
    return bool(first_of(bank)["attempts"] > attempts)


class TestAReceiver:
    def test_that_hangs_holds_up_nobody_else(self, a_bank: MakeBank, receiver: Receiver) -> None:
        slow, quick = a_bank(reach="loopback"), a_bank(reach="loopback")
        endpoint_at(quick, receiver)
        with Receiver(hang) as hanging:
            endpoint_at(slow, hanging)
            slow.happens(times=40)
            with delivering(slow.runtime):
                hanging.wait_for(16)
                began_at = time.monotonic()
                quick.happens(times=40)
                receiver.wait_for(40)
                took_s = time.monotonic() - began_at

        assert took_s < 5
        assert len(hanging.arrivals) == 16
        assert {each["state"] for each in deliveries(slow)} == {"waiting"}

    def test_beside_a_hanging_one_of_the_same_partner_is_not_held_up(
        self, bank: Bank, receiver: Receiver
    ) -> None:
        with Receiver(hang) as hanging:
            endpoint_at(bank, hanging)
            endpoint_at(bank, receiver)
            bank.happens(times=40)
            with delivering(bank.runtime):
                receiver.wait_for(40)

    @pytest.mark.parametrize("answer", [drip, flood])
    def test_that_says_yes_at_length_has_said_yes(self, bank: Bank, answer: Any) -> None:
        with Receiver(answer) as talking:
            endpoint_at(bank, talking)
            bank.happens()
            with delivering(bank.runtime):
                wait_until(lambda: first_of(bank)["state"] == "delivered", within_s=5)

        assert len(talking.arrivals) == 1

    @pytest.mark.parametrize("status", [302, 307, 308])
    def test_that_redirects_is_not_followed(
        self, bank: Bank, receiver: Receiver, status: int
    ) -> None:
        with Receiver(answering(status, Location=receiver.url)) as redirecting:
            endpoint_at(bank, redirecting)
            bank.happens()
            with delivering(bank.runtime):
                wait_until(lambda: first_of(bank)["attempts"] == 1)

        assert first_of(bank)["last_status"] == status
        assert first_of(bank)["state"] == "waiting"
        assert receiver.arrivals == []

    def test_that_fails_is_asked_again_after_a_while(self, bank: Bank) -> None:
        with Receiver(500) as failing:
            endpoint_at(bank, failing)
            bank.happens()
            with delivering(bank.runtime):
                wait_until(lambda: first_of(bank)["attempts"] == 1)
                failing.answer = 200
                with clock.shifted(timedelta(seconds=6)):
                    wait_until(lambda: first_of(bank)["state"] == "delivered")

        assert len(set(failing.ids)) == 1
        delivery = first_of(bank)
        assert (delivery["attempts"], delivery["last_status"]) == (2, 200)

    def test_that_is_not_there_is_asked_again(self, bank: Bank) -> None:
        with Receiver() as gone:
            endpoint_at(bank, gone)
        bank.happens()
        with delivering(bank.runtime):
            wait_until(lambda: first_of(bank)["attempts"] == 1)

        assert (first_of(bank)["last_status"], first_of(bank)["last_error"]) == (
            None,
            "not-reachable",
        )

    def test_that_never_takes_it_is_given_up_after_ten_attempts(self, bank: Bank) -> None:
        with Receiver(500) as failing:
            endpoint_at(bank, failing)
            bank.happens()
            with delivering(bank.runtime):
                for hours in LADDER_H:
                    with clock.shifted(timedelta(hours=hours)):
                        attempts = first_of(bank)["attempts"]
                        wait_until(partial(has_tried_more_than, bank, attempts))

        assert first_of(bank)["state"] == "failed"
        assert len(failing.arrivals) == 10
        assert [each["id"] for each in deliveries(bank, state="failed")] == [first_of(bank)["id"]]

    def test_that_is_gone_is_left_alone(self, bank: Bank) -> None:
        with Receiver(410) as gone:
            endpoint = endpoint_at(bank, gone)
            bank.happens()
            with delivering(bank.runtime):
                path = f"/webhook-endpoints/{endpoint['id']}"
                wait_until(lambda: bank.get(path).get_json()["state"] == "disabled")
                bank.happens(times=3)
                time.sleep(0.6)

        assert bank.get(path).get_json()["state_reason"] == "gone"
        assert len(gone.arrivals) == 1
        (told,) = bank.feed(type="webhook_endpoint.disabled")
        assert told["data"] == {
            "id": endpoint["id"],
            "object": "webhook_endpoint",
            "state": "disabled",
            "version": 2,
        }

    def test_gets_what_it_missed_once_it_is_activated(self, bank: Bank) -> None:
        with Receiver(410) as gone:
            endpoint = endpoint_at(bank, gone, event_types=["redemption.captured"])
            path = f"/webhook-endpoints/{endpoint['id']}"
            bank.happens()
            with delivering(bank.runtime):
                wait_until(lambda: bank.get(path).get_json()["state"] == "disabled")
                missed = bank.happens(times=3)
                gone.answer = 200
                refused = bank.post(f"{path}/tests")
                bank.post(f"{path}/activations")
                gone.wait_for(4)

        assert refused.get_json()["code"] == "endpoint-not-active"
        told = [json.loads(arrival.body)["data"]["id"] for arrival in gone.arrivals[1:]]
        assert sorted(told) == sorted(missed)

    def test_that_takes_nothing_for_five_days_is_disabled(self, bank: Bank) -> None:
        with Receiver(500) as failing:
            endpoint = endpoint_at(bank, failing)
            bank.happens()
            path = f"/webhook-endpoints/{endpoint['id']}"
            with delivering(bank.runtime):
                wait_until(lambda: first_of(bank)["attempts"] == 1)
                with clock.shifted(timedelta(days=5, hours=1)):
                    wait_until(lambda: bank.get(path).get_json()["state"] == "disabled")

        assert bank.get(path).get_json()["state_reason"] == "failing"

    @pytest.mark.parametrize(
        "answer", [answering(429, Retry_After="3600"), answering(503, Retry_After="3600")]
    )
    def test_that_asks_for_rest_gets_it(self, bank: Bank, answer: Any) -> None:
        with Receiver(answer) as tired:
            endpoint_at(bank, tired)
            bank.happens()
            with delivering(bank.runtime):
                wait_until(lambda: first_of(bank)["attempts"] == 1)
                bank.happens(times=3)
                with clock.shifted(timedelta(minutes=50)):
                    time.sleep(0.6)
                    assert len(tired.arrivals) == 1
                with clock.shifted(timedelta(minutes=61)):
                    tired.answer = 200
                    tired.wait_for(5)


class TestSendingAgain:
    def test_is_done_at_once_with_the_same_id(self, bank: Bank, receiver: Receiver) -> None:
        endpoint_at(bank, receiver)
        bank.happens()
        with delivering(bank.runtime):
            receiver.wait_for(1)
            wait_until(lambda: first_of(bank)["state"] == "delivered")
            answer = bank.post(f"/events/{receiver.ids[0]}/redeliveries", {})
            receiver.wait_for(2)

        assert answer.status_code == 201
        assert [each["state"] for each in answer.get_json()["items"]] == ["waiting"]
        assert len(set(receiver.ids)) == 1
        assert receiver.arrivals[0].body == receiver.arrivals[1].body

    def test_can_be_to_an_endpoint_that_never_had_it(self, bank: Bank, receiver: Receiver) -> None:
        bank.happens()
        (event,) = bank.feed()
        endpoint = endpoint_at(bank, receiver)

        body = {"endpoint_id": endpoint["id"]}
        bank.post(f"/events/{event['id']}/redeliveries", body)
        with delivering(bank.runtime):
            receiver.wait_for(1)

        assert receiver.ids == [event["id"]]

    def test_is_for_ones_own_events_and_endpoints(self, a_bank: MakeBank) -> None:
        mine, yours = a_bank(), a_bank()
        yours.happens()
        mine.happens()
        theirs, own = yours.feed()[0]["id"], mine.feed()[0]["id"]

        assert mine.post(f"/events/{theirs}/redeliveries", {}).status_code == 404
        body = {"endpoint_id": "whe_" + "0" * 32}
        assert mine.post(f"/events/{own}/redeliveries", body).status_code == 404


COURIER = """
import asyncio, sys
from datetime import timedelta
from service.partners.webhooks.courier import Courier
from service.runtime import open_runtime
from service.settings import settings_from

runtime = open_runtime(settings_from())

async def work():
    courier = Courier(runtime.database, runtime.keys, lease=timedelta(seconds=17))
    await courier.run()

asyncio.run(work())
"""


def started(runtime: Runtime) -> "subprocess.Popen[bytes]":
    settings = runtime.settings
    environment = {
        **os.environ,
        "CARBON_HOME": str(settings.home),
        "DATABASE_URL": settings.database_url,
        "ERASER_DATABASE_URL": settings.eraser_database_url,
        "REDIS_URL": settings.redis_url,
    }
    return subprocess.Popen([sys.executable, "-c", COURIER], env=environment, cwd=ROOT)


class TestACourier:
    def test_that_is_killed_loses_nothing(self, bank: Bank, receiver: Receiver) -> None:
        endpoint_at(bank, receiver)
        objects: list[str] = []
        for _ in range(3):
            process = started(bank.runtime)
            try:
                before = len(receiver.arrivals)
                objects += bank.happens(times=300)
                receiver.wait_for(before + 20)
            finally:
                process.kill()
                process.wait()

        with delivering(bank.runtime), clock.shifted(timedelta(seconds=30)):
            wait_until(lambda: all_arrived(bank))

        told = {json.loads(arrival.body)["data"]["id"] for arrival in receiver.arrivals}
        assert told == set(objects)

    def test_that_is_stopped_gives_back_what_it_holds(self, bank: Bank) -> None:
        with Receiver(hang) as hanging:
            endpoint_at(bank, hanging)
            bank.happens(times=20)
            with delivering(bank.runtime):
                hanging.wait_for(16)
                began_at = time.monotonic()
            took_s = time.monotonic() - began_at

            hanging.answer = 200
            with delivering(bank.runtime):
                wait_until(lambda: all_arrived(bank))

        assert took_s < 8

    def test_beside_another_sends_nothing_twice(self, bank: Bank, receiver: Receiver) -> None:
        endpoint_at(bank, receiver)
        with delivering(bank.runtime), delivering(bank.runtime):
            bank.happens(times=200)
            receiver.wait_for(200)
            wait_until(lambda: all_arrived(bank))

        assert len(receiver.ids) == len(set(receiver.ids)) == 200

    def test_sends_nothing_to_a_partner_that_is_suspended(
        self, bank: Bank, receiver: Receiver
    ) -> None:
        endpoint_at(bank, receiver)
        with bank.runtime.database.raw_transaction() as connection:
            partner = partner_by_id(connection, bank.id)
            set_state(connection, partner, active=False, reason="asked to")
        bank.happens()

        with delivering(bank.runtime):
            time.sleep(0.6)
            assert receiver.arrivals == []
            with bank.runtime.database.raw_transaction() as connection:
                set_state(connection, partner, active=True, reason="asked to")
            receiver.wait_for(1)


def pages(bank: Bank) -> list[dict[str, Any]]:
    """Every delivery of a partner's."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = bank.get("/webhook-deliveries", **query).get_json()
        found += page["items"]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]
