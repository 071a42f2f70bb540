"""Endpoints over HTTP: secrets are shown once, public keys to everybody, and all is one's own."""

import base64
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag

from service import clock
from service.app import create_app
from service.keys import KeyRing
from service.partners.webhooks.deliveries import forget_delivered
from service.partners.webhooks.signing import SigningKeys, opened
from service.runtime import Runtime
from tests.partners.webhooks.conftest import Bank, MakeBank, make_bank

URL = "http://127.0.0.1:9/hooks"


def made(bank: Bank, **terms: Any) -> dict[str, Any]:
    answer = bank.post("/webhook-endpoints", {"url": URL, **terms})
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.get_json()
    return endpoint


def stored(runtime: Runtime, endpoint_id: str) -> tuple[Any, ...]:
    with runtime.database.raw_transaction() as connection:
        row: tuple[Any, ...] | None = connection.execute(
            "SELECT sealing_key_version, secret_sealed, former_secret_sealed, signing_key_sealed,"
            " former_signing_key_sealed FROM webhook_endpoint WHERE id = %s",
            (UUID(endpoint_id.removeprefix("whe_")),),
        ).fetchone()
    assert row is not None
    return row


class TestAnEndpoint:
    def test_is_made_with_a_secret_and_a_public_key(self, bank: Bank) -> None:
        answer = bank.post("/webhook-endpoints", {"url": URL, "description": "Main"})

        endpoint = answer.get_json()
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", endpoint["secret"])
        (public_key,) = endpoint["public_keys"]
        assert len(base64.b64decode(public_key.removeprefix("whpk_"))) == 32
        assert endpoint["signatures"] == ["v1", "v1a"]
        assert (endpoint["state"], endpoint["version"]) == ("active", 1)
        assert answer.headers["Cache-Control"] == "no-store"

    def test_shows_its_secret_once(self, bank: Bank) -> None:
        endpoint = made(bank)

        shown = bank.get(f"/webhook-endpoints/{endpoint['id']}").get_json()

        assert shown == {name: value for name, value in endpoint.items() if name != "secret"}
        assert bank.get("/webhook-endpoints").get_json() == {"items": [shown], "next": None}

    def test_keeps_no_secret_in_clear(self, bank: Bank) -> None:
        key = {"Idempotency-Key": "make-it-once"}
        endpoint = bank.post("/webhook-endpoints", {"url": URL}, **key).get_json()
        rotated = bank.post(
            f"/webhook-endpoints/{endpoint['id']}/key-rotations", None, **key
        ).get_json()

        with bank.runtime.database.raw_transaction() as connection:
            kept = connection.execute(
                "SELECT body FROM idempotency_key WHERE principal_id = %s", (bank.id,)
            ).fetchall()
        sealed = stored(bank.runtime, endpoint["id"])[1:]
        assert len(kept) == 2
        for secret in (endpoint["secret"], rotated["secret"]):
            plain = base64.b64decode(secret.removeprefix("whsec_"))
            assert all(secret not in str(row[0]) for row in kept)
            assert all(plain not in each for each in sealed)

    def test_asked_for_twice_is_made_once_and_says_no_secret_again(self, bank: Bank) -> None:
        key = {"Idempotency-Key": "once"}
        first = bank.post("/webhook-endpoints", {"url": URL}, **key)
        again = bank.post("/webhook-endpoints", {"url": URL}, **key)

        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.get_json() == first.get_json() | {"secret": None}
        assert len(bank.get("/webhook-endpoints").get_json()["items"]) == 1

    def test_can_be_sent_elsewhere_with_the_same_keys(self, bank: Bank) -> None:
        endpoint = made(bank, event_types=["consent.revoked"], description="Old")
        path = f"/webhook-endpoints/{endpoint['id']}"

        changed = bank.put(path, {"url": "http://127.0.0.1:10/"}).get_json()

        assert changed == bank.get(path).get_json()
        assert changed["url"] == "http://127.0.0.1:10/"
        assert (changed["event_types"], changed["description"]) == (None, None)
        assert changed["public_keys"] == endpoint["public_keys"]
        assert changed["version"] == 2

    def test_can_be_removed(self, bank: Bank) -> None:
        endpoint = made(bank)
        path = f"/webhook-endpoints/{endpoint['id']}"

        assert bank.delete(path).status_code == 204

        assert bank.get(path).status_code == 404
        assert bank.delete(path).status_code == 404
        assert bank.get("/webhook-endpoints").get_json()["items"] == []
        assert stored(bank.runtime, endpoint["id"])[1:] == (None,) * 4

    def test_is_a_partners_own(self, a_bank: MakeBank, bank: Bank) -> None:
        path = f"/webhook-endpoints/{made(bank)['id']}"
        other = a_bank()

        assert other.get(path).status_code == 404
        assert other.put(path, {"url": "https://x.example/"}).status_code in {404, 422}
        assert other.delete(path).status_code == 404
        for action in ("key-rotations", "activations", "tests"):
            assert other.post(f"{path}/{action}").status_code == 404
        assert bank.get(path).get_json()["version"] == 1

    def test_needs_its_scope(self, a_bank: MakeBank) -> None:
        other = a_bank(scopes=("events:read",))

        assert other.post("/webhook-endpoints", {"url": URL}).status_code == 403
        assert other.get("/webhook-deliveries").status_code == 403

    def test_is_one_of_ten_at_most(self, bank: Bank) -> None:
        endpoints = [made(bank) for _ in range(10)]

        refused = bank.post("/webhook-endpoints", {"url": URL})

        assert refused.get_json()["code"] == "endpoint-limit-reached"
        bank.delete(f"/webhook-endpoints/{endpoints[0]['id']}")
        made(bank)

    @pytest.mark.parametrize(
        "terms",
        [
            {"signatures": []},
            {"signatures": ["v2"]},
            {"signatures": ["v1", "v1", "v1a"]},
            {"event_types": []},
            {"event_types": ["Redemption"]},
            {"event_types": ["redemption.captured; DROP TABLE"]},
            {"description": ""},
            {"url": 7},
            {"url": None},
        ],
    )
    def test_is_refused_with_terms_that_cannot_be_read(self, bank: Bank, terms: Any) -> None:
        assert bank.post("/webhook-endpoints", {"url": URL} | terms).status_code == 422

    def test_is_refused_with_members_nobody_knows(self, bank: Bank) -> None:
        answer = bank.post("/webhook-endpoints", {"url": URL, "secret": "mine"})

        assert answer.get_json()["code"] == "unknown-field"


