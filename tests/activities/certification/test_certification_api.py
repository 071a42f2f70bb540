"""Verifiers decide over HTTP, and a worker carries it out."""

import hashlib
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service import ids
from service.access_tokens import Kind
from service.activities.certification.batches import close_due_batches, decide_batch
from service.activities.errors import VerifierNotIndependent
from service.activities.jobs import TASKS
from service.app import create_app
from service.identity.staff import add_staff
from service.jobs.worker import work
from service.runtime import Runtime
from service.web.context import access_tokens
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    citizens,
    noon,
    points_of,
    record,
    rows,
)

BATCHES = "/v1/certification-batches"
APPROVAL = {"decision": "approve", "statement": "Compared with the gates' own counts."}


@pytest.fixture
def signed_in(app: Flask) -> Any:
    """Return the headers of somebody who has just signed in."""

    def headers(kind: Kind, *roles: str, caller_id: UUID | None = None) -> dict[str, str]:
        with app.app_context():
            token = access_tokens().issue(kind, caller_id or uuid4(), roles=roles)
        return {"Authorization": f"Bearer {token}"}

    return headers


def a_batch(runtime: Runtime, count: int = 1) -> tuple[str, list[UUID], list[UUID]]:
    source = a_source(runtime, delay_days=1)
    cards = [f"card-{number}" for number in range(count)]
    people = citizens(runtime, source, cards)
    acts = activity_ids(record(runtime, source, *(a_ride(card) for card in cards)))
    close_due_batches(runtime.database)
    query = "SELECT id FROM certification_batch WHERE source_id = %s"
    ((batch_id,),) = rows(runtime, query, source.id)
    return ids.public_id(ids.CERTIFICATION_BATCH, batch_id), people, acts


def an_appeal_of(
    runtime: Runtime, client: FlaskClient, signed_in: Any
) -> tuple[UUID, dict[str, Any]]:
    source = a_source(runtime)
    citizen = a_citizen(runtime, source)
    (act,) = activity_ids(record(runtime, source, a_ride(at=noon(9))))
    answer = client.post(
        f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/appeals",
        json={"statement": "I was there"},
        headers=signed_in("citizen", caller_id=citizen),
    )
    assert answer.status_code == 201
    body: dict[str, Any] = answer.get_json()
    return citizen, body


class TestABatch:
    def test_shows_everything_that_its_digest_covers_and_nobody(
        self, runtime: Runtime, client: FlaskClient, signed_in: Any
    ) -> None:
        batch_id, people, acts = a_batch(runtime, 3)

        answer = client.get(f"{BATCHES}/{batch_id}", headers=signed_in("staff", "verifier"))

        batch = answer.get_json()
        assert answer.status_code == 200
        assert batch["digest"] == digest_of(batch["items"])
        assert {item["activity_id"] for item in batch["items"]} == {
            ids.public_id(ids.ACTIVITY, act) for act in acts
        }
        assert not any(person.hex in answer.text for person in people)

    def test_is_listed_page_after_page(
        self, runtime: Runtime, client: FlaskClient, signed_in: Any
    ) -> None:
        batch_id, _, acts = a_batch(runtime, 3)
        auditor = signed_in("staff", "auditor")
        shown: list[str] = []
        cursor = ""

        for _ in range(2):
            page = client.get(
                f"{BATCHES}/{batch_id}/activities?limit=2{cursor}", headers=auditor
            ).get_json()
            shown += [item["activity_id"] for item in page["items"]]
            cursor = f"&cursor={page['next']}"

        assert page["next"] is None
        assert shown == sorted(ids.public_id(ids.ACTIVITY, act) for act in acts)

    def test_is_found_by_its_state(
        self, runtime: Runtime, client: FlaskClient, signed_in: Any
    ) -> None:
        batch_id, _, _ = a_batch(runtime)
        verifier = signed_in("staff", "verifier")

        listed = client.get(f"{BATCHES}?state=open&limit=200", headers=verifier).get_json()

        assert batch_id in {batch["id"] for batch in listed["items"]}
        assert {batch["state"] for batch in listed["items"]} == {"open"}

    def test_is_not_for_a_verifier_of_its_own_source(self, runtime: Runtime) -> None:
        public_id, _, _ = a_batch(runtime)
        batch_id = ids.uuid_of(ids.CERTIFICATION_BATCH, public_id)
        query = "SELECT source_id FROM certification_batch WHERE id = %s"
        ((source_id,),) = rows(runtime, query, batch_id)
        name = f"vera-{uuid4().hex}"
        with runtime.database.transaction() as session:
            verifier = add_staff(session, runtime.keys, name, "verifier", partner_id=source_id)

        with (
            pytest.raises(VerifierNotIndependent),
            runtime.database.raw_transaction() as connection,
        ):
            decide_batch(connection, batch_id, "approved", "I saw it all.", verifier.id)

    def test_is_approved_and_becomes_points(self, fresh_runtime: Runtime) -> None:
        batch_id, (citizen,), _ = a_batch(fresh_runtime)
        client, verifier = client_of(fresh_runtime)

        answer = client.post(f"{BATCHES}/{batch_id}/decisions", json=APPROVAL, headers=verifier)
        work(fresh_runtime, TASKS, wait=False)

        batch = client.get(f"{BATCHES}/{batch_id}", headers=verifier).get_json()
        assert (answer.status_code, answer.get_json()["decision"]) == (201, "approved")
        assert batch["state"] == "issued"
        assert batch["outcome"]["issued"] == 1
        assert points_of(fresh_runtime, citizen) == RIDE_8200_M_G

    def test_is_decided_once(self, runtime: Runtime, client: FlaskClient, signed_in: Any) -> None:
        batch_id, _, _ = a_batch(runtime)
        verifier = signed_in("staff", "verifier")
        address = f"{BATCHES}/{batch_id}/decisions"

        first = client.post(address, json=APPROVAL, headers=verifier)
        again = client.post(address, json=APPROVAL, headers=verifier)
        other = client.post(address, json=APPROVAL, headers=signed_in("staff", "verifier"))

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.get_json() == first.get_json()
        assert (other.status_code, other.get_json()["code"]) == (409, "batch-already-decided")

    @pytest.mark.parametrize(
        ("caller", "status"),
        [
            (("staff", "operator"), 403),
            (("staff", "auditor"), 403),
            (("citizen",), 403),
            (("partner", "verifier"), 403),
        ],
    )
    def test_is_for_verifiers_to_decide(
        self,
        runtime: Runtime,
        client: FlaskClient,
        signed_in: Any,
        caller: tuple[Any, ...],
        status: int,
    ) -> None:
        batch_id, _, _ = a_batch(runtime)

        answer = client.post(
            f"{BATCHES}/{batch_id}/decisions", json=APPROVAL, headers=signed_in(*caller)
        )

        assert answer.status_code == status

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"decision": "perhaps", "statement": "x"}, 422),
            ({"decision": "approve"}, 422),
            ({"decision": "approve", "statement": ""}, 422),
            ({"decision": "approve", "statement": "x" * 501}, 422),
            ({**APPROVAL, "amount": 5}, 400),
            ([], 422),
        ],
    )
    def test_needs_a_decision_in_its_shape(
        self, client: FlaskClient, signed_in: Any, body: Any, status: int
    ) -> None:
        batch_id = ids.public_id(ids.CERTIFICATION_BATCH, uuid4())

        answer = client.post(
            f"{BATCHES}/{batch_id}/decisions", json=body, headers=signed_in("staff", "verifier")
        )

        assert answer.status_code == status


