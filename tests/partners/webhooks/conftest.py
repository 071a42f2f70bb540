"""A partner with scopes, its calls, and the events of its objects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm
from werkzeug.test import TestResponse

from service.partners.events import record_event
from service.partners.organisations import PartnerTerms, add_partner
from service.runtime import Runtime
from service.web.context import access_tokens

SCOPES = ("events:read", "webhooks:manage")


@dataclass(frozen=True)
class Bank:
    """A partner that is told of what happens to its redemptions."""

    id: UUID
    runtime: Runtime
    app: Flask
    scopes: tuple[str, ...]

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def headers(self) -> dict[str, str]:
        """With a new token each time: a test's clock may jump."""
        with self.app.app_context():
            token = access_tokens().issue("partner", self.id, roles=("bank",), scopes=self.scopes)
        return {"Authorization": f"Bearer {token}"}

    def happens(self, event_type: str = "redemption.captured", *, times: int = 1) -> list[str]:
        """Let objects change, each in a transaction of its own; return their ids."""
        objects = [f"rdm_{uuid4().hex}" for _ in range(times)]
        for object_id in objects:
            with self.runtime.database.raw_transaction() as connection:
                record_event(connection, self.id, event_type, object_id, "captured", 3)
        return objects

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(f"/v1{path}", query_string=query or None, headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.client.post(f"/v1{path}", json=body, headers=self.headers | headers)

    def put(self, path: str, body: Any) -> TestResponse:
        return self.client.put(f"/v1{path}", json=body, headers=self.headers)

    def delete(self, path: str) -> TestResponse:
        return self.client.delete(f"/v1{path}", headers=self.headers)

    def feed(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("/events", **query).get_json()["items"]
        return items


MakeBank = Callable[..., Bank]


@pytest.fixture
def a_bank(runtime: Runtime, app: Flask) -> MakeBank:
    """Make a partner bank that has a token; `reach` is what its operator decided."""
    return lambda **terms: make_bank(runtime, app, **terms)


@pytest.fixture
def bank(a_bank: MakeBank) -> Bank:
    return a_bank(reach="loopback")


def make_bank(
    runtime: Runtime, app: Flask, *, reach: str = "public", scopes: tuple[str, ...] = SCOPES
) -> Bank:
    public = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    terms = PartnerTerms(f"bank-{uuid4().hex[:12]}", frozenset({"bank"}), {"keys": [public]})
    with runtime.database.raw_transaction() as connection:
        partner = add_partner(connection, terms)
        connection.execute(
            "INSERT INTO partner_profile (partner_id, reach) VALUES (%s, %s)"
            " ON CONFLICT (partner_id) DO UPDATE SET reach = excluded.reach",
            (partner.id, reach),
        )
    return Bank(partner.id, runtime, app, scopes)