class TestKeys:
    def test_can_be_looked_up_by_everybody(self, bank: Bank) -> None:
        endpoint = made(bank)

        answer = bank.app.test_client().get(f"/v1/webhook-endpoints/{endpoint['id']}/keys")

        (key,) = answer.get_json()["keys"]
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == (
            "OKP",
            "Ed25519",
            "Ed25519",
            "sig",
        )
        x = base64.urlsafe_b64decode(key["x"] + "=")
        assert f"whpk_{base64.b64encode(x).decode()}" == endpoint["public_keys"][0]
        assert "max-age" in answer.headers["Cache-Control"]

    def test_overlap_for_a_day(self, bank: Bank) -> None:
        old = made(bank)
        path = f"/webhook-endpoints/{old['id']}"

        new = bank.post(f"{path}/key-rotations").get_json()

        assert new["secret"] not in {None, old["secret"]}
        assert new["public_keys"][1:] == old["public_keys"]
        assert new["former_keys_until"] is not None
        with clock.shifted(timedelta(hours=25)):
            later = bank.get(path).get_json()
        assert later["public_keys"] == new["public_keys"][:1]
        assert later["former_keys_until"] is None

    def test_rotated_twice_with_one_key_are_rotated_once(self, bank: Bank) -> None:
        path = f"/webhook-endpoints/{made(bank)['id']}"
        key = {"Idempotency-Key": "rotate"}

        first = bank.post(f"{path}/key-rotations", None, **key).get_json()
        again = bank.post(f"{path}/key-rotations", None, **key).get_json()

        assert again == first | {"secret": None}
        assert bank.get(path).get_json()["public_keys"] == first["public_keys"]

    def test_are_sealed_to_their_row_and_column(self, runtime: Runtime) -> None:
        endpoint_id, other_id = UUID(int=1), UUID(int=2)
        keys = SigningKeys.new(["v1", "v1a"])
        ring: KeyRing = runtime.keys
        sealed = list(keys.sealed(ring, endpoint_id).values())

        assert opened(ring, endpoint_id, ring.data_key.version, sealed) == keys
        with pytest.raises(InvalidTag):
            opened(ring, other_id, ring.data_key.version, sealed)
        with pytest.raises(InvalidTag):
            opened(ring, endpoint_id, ring.data_key.version, sealed[1:] + sealed[:1])


