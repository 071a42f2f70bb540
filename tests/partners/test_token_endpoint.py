"""The token endpoint: who gets a token, and what hostile assertions get (RFC 7523, RFC 8725)."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from cryptography.hazmat.primitives import serialization
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from service import clock
from service.partners.organisations import partner_by_name, replace_keys, set_state
from service.runtime import Runtime
from tests.partners.conftest import ASSERTION_TYPE, Client, new_key, public_jwk

NewClient = Callable[..., Client]
Ask = Callable[..., TestResponse]


def error_of(response: TestResponse) -> tuple[int, str]:
    assert response.mimetype == "application/json"
    return response.status_code, response.get_json()["error"]


REFUSED = (401, "invalid_client")


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TestAPartner:
    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
    def test_gets_a_token_for_ten_minutes(
        self, a_client: NewClient, ask: Ask, client: FlaskClient, algorithm: str
    ) -> None:
        partner = a_client(algorithm)

        answer = ask(partner.assertion())

        assert answer.status_code == 200
        assert answer.get_json()["token_type"] == "Bearer"
        assert answer.get_json()["expires_in"] == 600
        assert "no-store" in answer.headers["Cache-Control"]
        headers = {"Authorization": f"Bearer {answer.get_json()['access_token']}"}
        assert client.get("/v1/source-links", headers=headers).status_code == 200

    def test_gets_a_token_of_the_published_form(
        self, a_client: NewClient, ask: Ask, client: FlaskClient
    ) -> None:
        partner = a_client()
        token = ask(partner.assertion()).get_json()["access_token"]

        keys = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").get_json())
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(
            token, keys[header["kid"]], algorithms=["ES256"], audience=partner.issuer
        )

        assert header["typ"] == "at+jwt"
        assert claims["sub"] == claims["client_id"] == partner.client_id
        assert {"iss", "exp", "aud", "iat", "jti", "scope"} <= set(claims)

    def test_may_use_authlibs_own_client(self, a_client: NewClient, ask: Ask) -> None:
        partner = a_client()
        pem = partner.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        assertion = private_key_jwt_sign(
            ECKey.import_key(pem.decode()),
            partner.client_id,
            "unused",
            alg="ES256",
            claims={"aud": partner.issuer, "exp": int(time.time()) + 120},
        )

        assert ask(assertion).status_code == 200

    def test_may_name_the_audience_in_a_list(self, a_client: NewClient, ask: Ask) -> None:
        partner = a_client()

        assert ask(partner.assertion(aud=[partner.issuer])).status_code == 200

    def test_may_name_the_new_type_and_a_key_id(self, a_client: NewClient, ask: Ask) -> None:
        partner = a_client()
        jwk = ECKey.import_key(public_jwk(partner.key, "ES256"))
        headers = {"typ": "client-authentication+jwt", "kid": jwk.thumbprint()}

        assert ask(partner.assertion(headers=headers)).status_code == 200

    def test_may_narrow_the_token_to_a_role(
        self, a_client: NewClient, ask: Ask, client: FlaskClient
    ) -> None:
        partner = a_client(roles=("source", "bank"))

        narrow = ask(partner.assertion(), scope="bank")

        assert "bank" in narrow.get_json()["scope"].split()
        assert "source" not in narrow.get_json()["scope"].split()
        headers = {"Authorization": f"Bearer {narrow.get_json()['access_token']}"}
        assert client.get("/v1/source-links", headers=headers).status_code == 403

    def test_gets_no_role_that_it_does_not_have(self, a_client: NewClient, ask: Ask) -> None:
        answer = ask(a_client().assertion(), scope="source bank")

        assert error_of(answer) == (400, "invalid_scope")

    def test_gets_none_while_suspended(
        self, a_client: NewClient, ask: Ask, runtime: Runtime
    ) -> None:
        partner = a_client()

        for active, expected in ((False, 401), (True, 200)):
            with runtime.database.raw_transaction() as connection:
                known = partner_by_name(connection, partner.name)
                set_state(connection, known, active=active, reason="test")
            assert ask(partner.assertion()).status_code == expected

    def test_loses_the_tokens_it_holds_within_a_minute_of_its_suspension(
        self, a_client: NewClient, ask: Ask, client: FlaskClient, runtime: Runtime
    ) -> None:
        partner = a_client()
        token = ask(partner.assertion()).get_json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        client.get("/v1/source-links", headers=headers)
        with runtime.database.raw_transaction() as connection:
            known = partner_by_name(connection, partner.name)
            set_state(connection, known, active=False, reason="test")

        with clock.shifted(timedelta(seconds=61)):
            refused = client.get("/v1/source-links", headers=headers)

        assert (refused.status_code, refused.get_json()["code"]) == (401, "session-ended")

    def test_may_rotate_its_keys(self, a_client: NewClient, ask: Ask, runtime: Runtime) -> None:
        partner, next_key = a_client(), new_key("ES256")
        with runtime.database.raw_transaction() as connection:
            known = partner_by_name(connection, partner.name)
            replace_keys(connection, known, {"keys": [public_jwk(next_key, "ES256")]})

        assert error_of(ask(partner.assertion())) == REFUSED
        rotated = Client(
            partner.name, partner.id, partner.client_id, next_key, "ES256", partner.issuer
        )
        assert ask(rotated.assertion()).status_code == 200


class TestAnAssertionUsedAgain:
    def test_is_refused(self, a_client: NewClient, ask: Ask) -> None:
        assertion = a_client().assertion()
        ask(assertion)

        assert error_of(ask(assertion)) == REFUSED

    def test_is_refused_under_another_signature(self, a_client: NewClient, ask: Ask) -> None:
        partner = a_client()
        ask(partner.assertion(jti="once"))

        assert error_of(ask(partner.assertion(jti="once"))) == REFUSED

    def test_by_another_partner_is_not_the_same(self, a_client: NewClient, ask: Ask) -> None:
        ask(a_client().assertion(jti="first"))

        assert ask(a_client().assertion(jti="first")).status_code == 200

    def test_fifty_times_at_once_gives_one_token(self, a_client: NewClient, ask: Ask) -> None:
        assertion = a_client().assertion()

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: ask(assertion).status_code, range(50)))

        assert answers.count(200) == 1
        assert answers.count(401) == 49

    def test_is_remembered_though_its_request_was_refused(
        self, a_client: NewClient, ask: Ask
    ) -> None:
        assertion = a_client().assertion()
        ask(assertion, scope="bank")

        assert error_of(ask(assertion)) == REFUSED


class TestAHostileAssertion:
    @pytest.mark.parametrize(
        "changed",
        [
            {"aud": None},
            {"aud": "https://elsewhere.example"},
            {"aud": ["http://127.0.0.1:8000", "https://elsewhere.example"]},
            {"aud": []},
            {"aud": "http://127.0.0.1:8000/oauth/token"},
            {"aud": "http://127.0.0.1:8000/"},
            {"exp": None},
            {"exp": int(time.time()) - 30},
            {"exp": int(time.time()) + 7200},
            {"exp": 10**18},
            {"exp": "9999999999"},
            {"exp": 1e300},
            {"exp": True},
            {"nbf": int(time.time()) + 3600},
            {"iat": int(time.time()) + 3600},
            {"jti": None},
            {"jti": 7},
            {"jti": ""},
            {"jti": "x" * 257},
            {"jti": ["x"]},
            {"jti": "\x00"},
            {"iss": None},
            {"iss": "prt_" + "0" * 32},
            {"sub": None},
            {"sub": "prt_" + "0" * 32},
            {"sub": 7},
            {"sub": ["x"]},
            {"sub": {}},
            {"sub": "\ud800"},
        ],
        ids=repr,
    )
    def test_with_wrong_claims_is_refused(
        self, a_client: NewClient, ask: Ask, changed: dict[str, Any]
    ) -> None:
        partner = a_client()
        header, claims = {"alg": "ES256"}, partner.claims(**changed)
        signed = f"{encoded(header)}.{encoded(claims)}"
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        signature = algorithm.sign(signed.encode(), partner.key)  # type: ignore[arg-type]  # an EC key

        assert error_of(ask(f"{signed}.{encoded(signature)}")) == REFUSED

    @pytest.mark.parametrize(
        "header",
        [
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "RS256"},
            {"alg": "ES384"},
            {"alg": "ES256 "},
            {"alg": None},
            {"alg": ["ES256"]},
            {},
            {"alg": "ES256", "kid": "unknown"},
            {"alg": "ES256", "kid": 7},
            {"alg": "ES256", "kid": ["x"]},
            {"alg": "ES256", "typ": "at+jwt"},
            {"alg": "ES256", "typ": 1},
            {"alg": "ES256", "jwk": {}},
            {"alg": "ES256", "jku": "https://elsewhere.example/jwks"},
            {"alg": "ES256", "x5u": "https://elsewhere.example/cert"},
            {"alg": "ES256", "crit": ["exp"], "exp": 1},
            {"alg": "ES256", "b64": False, "crit": ["b64"]},
        ],
        ids=repr,
    )
    def test_with_a_wrong_header_is_refused(
        self, a_client: NewClient, ask: Ask, header: dict[str, Any]
    ) -> None:
        partner = a_client()
        signed = f"{encoded(header)}.{encoded(partner.claims())}"
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        signature = algorithm.sign(signed.encode(), partner.key)  # type: ignore[arg-type]  # an EC key

        assert error_of(ask(f"{signed}.{encoded(signature)}")) == REFUSED

    def test_signed_with_the_public_key_as_a_secret_is_refused(
        self, a_client: NewClient, ask: Ask
    ) -> None:
        partner = a_client()
        secret = json.dumps(public_jwk(partner.key, "ES256")).encode()
        signed = f"{encoded({'alg': 'HS256'})}.{encoded(partner.claims())}"
        mac = hmac.digest(secret, signed.encode(), "sha256")

        assert error_of(ask(f"{signed}.{encoded(mac)}")) == REFUSED

    def test_signed_by_somebody_else_is_refused(self, a_client: NewClient, ask: Ask) -> None:
        partner, other = a_client(), a_client()
        forged = other.assertion(iss=partner.client_id, sub=partner.client_id)

        assert error_of(ask(forged)) == REFUSED

    def test_with_an_empty_or_changed_signature_is_refused(
        self, a_client: NewClient, ask: Ask
    ) -> None:
        signed, _, signature = a_client().assertion().rpartition(".")

        for tampered in ("", "AA", signature[:-4] + "AAAA", encoded(b"\x00" * 64)):
            assert error_of(ask(f"{signed}.{tampered}")) == REFUSED

    def test_in_another_spelling_of_base64_is_refused(self, a_client: NewClient, ask: Ask) -> None:
        assertion = a_client().assertion()
        loose = [assertion + "=", assertion + "\n", " " + assertion, assertion.replace(".", "..")]

        assert [error_of(ask(text)) for text in loose] == [REFUSED] * 4

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"[]",
            b"null",
            b'"x"',
            b"[" * 4000,
            b'{"sub":' * 900,
            b'{"sub":"a","sub":"b"}',
            b'{"sub":NaN}',
            b'{"exp":1e999999999}',
            b'{"exp":' + b"9" * 4000 + b"}",
            b"\xff\xfe",
            b'{"sub":"\\ud800"}',
        ],
        ids=lambda payload: repr(payload[:20]),
    )
    def test_that_cannot_be_read_is_refused(self, ask: Ask, payload: bytes) -> None:
        header = encoded({"alg": "ES256"})

        assert error_of(ask(f"{header}.{encoded(payload)}.{encoded(b'x')}")) == REFUSED
        assert error_of(ask(f"{encoded(payload)}.{header}.{encoded(b'x')}")) == REFUSED

    @pytest.mark.parametrize("text", ["x", "a.b", "a.b.c.d.e", "é.é.é", "." * 9000, "a" * 60_000])
    def test_that_is_no_jwt_is_refused(self, ask: Ask, text: str) -> None:
        assert error_of(ask(text)) == REFUSED


class TestAMalformedRequest:
    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"grant_type": None}, (400, "invalid_request")),
            ({"grant_type": ""}, (400, "invalid_request")),
            ({"grant_type": "password"}, (400, "unsupported_grant_type")),
            ({"grant_type": '"\x00é'}, (400, "unsupported_grant_type")),
            ({"client_assertion": None}, REFUSED),
            ({"client_assertion": ""}, REFUSED),
            ({"client_assertion_type": "x"}, REFUSED),
            ({"client_assertion_type": None}, REFUSED),
        ],
    )
    def test_is_answered_as_oauth_says(
        self, a_client: NewClient, ask: Ask, changed: dict[str, Any], error: tuple[int, str]
    ) -> None:
        assert error_of(ask(a_client().assertion(), **changed)) == error

    def test_with_a_repeated_parameter_is_refused(
        self, a_client: NewClient, client: FlaskClient
    ) -> None:
        form = {
            "grant_type": ["client_credentials", "client_credentials"],
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": a_client().assertion(),
        }

        assert error_of(client.post("/oauth/token", data=form)) == (400, "invalid_request")

    def test_with_parameters_in_the_address_is_refused(
        self, a_client: NewClient, app: Flask
    ) -> None:
        query = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": a_client().assertion(),
        }

        answer = app.test_client().post(
            "/oauth/token",
            query_string=query,
            data="",
            content_type="application/x-www-form-urlencoded",
        )

        assert answer.status_code == 400

    @pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain", ""])
    def test_of_another_media_type_is_refused(self, client: FlaskClient, kind: str) -> None:
        answer = client.post("/oauth/token", data=b'{"grant_type": "x"}', content_type=kind)

        assert error_of(answer) == (400, "invalid_request")

    def test_with_a_password_is_refused(self, client: FlaskClient) -> None:
        answer = client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=("a", "b")
        )

        assert error_of(answer) == REFUSED
        assert "WWW-Authenticate" in answer.headers
