"""Requests that are sent again."""

from datetime import timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from service import clock
from service.runtime import Runtime
from service.web.idempotency import forget_old_answers
from tests.web.conftest import AsCaller


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


class TestARepeatedRequest:
    def test_gets_its_first_answer_and_no_second_effect(
        self, probe: FlaskClient, as_caller: AsCaller, effects: list[str]
    ) -> None:
        headers = as_caller() | a_key()
        first = probe.post("/probe/effects", json={"points": 3}, headers=headers)
        count = len(effects)

        again = probe.post("/probe/effects", json={"points": 3}, headers=headers)

        assert (again.status_code, again.get_json()) == (201, first.get_json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        assert len(effects) == count

    def test_may_order_its_members_otherwise(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        headers = as_caller() | a_key() | {"Content-Type": "application/json"}
        probe.post("/probe/effects", data=b'{"a": 1, "b": "x"}', headers=headers)

        again = probe.post("/probe/effects", data=b'{"b":"x","a":1}', headers=headers)

        assert again.headers["Idempotent-Replayed"] == "true"

    def test_with_another_body_is_refused(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        headers = as_caller() | a_key()
        probe.post("/probe/effects", json={"points": 3}, headers=headers)

        other = probe.post("/probe/effects", json={"points": 4}, headers=headers)

        assert (other.status_code, other.get_json()["code"]) == (422, "idempotency-key-reused")

    def test_of_another_caller_is_another_request(
        self, probe: FlaskClient, as_caller: AsCaller
    ) -> None:
        key = a_key()
        first = probe.post("/probe/effects", json={}, headers=as_caller() | key)

        other = probe.post("/probe/effects", json={}, headers=as_caller() | key)

        assert other.get_json() != first.get_json()

    def test_without_a_key_has_its_effect_again(
        self, probe: FlaskClient, as_caller: AsCaller, effects: list[str]
    ) -> None:
        headers = as_caller()
        count = len(effects)

        for _ in range(2):
            probe.post("/probe/effects", json={}, headers=headers)

        assert len(effects) == count + 2

    def test_that_overtakes_the_first_is_told_to_wait(
        self, probe: FlaskClient, as_caller: AsCaller, runtime: Runtime
    ) -> None:
        caller, key = uuid4(), a_key()
        name = f"{caller} POST /probe/effects {key['Idempotency-Key']}"
        with runtime.database.transaction() as session:
            session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
            )

            response = probe.post(
                "/probe/effects", json={}, headers=as_caller(caller_id=caller) | key
            )

        assert (response.status_code, response.get_json()["code"]) == (409, "request-in-progress")
        assert response.headers["Retry-After"] == "1"


class TestAKey:
    @pytest.mark.parametrize(
        ("key", "status"),
        [
            ("0190f3a2-6f1e-7c3a-9d53-000000000001", 201),
            ('"a quoted string of RFC 9651"', 201),
            ("k1", 201),
            ("order-7", 201),
            ("~", 201),
            ('{a}<b>|c"d\\e', 201),
            ('"k"', 201),
            ("x" * 255, 201),
            ("", 400),
            ('""', 400),
            ('"unclosed', 400),
            ("two words", 400),
            ("tab\there", 400),
            ("caf\xe9", 400),
            ("x" * 256, 400),
        ],
    )
    def test_is_quoted_or_bare(
        self, probe: FlaskClient, as_caller: AsCaller, key: str, status: int
    ) -> None:
        headers = as_caller() | {"Idempotency-Key": key}

        assert probe.post("/probe/effects", json={}, headers=headers).status_code == status

    def test_may_be_quoted_one_time_and_bare_the_next(
        self, probe: FlaskClient, as_caller: AsCaller
    ) -> None:
        headers = as_caller()
        first, again = (
            probe.post("/probe/effects", json={}, headers=headers | {"Idempotency-Key": key})
            for key in ("k1", '"k1"')
        )

        assert first.get_json() == again.get_json()

    def test_is_forgotten_after_thirty_days(
        self, probe: FlaskClient, as_caller: AsCaller, runtime: Runtime
    ) -> None:
        probe.post("/probe/effects", json={}, headers=as_caller() | a_key())

        with clock.shifted(timedelta(days=31)), runtime.database.transaction() as session:
            assert forget_old_answers(session) >= 1