class TestAnAppeal:
    def test_is_answered_and_read_by_its_citizen(
        self, runtime: Runtime, client: FlaskClient, signed_in: Any
    ) -> None:
        citizen, appeal = an_appeal_of(runtime, client, signed_in)
        ruling = {"decision": "upheld", "statement": "The operator confirms it."}

        answer = client.post(
            f"/v1/appeals/{appeal['id']}/decisions",
            json=ruling,
            headers=signed_in("staff", "operator"),
        )

        mine = client.get("/v1/me/appeals", headers=signed_in("citizen", caller_id=citizen))
        assert answer.status_code == 201
        assert mine.get_json()["items"] == [answer.get_json()]
        assert answer.get_json()["decision"]["statement"] == "The operator confirms it."
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_is_on_the_operators_list_without_its_citizen(
        self, runtime: Runtime, client: FlaskClient, signed_in: Any
    ) -> None:
        citizen, appeal = an_appeal_of(runtime, client, signed_in)

        listed = client.get(
            "/v1/appeals?state=open&limit=200", headers=signed_in("staff", "operator")
        )

        assert appeal in listed.get_json()["items"]
        assert citizen.hex not in listed.text

    def test_is_sent_twice_and_made_once(
        self, runtime: Runtime, client: FlaskClient, signed_in: Any
    ) -> None:
        citizen, appeal = an_appeal_of(runtime, client, signed_in)
        address = f"/v1/activities/{appeal['activity_id']}/appeals"
        hers = signed_in("citizen", caller_id=citizen)

        again = client.post(address, json={"statement": "I was there"}, headers=hers)
        other = client.post(address, json={"statement": "I insist"}, headers=hers)
        strangers = client.post(
            address, json={"statement": "I was there"}, headers=signed_in("citizen")
        )

        assert (again.status_code, again.get_json()) == (200, appeal)
        assert (other.status_code, other.get_json()["code"]) == (409, "appeal-already-made")
        assert (strangers.status_code, strangers.get_json()["code"]) == (404, "activity-unknown")

    @pytest.mark.parametrize("decision", ["approve", "uphold", "rejected"])
    def test_is_upheld_or_dismissed_and_nothing_else(
        self, client: FlaskClient, signed_in: Any, decision: str
    ) -> None:
        answer = client.post(
            f"/v1/appeals/{ids.public_id(ids.APPEAL, uuid4())}/decisions",
            json={"decision": decision, "statement": "x"},
            headers=signed_in("staff", "operator"),
        )

        assert answer.status_code == 422

    def test_that_nobody_made_is_not_found(self, client: FlaskClient, signed_in: Any) -> None:
        answer = client.post(
            f"/v1/appeals/{ids.public_id(ids.APPEAL, uuid4())}/decisions",
            json={"decision": "upheld", "statement": "x"},
            headers=signed_in("staff", "operator"),
        )

        assert (answer.status_code, answer.get_json()["code"]) == (404, "appeal-unknown")


def client_of(runtime: Runtime) -> tuple[FlaskClient, dict[str, str]]:
    """Return a client of another runtime's application, and a verifier's headers there."""
    app = create_app(runtime)
    with app.app_context():
        token = access_tokens().issue("staff", uuid4(), roles=["verifier"])
    return app.test_client(), {"Authorization": f"Bearer {token}"}


def digest_of(items: list[dict[str, Any]]) -> str:
    """Compute a batch's digest as the contract describes it."""
    digest = hashlib.sha256()
    for item in sorted(items, key=lambda each: each["activity_id"]):
        digest.update(ids.uuid_of(ids.ACTIVITY, item["activity_id"]).bytes)
        digest.update(bytes.fromhex(item["evidence_digest"]))
        digest.update(item["reduction_g"].to_bytes(8, "big"))
        digest.update(item["points"].to_bytes(8, "big"))
    return digest.hexdigest()
