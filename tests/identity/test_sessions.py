"""Refresh tokens: each works once, and a second use ends the whole sign-in."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import clock
from service.runtime import Runtime
from tests.identity.conftest import Post, SignedInCitizen, at_once, bearer

Citizen = Callable[..., SignedInCitizen]
Refresh = Callable[[str], TestResponse]


@pytest.fixture
def refresh(post: Post) -> Refresh:
    def ask(token: str) -> TestResponse:
        return post("/v1/auth/tokens", {"grant_type": "refresh_token", "refresh_token": token})

    return ask


class TestRefreshing:
    def test_gives_new_tokens_for_the_same_citizen(
        self, a_citizen: Citizen, refresh: Refresh
    ) -> None:
        citizen = a_citizen()

        answer = refresh(citizen.refresh_token).get_json()

        assert answer["citizen_id"] == citizen.public_id
        assert answer["refresh_token"] != citizen.refresh_token

    def test_goes_on_from_token_to_token(self, a_citizen: Citizen, refresh: Refresh) -> None:
        token = a_citizen().refresh_token

        for _ in range(3):
            token = refresh(token).get_json()["refresh_token"]

        assert refresh(token).status_code == 200

    def test_with_a_used_token_ends_the_sign_in(
        self, a_citizen: Citizen, refresh: Refresh, client: FlaskClient
    ) -> None:
        citizen = a_citizen()
        successor = refresh(citizen.refresh_token).get_json()

        response = refresh(citizen.refresh_token)

        assert (response.status_code, response.get_json()["code"]) == (401, "refresh-token-reused")
        assert refresh(successor["refresh_token"]).status_code == 401
        ended = client.post("/v1/auth/revocations", headers=bearer(successor["access_token"]))
        assert ended.get_json()["code"] == "session-ended"

    def test_with_a_grandparent_ends_the_sign_in(
        self, a_citizen: Citizen, refresh: Refresh
    ) -> None:
        oldest = a_citizen().refresh_token
        token = refresh(refresh(oldest).get_json()["refresh_token"]).get_json()["refresh_token"]

        assert refresh(oldest).get_json()["code"] == "refresh-token-reused"
        assert refresh(token).status_code == 401

    def test_fifty_times_at_once_gives_one_successor(
        self, a_citizen: Citizen, refresh: Refresh, runtime: Runtime
    ) -> None:
        citizen = a_citizen()

        answers = at_once(50, lambda: refresh(citizen.refresh_token).status_code)

        assert answers.count(200) == 1
        assert answers.count(401) == 49
        with runtime.database.raw_transaction() as connection:
            query = "SELECT count(*) FROM refresh_token WHERE citizen_id = %s"
            assert connection.execute(query, [citizen.id]).fetchone() == (2,)

    def test_leaves_other_sign_ins_alone(
        self, a_citizen: Citizen, sign_in: Callable[..., TestResponse], refresh: Refresh
    ) -> None:
        citizen = a_citizen()
        with clock.shifted(timedelta(minutes=2)):
            other = sign_in(citizen.phone).get_json()["refresh_token"]
        refresh(citizen.refresh_token)
        refresh(citizen.refresh_token)

        assert refresh(other).status_code == 200

    def test_after_thirty_idle_days_is_refused(self, a_citizen: Citizen, refresh: Refresh) -> None:
        token = a_citizen().refresh_token

        with clock.shifted(timedelta(days=30)):
            assert refresh(token).get_json()["code"] == "refresh-token-invalid"

    def test_after_ninety_days_is_refused_however_busy(
        self, a_citizen: Citizen, refresh: Refresh
    ) -> None:
        token = a_citizen().refresh_token
        for day in (25, 50, 75):
            with clock.shifted(timedelta(days=day)):
                token = refresh(token).get_json()["refresh_token"]

        with clock.shifted(timedelta(days=90)):
            assert refresh(token).get_json()["code"] == "refresh-token-invalid"

    @pytest.mark.parametrize("token", ["x", "A" * 43, "令牌"])
    def test_with_a_made_up_token_is_refused(self, refresh: Refresh, token: str) -> None:
        assert refresh(token).get_json()["code"] == "refresh-token-invalid"

    def test_stores_tokens_as_digests_only(self, a_citizen: Citizen, runtime: Runtime) -> None:
        citizen = a_citizen()

        with runtime.database.raw_transaction() as connection:
            query = "SELECT t::text FROM refresh_token t WHERE citizen_id = %s"
            rows = str(connection.execute(query, [citizen.id]).fetchall())
        assert citizen.refresh_token not in rows
        assert citizen.refresh_token.encode().hex() not in rows


class TestSigningOut:
    def test_ends_access_and_refresh(
        self, a_citizen: Citizen, client: FlaskClient, refresh: Refresh
    ) -> None:
        citizen = a_citizen()
        client.get("/v1/me", headers=citizen.headers)

        response = client.post("/v1/auth/revocations", headers=citizen.headers)

        assert response.status_code == 204
        assert client.get("/v1/me", headers=citizen.headers).status_code == 401
        assert refresh(citizen.refresh_token).status_code == 401

    def test_needs_a_citizen(self, client: FlaskClient) -> None:
        assert client.post("/v1/auth/revocations").status_code == 401
