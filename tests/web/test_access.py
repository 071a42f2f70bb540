"""Who gets through to a view."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service import clock
from service.web.access import SESSION_CHECK, declared
from tests.web.conftest import AsCaller


@pytest.fixture
def ended_sessions(probe_app: Flask) -> Iterator[set[UUID]]:
    """Put a session's id in here and it is over."""
    ended: set[UUID] = set()
    before = probe_app.extensions.get(SESSION_CHECK)
    probe_app.extensions[SESSION_CHECK] = lambda session_id: session_id not in ended
    yield ended
    probe_app.extensions[SESSION_CHECK] = before


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    undeclared = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if not declared(app.view_functions[rule.endpoint])
    ]

    assert undeclared == []


class TestAView:
    def test_that_declares_nobody_is_refused(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        response = probe.get("/probe/undeclared", headers=as_caller("staff"))

        assert (response.status_code, response.get_json()["code"]) == (403, "route-undeclared")

    @pytest.mark.parametrize(
        ("kind", "roles", "status"),
        [
            ("staff", ["verifier"], 200),
            ("partner", ["source", "bank"], 200),
            ("staff", ["operator"], 403),
            ("partner", ["verifier"], 403),
            ("citizen", ["verifier"], 403),
        ],
    )
    def test_admits_whom_it_declares(
        self, probe: FlaskClient, as_caller: AsCaller, kind: Any, roles: list[str], status: int
    ) -> None:
        response = probe.get("/probe/verifier", headers=as_caller(kind, roles=roles))

        assert response.status_code == status

    def test_names_the_scope_that_a_partners_token_lacks(
        self, probe: FlaskClient, as_caller: AsCaller
    ) -> None:
        headers = as_caller("partner", roles=["bank"], scopes=["redemptions:read"])

        problem = probe.get("/v1/events", headers=headers).get_json()

        assert (problem["code"], problem["scope"]) == ("role-missing", "events:read")
        assert "events:read" in problem["detail"]

    def test_knows_its_caller(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        citizen = uuid4()

        response = probe.get("/probe/citizen", headers=as_caller(caller_id=citizen))

        assert response.get_json() == {"id": citizen.hex}


class TestAViewOpenToAnyoneThatNamesOthersBesides:
    @pytest.mark.parametrize(
        ("kind", "roles", "answer"),
        [
            ("partner", ["source"], {"known": True}),
            ("partner", ["bank"], {"known": False}),
            ("citizen", [], {"known": False}),
        ],
    )
    def test_knows_whom_it_names(
        self, probe: FlaskClient, as_caller: AsCaller, kind: Any, roles: list[str], answer: Any
    ) -> None:
        response = probe.get("/probe/open", headers=as_caller(kind, roles=roles))

        assert response.get_json() == answer

    def test_admits_whoever_sends_none(self, probe: FlaskClient) -> None:
        assert probe.get("/probe/open").get_json() == {"known": False}

    def test_refuses_a_token_that_is_none(self, probe: FlaskClient) -> None:
        response = probe.get("/probe/open", headers={"Authorization": "Bearer x.y.z"})

        assert (response.status_code, response.get_json()["code"]) == (401, "token-invalid")


class TestACallWithoutAUsableToken:
    @pytest.mark.parametrize(
        ("authorization", "code", "challenge"),
        [
            (None, "token-missing", 'Bearer realm="carbon"'),
            ("Basic YTpi", "token-missing", None),
            ("Bearer", "token-missing", None),
            ("Bearer x.y.z", "token-invalid", None),
            ("bearer \x00", "token-invalid", None),
        ],
    )
    def test_is_told_how_to_sign_in(
        self, probe: FlaskClient, authorization: str | None, code: str, challenge: str | None
    ) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}

        response = probe.get("/probe/citizen", headers=headers)

        assert (response.status_code, response.get_json()["code"]) == (401, code)
        assert response.headers["WWW-Authenticate"].startswith(challenge or "Bearer ")

    def test_is_told_when_the_token_is_old(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        headers = as_caller(lifetime=timedelta(seconds=-1))

        assert probe.get("/probe/citizen", headers=headers).get_json()["code"] == "token-expired"


class TestAnEndedSession:
    def test_stops_a_change_at_once(
        self, probe: FlaskClient, as_caller: AsCaller, ended_sessions: set[UUID]
    ) -> None:
        session_id = uuid4()
        headers = as_caller(session_id=session_id)
        assert probe.post("/probe/citizen", headers=headers).status_code == 200

        ended_sessions.add(session_id)

        refused = probe.post("/probe/citizen", headers=headers)
        assert (refused.status_code, refused.get_json()["code"]) == (401, "session-ended")

    def test_stops_reading_within_a_minute(
        self, probe: FlaskClient, as_caller: AsCaller, ended_sessions: set[UUID]
    ) -> None:
        session_id = uuid4()
        headers = as_caller(session_id=session_id)
        probe.get("/probe/citizen", headers=headers)

        ended_sessions.add(session_id)

        assert probe.get("/probe/citizen", headers=headers).status_code == 200
        with clock.shifted(timedelta(seconds=61)):
            assert probe.get("/probe/citizen", headers=headers).status_code == 401
