"""`carbon staff …` and `carbon citizen …`, as an operator types them."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import clock
from service.identity.commands import citizen_group, staff_group
from service.runtime import Runtime
from tests.identity.conftest import KnownSource, Post, SignedInCitizen, new_phone

Citizen = Callable[..., SignedInCitizen]
Carbon = Callable[..., Result]


@pytest.fixture
def carbon(runtime: Runtime) -> Carbon:
    def run(group: click.Group, *words: str) -> Result:
        return CliRunner().invoke(group, words, obj=runtime)

    return run


def printed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


class TestStaff:
    def test_added_can_log_in_with_the_printed_password(self, carbon: Carbon, post: Post) -> None:
        name = f"ops-{uuid4().hex[:8]}"

        added = printed(carbon(staff_group, "add", "--name", name, "--role", "operator"))[0]

        login = {"name": name, "password": added["password"]}
        answer = post("/v1/auth/staff-tokens", login)
        assert answer.status_code == 200
        assert answer.get_json()["staff_id"] == added["staff_id"]

    def test_added_with_a_second_factor_prints_its_address(self, carbon: Carbon) -> None:
        words = ("add", "--name", f"ops-{uuid4().hex[:8]}", "--role", "auditor", "--totp")

        assert printed(carbon(staff_group, *words))[0]["totp_uri"].startswith("otpauth://totp/")

    def test_a_verifier_may_work_for_a_partner(
        self, carbon: Carbon, a_source: Callable[..., KnownSource]
    ) -> None:
        body = a_source(role="verifier")
        words = ("add", "--name", f"v-{uuid4().hex[:8]}", "--role", "verifier")

        assert printed(carbon(staff_group, *words, "--partner", body.name))

    def test_suspended_is_listed_so(self, carbon: Carbon) -> None:
        name = f"ops-{uuid4().hex[:8]}"
        carbon(staff_group, "add", "--name", name, "--role", "operator")

        carbon(staff_group, "suspend", "--name", name)

        listed = {member["name"]: member for member in printed(carbon(staff_group, "list"))}
        assert listed[name]["state"] == "suspended"
        assert "password" not in listed[name]


class TestCitizen:
    def test_is_frozen_and_released(
        self, carbon: Carbon, a_citizen: Citizen, sign_in: Callable[..., TestResponse]
    ) -> None:
        citizen = a_citizen()

        carbon(citizen_group, "freeze", citizen.public_id, "--reason", "ticket 1")
        with clock.shifted(timedelta(minutes=2)):
            frozen = sign_in(citizen.phone)
        carbon(citizen_group, "release", citizen.public_id, "--reason", "ticket 1 closed")
        with clock.shifted(timedelta(minutes=4)):
            released = sign_in(citizen.phone)

        assert [frozen.status_code, released.status_code] == [403, 200]

    def test_is_found_and_restored_to_a_new_number(
        self, carbon: Carbon, a_citizen: Citizen, sign_in: Callable[..., TestResponse]
    ) -> None:
        citizen, number = a_citizen(), new_phone()

        found = printed(carbon(citizen_group, "find", "--phone", citizen.phone))[0]
        words = ("restore", found["citizen_id"], "--phone", number, "--reason", "seen in person")
        restored = printed(carbon(citizen_group, *words))[0]

        assert restored["spending_held_until"] != "None"
        assert sign_in(number).get_json()["citizen_id"] == citizen.public_id

    def test_is_erased_when_she_asks_staff(
        self, carbon: Carbon, a_citizen: Citizen, client: FlaskClient
    ) -> None:
        citizen = a_citizen()

        erased = printed(carbon(citizen_group, "erase", citizen.public_id))[0]

        assert erased["state"] == "erased"
        assert client.get("/v1/me", headers=citizen.headers).status_code == 401
        assert printed(carbon(citizen_group, "finish-erasures")) == [{"finished": 0}]
