"""Citizens, sources and operators for the tests of identity, made the way they are made in life."""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from service.identity.staff import NewStaff, Role, add_staff
from service.ids import CITIZEN, uuid_of
from service.partners.organisations import LinkProof, PartnerTerms, add_partner
from service.runtime import Runtime
from service.web.context import ACCESS_TOKENS

AT_ONCE = 16


@dataclass(frozen=True)
class SignedInCitizen:
    phone: str
    id: UUID
    public_id: str
    headers: dict[str, str]
    refresh_token: str


@dataclass(frozen=True)
class KnownSource:
    name: str
    id: UUID
    headers: dict[str, str]


Post = Callable[..., TestResponse]
Send = Callable[[str], str]


def new_phone() -> str:
    return f"+86138{secrets.randbelow(10**8):08}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def at_once(times: int, act: Callable[[], Any]) -> list[Any]:
    """Do the same many times at once and return every result."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: act(), range(times)))


@pytest.fixture
def post(app: Flask) -> Post:
    """POST JSON with a client of its own, so that threads do not share one."""

    def send(path: str, body: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        return app.test_client().post(path, json=body, **options)

    return send


@pytest.fixture
def code_sent(runtime: Runtime) -> Send:
    """Return the code that was sent for a request."""

    def read(request_id: str) -> str:
        lines = (runtime.settings.home / "sms.jsonl").read_text().splitlines()
        messages = [json.loads(line) for line in lines]
        return str(next(m["code"] for m in messages if m["request_id"] == request_id))

    return read


@pytest.fixture
def proof(post: Post, code_sent: Send) -> Callable[[str], dict[str, str]]:
    """Ask for a code and return what proves a number."""

    def prove(phone: str) -> dict[str, str]:
        request_id = post("/v1/auth/otp", {"phone": phone}).get_json()["request_id"]
        return {"request_id": request_id, "code": code_sent(request_id)}

    return prove


@pytest.fixture
def sign_in(post: Post, proof: Callable[[str], dict[str, str]]) -> Callable[..., TestResponse]:
    def ask(phone: str, **options: Any) -> TestResponse:
        return post("/v1/auth/tokens", {"grant_type": "otp", **proof(phone), **options})

    return ask


@pytest.fixture
def a_citizen(sign_in: Callable[..., TestResponse]) -> Callable[..., SignedInCitizen]:
    def make(phone: str = "", **options: Any) -> SignedInCitizen:
        number = phone or new_phone()
        answer = sign_in(number, **options).get_json()
        return SignedInCitizen(
            number,
            uuid_of(CITIZEN, answer["citizen_id"]),
            answer["citizen_id"],
            bearer(answer["access_token"]),
            answer["refresh_token"],
        )

    return make


@pytest.fixture
def a_source(app: Flask, runtime: Runtime) -> Callable[..., KnownSource]:
    def make(link_proof: LinkProof = "none", role: str = "source") -> KnownSource:
        name = f"source-{uuid4().hex[:12]}"
        key = ECKey.generate_key("P-256").as_dict(private=False)
        terms = PartnerTerms(name, frozenset({role}), {"keys": [key]}, link_proof=link_proof)
        with runtime.database.raw_transaction() as connection:
            partner = add_partner(connection, terms)
        token = app.extensions[ACCESS_TOKENS].issue("partner", partner.id, roles=[role], name=name)
        return KnownSource(name, partner.id, bearer(token))

    return make


@pytest.fixture
def new_staff(runtime: Runtime) -> Callable[..., tuple[str, NewStaff]]:
    def make(role: Role = "operator", *, with_totp: bool = False) -> tuple[str, NewStaff]:
        name = f"{role}-{uuid4().hex[:12]}"
        with runtime.database.transaction() as session:
            return name, add_staff(session, runtime.keys, name, role, with_totp=with_totp)

    return make


@pytest.fixture
def operator(post: Post, new_staff: Callable[..., tuple[str, NewStaff]]) -> dict[str, str]:
    """Headers of a logged-in operator."""
    name, staff = new_staff()
    answer = post("/v1/auth/staff-tokens", {"name": name, "password": staff.password})
    return bearer(answer.get_json()["access_token"])