class TestDeliveries:
    def test_are_listed_newest_first_page_by_page(self, bank: Bank) -> None:
        made(bank)
        made(bank)
        bank.happens(times=3)
        for event in bank.feed():
            bank.post(f"/events/{event['id']}/redeliveries", {})

        first = bank.get("/webhook-deliveries", limit=4).get_json()
        second = bank.get("/webhook-deliveries", limit=4, cursor=first["next"]).get_json()

        assert [each["seq"] for each in first["items"] + second["items"]] == [3, 3, 2, 2, 1, 1]
        assert second["next"] is None
        assert len({each["id"] for each in first["items"] + second["items"]}) == 6

    def test_can_be_of_one_state_or_endpoint(self, bank: Bank) -> None:
        endpoint = made(bank)
        made(bank)
        bank.happens()
        bank.post(f"/events/{bank.feed()[0]['id']}/redeliveries", {})

        of_one = bank.get("/webhook-deliveries", endpoint_id=endpoint["id"]).get_json()["items"]

        assert [each["endpoint_id"] for each in of_one] == [endpoint["id"]]
        assert len(bank.get("/webhook-deliveries", state="waiting").get_json()["items"]) == 2
        assert bank.get("/webhook-deliveries", state="failed").get_json()["items"] == []
        assert bank.get("/webhook-deliveries", state="lost").status_code == 422
        assert bank.get("/webhook-deliveries", endpoint_id="evt_1").status_code == 404

    def test_are_forgotten_a_month_after_they_arrived(self, bank: Bank) -> None:
        made(bank)
        bank.happens(times=2)
        for event in bank.feed():
            bank.post(f"/events/{event['id']}/redeliveries", {})
        with bank.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE webhook_delivery SET state = 'delivered', ended_at = now()"
                " WHERE partner_id = %s AND seq = 1",
                (bank.id,),
            )

        forget_delivered(bank.runtime.database)
        before = bank.get("/webhook-deliveries").get_json()["items"]
        with clock.shifted(timedelta(days=31)):
            forget_delivered(bank.runtime.database)
            after = bank.get("/webhook-deliveries").get_json()["items"]

        assert (len(before), [each["seq"] for each in after]) == (2, [2])


class TestTheMetrics:
    def test_say_how_much_waits_and_for_how_long(self, fresh_runtime: Runtime) -> None:
        app = create_app(fresh_runtime)
        bank = make_bank(fresh_runtime, app, reach="loopback")
        made(bank)
        bank.happens(times=2)
        for event in bank.feed():
            bank.post(f"/events/{event['id']}/redeliveries", {})
        bank.happens(times=3)

        with clock.shifted(timedelta(minutes=5)):
            text = bank.client.get("/metrics").text

        assert "carbon_webhooks_waiting 2.0" in text
        assert "carbon_events_without_place 3.0" in text
        (overdue,) = re.findall(r"^carbon_webhooks_overdue_seconds ([0-9.]+)$", text, re.MULTILINE)
        assert 300 <= float(overdue) < 310
