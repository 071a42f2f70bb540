"""A partner with keys of its own, and a client that asks for tokens with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask
from werkzeug.test import TestResponse

from service.ids import PARTNER, public_id
from service.partners.organisations import PartnerTerms, add_partner
from service.runtime import Runtime

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

ALGORITHMS: dict[str, Any] = {
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
    "PS256": jwt.algorithms.RSAPSSAlgorithm,
}


@dataclass(frozen=True)
class Client:
    """A partner's own program; it signs with PyJWT, which our side does not use for assertions."""

    name: str
    id: UUID
    client_id: str
    key: PrivateKey
    algorithm: str
    issuer: str

    def claims(self, **changed: Any) -> dict[str, Any]:
        now_s = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": uuid4().hex,
            "iat": now_s,
            "exp": now_s + 60,
        }
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def assertion(self, *, headers: dict[str, Any] | None = None, **changed: Any) -> str:
        algorithm = None if headers and "alg" in headers else self.algorithm
        return jwt.encode(self.claims(**changed), self.key, algorithm=algorithm, headers=headers)


def new_key(algorithm: str) -> PrivateKey:
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: PrivateKey, algorithm: str) -> dict[str, Any]:
    jwk: dict[str, Any] = ALGORITHMS[algorithm].to_jwk(key.public_key(), as_dict=True)
    kept = ("kty", "crv", "x", "y", "n", "e")
    return {name: jwk[name] for name in kept if name in jwk}


@pytest.fixture
def a_client(runtime: Runtime) -> Callable[..., Client]:
    def make(algorithm: str = "ES256", roles: tuple[str, ...] = ("source",)) -> Client:
        key = new_key(algorithm)
        name = f"partner-{uuid4().hex[:12]}"
        terms = PartnerTerms(name, frozenset(roles), {"keys": [public_jwk(key, algorithm)]})
        with runtime.database.raw_transaction() as connection:
            partner = add_partner(connection, terms)
        client_id = public_id(PARTNER, partner.id)
        return Client(name, partner.id, client_id, key, algorithm, runtime.settings.issuer)

    return make


@pytest.fixture
def ask(app: Flask) -> Callable[..., TestResponse]:
    """Ask for a token with an assertion."""

    def send(assertion: str, **changed: str | None) -> TestResponse:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        } | changed
        sent = {name: value for name, value in form.items() if value is not None}
        return app.test_client().post("/oauth/token", data=sent)

    return send
