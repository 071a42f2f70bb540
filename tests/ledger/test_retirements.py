"""What citizens retire themselves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import clock
from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze, hold_spending
from service.identity.consequences import Consequences
from service.identity.erasure import begin_erasure, complete_erasure
from service.runtime import Runtime
from tests.ledger.conftest import Headers, issue
from tests.ledger.town import Town

SOON = clock.today() + timedelta(days=30)
LATER = clock.today() + timedelta(days=400)

Retire = Callable[..., TestResponse]


@pytest.fixture
def citizen(runtime: Runtime) -> UUID:
    """Somebody with 10 points and 100 g soon to expire, and 20 points and 400 g of later."""
    citizen_id = Town.founded(runtime, "anna").citizens["anna"]
    issue(runtime, citizen_id, 10, 100, SOON)
    issue(runtime, citizen_id, 20, 400, LATER)
    return citizen_id


@pytest.fixture
def retire(app: Flask, as_caller: Headers) -> Retire:
    def send(citizen_id: UUID, body: dict[str, Any], key: str | None = None) -> TestResponse:
        headers = as_caller(citizen_id) | ({"Idempotency-Key": key} if key else {})
        return app.test_client().post("/v1/me/retirements", json=body, headers=headers)

    return send


def a_key() -> str:
    return uuid4().hex


def grams(client: FlaskClient, headers: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = client.get("/v1/me/account", headers=headers).get_json()["reduction_g"]
    return found


class TestARetirement:
    def test_uses_up_points_that_expire_soonest_first(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        answer = retire(citizen, {"points": 15, "purpose": "我的出行", "beneficiary": "妈妈"})

        told = answer.get_json()
        assert answer.status_code == 201
        assert told["lines"] == [
            {"expires_on": SOON.isoformat(), "points": 10, "reduction_g": 100},
            {"expires_on": LATER.isoformat(), "points": 5, "reduction_g": 100},
        ]
        assert (told["points"], told["reduction_g"]) == (15, 200)
        assert (told["purpose"], told["beneficiary"]) == ("我的出行", "妈妈")
        after = grams(client, as_caller(citizen))
        assert (after["retired"], after["available"]) == (200, 300)

    def test_of_grams_takes_the_fewest_points_that_carry_them(
        self, retire: Retire, citizen: UUID
    ) -> None:
        told = retire(citizen, {"reduction_g": 115}).get_json()

        assert (told["points"], told["reduction_g"]) == (11, 120)

    def test_is_read_again_alone_and_in_the_list(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        headers = as_caller(citizen)
        first = retire(citizen, {"points": 1, "purpose": "first"}).get_json()
        second = retire(citizen, {"points": 2}).get_json()

        page = client.get("/v1/me/retirements?limit=1", headers=headers).get_json()
        rest = client.get(f"/v1/me/retirements?cursor={page['next']}&limit=1", headers=headers)

        assert [page["items"], rest.get_json()["items"]] == [[second], [first]]
        alone = client.get(f"/v1/me/retirements/{first['id']}", headers=headers)
        assert alone.get_json() == first

    def test_says_where_it_is_read_again(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        answers = [retire(citizen, {"points": 1}, "k1") for _ in range(2)]

        places = {answer.headers["Location"] for answer in answers}
        again = [client.get(place, headers=as_caller(citizen)).get_json() for place in places]
        assert again == [answers[0].get_json()]

    def test_of_somebody_else_does_not_exist(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        told = retire(citizen, {"points": 1}).get_json()

        path = f"/v1/me/retirements/{told['id']}"
        response = client.get(path, headers=as_caller(uuid4()))

        assert (response.status_code, response.get_json()["code"]) == (404, "id-unknown")

    def test_stands_in_the_statement_line_by_line(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        told = retire(citizen, {"points": 15}).get_json()

        items = client.get("/v1/me/transfers", headers=as_caller(citizen)).get_json()["items"]

        lines = [item for item in items if item["posting_id"] == told["posting_id"]]
        assert [(line["kind"], line["points"]) for line in lines] == [("retire", 5), ("retire", 10)]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"points": 1, "reduction_g": 1},
            {"points": 0},
            {"points": -1},
            {"points": 2**53},
            {"points": 1.5},
            {"points": "1"},
            {"points": True},
            {"points": None},
            {"reduction_g": 0},
            {"points": 1, "purpose": ""},
            {"points": 1, "purpose": "x" * 201},
            {"points": 1, "beneficiary": "\x00"},
            {"points": 1, "beneficiary": 7},
        ],
    )
    def test_of_no_amount_or_with_no_words_is_refused(
        self, retire: Retire, citizen: UUID, body: dict[str, Any]
    ) -> None:
        assert retire(citizen, body).status_code == 422


class TestUnderOneKey:
    def test_it_happens_once(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        key = a_key()
        body = {"points": 3, "purpose": "once"}

        first, again = (retire(citizen, body, key) for _ in range(2))

        assert first.get_json() == again.get_json()
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert grams(client, as_caller(citizen))["retired"] == 30

    def test_it_happens_once_when_sent_many_times_at_once(
        self, retire: Retire, citizen: UUID, client: FlaskClient, as_caller: Headers
    ) -> None:
        key = a_key()

        with ThreadPoolExecutor(8) as together:
            answers = together.map(lambda _: retire(citizen, {"points": 3}, key), range(16))
            told = {answer.get_data() for answer in answers}

        assert len(told) == 1
        assert grams(client, as_caller(citizen))["retired"] == 30

    def test_a_refusal_stays_a_refusal(
        self, retire: Retire, citizen: UUID, runtime: Runtime
    ) -> None:
        key = a_key()
        refused = retire(citizen, {"points": 31}, key)
        issue(runtime, citizen, 50, 500, LATER)

        again = retire(citizen, {"points": 31}, key)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "insufficient-points")
        assert refused.get_json()["points_short"] == 1
        assert _without_request_id(again) == _without_request_id(refused)
        assert retire(citizen, {"points": 31}, a_key()).status_code == 201

    @pytest.mark.parametrize(
        ("other", "pointer"),
        [
            ({"points": 4}, "/points"),
            ({"reduction_g": 3}, "/points"),
            ({"points": 3, "purpose": "another"}, "/purpose"),
            ({"points": 3, "beneficiary": "another"}, "/beneficiary"),
        ],
    )
    def test_another_wish_is_a_contradiction_and_says_where(
        self, retire: Retire, citizen: UUID, other: dict[str, Any], pointer: str
    ) -> None:
        key = a_key()
        retire(citizen, {"points": 3}, key)

        response = retire(citizen, other, key)

        assert response.status_code == 422
        assert response.get_json()["code"] == "idempotency-key-reused"
        assert [fault["pointer"] for fault in response.get_json()["errors"]] == [pointer]

    def test_two_citizens_retire_each_her_own(
        self, retire: Retire, citizen: UUID, runtime: Runtime
    ) -> None:
        other = Town.founded(runtime, "berta").citizens["berta"]
        issue(runtime, other, 10, 100, SOON)
        key = a_key()

        mine, hers = retire(citizen, {"points": 3}, key), retire(other, {"points": 3}, key)

        assert mine.get_json()["id"] != hers.get_json()["id"]


class TestWhoeverMayNotSpend:
    def test_is_frozen(self, retire: Retire, citizen: UUID, runtime: Runtime) -> None:
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "under review")

        response = retire(citizen, {"points": 1})

        assert (response.status_code, response.get_json()["code"]) == (403, "account-frozen")

    def test_has_a_new_number_or_device(
        self, retire: Retire, citizen: UUID, runtime: Runtime
    ) -> None:
        with runtime.database.transaction() as session:
            hold_spending(session, citizen)

        response = retire(citizen, {"points": 1})

        assert (response.status_code, response.get_json()["code"]) == (403, "spending-held")
        assert "held_until" in response.get_json()

    @pytest.mark.parametrize("points", [3, 31])
    @pytest.mark.parametrize("forbidden", ["frozen", "held"])
    def test_still_gets_the_first_answer_to_what_she_asked_before(
        self, retire: Retire, citizen: UUID, runtime: Runtime, points: int, forbidden: str
    ) -> None:
        key = a_key()
        first = retire(citizen, {"points": points}, key)
        with runtime.database.transaction() as session:
            if forbidden == "frozen":
                freeze(session, citizen, COMMAND_LINE, "under review")
            else:
                hold_spending(session, citizen)

        again = retire(citizen, {"points": points}, key)

        assert again.status_code == first.status_code == (201 if points == 3 else 409)
        assert _without_request_id(again) == _without_request_id(first)
        assert retire(citizen, {"points": points}, a_key()).status_code == 403

    def test_has_left(self, retire: Retire, citizen: UUID, runtime: Runtime) -> None:
        leave(runtime, citizen)

        response = retire(citizen, {"points": 1})

        assert (response.status_code, response.get_json()["code"]) == (404, "citizen-unknown")


def test_words_leave_with_whoever_said_them_and_the_transfers_stay(
    retire: Retire, citizen: UUID, runtime: Runtime
) -> None:
    retire(citizen, {"points": 3, "beneficiary": "my neighbour"})

    leave(runtime, citizen)

    with runtime.database.raw_transaction() as connection:
        assert rows_of(connection, "retirement", citizen) == 0
        assert rows_of(connection, "posting", citizen) == 1


def test_words_cannot_be_changed(retire: Retire, citizen: UUID, runtime: Runtime) -> None:
    retire(citizen, {"points": 3, "beneficiary": "my neighbour"})

    with (
        psycopg.connect(runtime.settings.migration_database_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        connection.execute("UPDATE retirement SET beneficiary = 'me'")


def leave(runtime: Runtime, citizen_id: UUID) -> None:
    with runtime.database.transaction() as session:
        begin_erasure(session, citizen_id, "command_line", Consequences())
    with runtime.eraser.raw_transaction() as connection:
        complete_erasure(connection, citizen_id)


def rows_of(connection: psycopg.Connection[Any], table: str, citizen_id: UUID) -> int:
    query = f"SELECT count(*) FROM {table} WHERE citizen_id = %s"
    return int(connection.execute(query, [citizen_id]).fetchall()[0][0])


def _without_request_id(response: TestResponse) -> dict[str, Any]:
    """Return the answer's content; a problem's `request_id` is another one each time."""
    return {name: value for name, value in response.get_json().items() if name != "request_id"}
