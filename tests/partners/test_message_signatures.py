"""A partner that changes something signs its message, if its profile says so."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from flask.testing import FlaskClient
from joserfc.jwk import ECKey, OKPKey
from werkzeug.test import TestResponse

from service.partners.organisations import partner_by_id
from service.partners.profiles import change_profile, profile_of
from service.runtime import Runtime
from tests.partners.conftest import Client, public_jwk
from tests.partners.signing import COVERED, Outgoing, signed, signed_by_hand

LINE = {
    "external_id": "trip-1",
    "account_ref": "card-1",
    "behavior": "metro_ride",
    "started_at": "2026-11-19T08:00:00+08:00",
    "ended_at": "2026-11-19T08:30:00+08:00",
    "activity_data": {"distance_m": 8200},
}
FEED = json.dumps(LINE).encode() + b"\n"

Send = Callable[[Outgoing], TestResponse]
NewMessage = Callable[..., Outgoing]


def key_id(partner: Client) -> str:
    jwk = public_jwk(partner.key, partner.algorithm)
    kind = ECKey if partner.algorithm == "ES256" else OKPKey
    return str(kind.import_key(jwk).thumbprint())


def a_nonce() -> str:
    return uuid4().hex


@pytest.fixture
def a_signing_partner(a_client: Callable[..., Client], runtime: Runtime) -> Callable[..., Client]:
    """Return partners whose profile asks for signatures."""

    def make(algorithm: str = "ES256") -> Client:
        partner = a_client(algorithm)
        with runtime.database.raw_transaction() as connection:
            profile = replace(profile_of(connection, partner.id), signatures="required")
            change_profile(connection, partner_by_id(connection, partner.id), profile)
        return partner

    return make


@pytest.fixture
def message(ask: Callable[..., TestResponse]) -> NewMessage:
    """Return a feed of one line with the partner's token, not signed yet."""

    def make(partner: Client, body: bytes = FEED, host: str = "http://localhost") -> Outgoing:
        token = ask(partner.assertion()).get_json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
        return Outgoing("POST", f"{host}/v1/activity-batches", body, headers)

    return make


@pytest.fixture
def send(client: FlaskClient) -> Send:
    def sent(message: Outgoing) -> TestResponse:
        path = "/" + message.url.removeprefix("http://").partition("/")[2]
        return client.open(path, method=message.method, data=message.body, headers=message.headers)

    return sent


class TestASignedMessage:
    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
    def test_is_accepted(
        self,
        a_signing_partner: Callable[..., Client],
        message: NewMessage,
        send: Send,
        algorithm: str,
    ) -> None:
        partner = a_signing_partner(algorithm)

        answer = send(signed(partner.key, key_id(partner), message(partner), nonce=a_nonce()))

        assert answer.status_code == 200
        assert answer.get_json()["received"] == 1  # the view has read the whole body

    def test_may_be_as_long_as_a_feed(
        self, a_signing_partner: Callable[..., Client], message: NewMessage, send: Send
    ) -> None:
        partner = a_signing_partner()
        feed = message(partner, body=FEED * 1_000)

        answer = send(signed(partner.key, key_id(partner), feed, nonce=a_nonce()))

        assert answer.get_json()["received"] == 1_000

    def test_may_be_made_by_hand(
        self, a_signing_partner: Callable[..., Client], message: NewMessage, send: Send
    ) -> None:
        partner = a_signing_partner()
        assert isinstance(partner.key, EllipticCurvePrivateKey)

        by_hand = signed_by_hand(partner.key, key_id(partner), message(partner), a_nonce())

        assert send(by_hand).status_code == 200

    def test_may_name_us_by_our_public_address(
        self, a_signing_partner: Callable[..., Client], message: NewMessage, send: Send
    ) -> None:
        partner = a_signing_partner()
        public = message(partner, host=partner.issuer)

        answer = send(signed(partner.key, key_id(partner), public, nonce=a_nonce()))

        assert answer.status_code == 200

    def test_is_accepted_once(
        self, a_signing_partner: Callable[..., Client], message: NewMessage, send: Send
    ) -> None:
        partner = a_signing_partner()
        once = signed(partner.key, key_id(partner), message(partner), nonce=a_nonce())

        first, second = send(once), send(once)

        assert first.status_code == 200
        assert second.status_code == 401
        assert second.get_json()["code"] == "signature-invalid"

    def test_is_verified_though_it_need_not_be_signed(
        self, a_client: Callable[..., Client], message: NewMessage, send: Send
    ) -> None:
        partner = a_client()
        other_key = a_client().key

        plain = send(message(partner))
        forged = send(signed(other_key, key_id(partner), message(partner)))

        assert plain.status_code == 200
        assert forged.get_json()["code"] == "signature-invalid"


class TestATamperedMessage:
    @pytest.fixture
    def partner(self, a_signing_partner: Callable[..., Client]) -> Client:
        return a_signing_partner()

    @pytest.fixture
    def original(self, partner: Client, message: NewMessage) -> Outgoing:
        return signed(partner.key, key_id(partner), message(partner), nonce=a_nonce())

    @pytest.mark.parametrize("body", [FEED.replace(b"8200", b"9200"), b"", FEED + b"\n"])
    def test_with_another_body_is_refused(
        self, original: Outgoing, send: Send, body: bytes
    ) -> None:
        answer = send(replace(original, body=body))

        assert answer.get_json()["code"] == "signature-invalid"

    @pytest.mark.parametrize("path", ["/v1/activity-batches?x=1", "/v1/redemptions"])
    def test_to_another_address_is_refused(
        self, partner: Client, message: NewMessage, send: Send, path: str
    ) -> None:
        meant = replace(message(partner), url=f"http://localhost{path}")
        signed(partner.key, key_id(partner), meant)

        answer = send(replace(meant, url="http://localhost/v1/activity-batches"))

        assert answer.get_json()["code"] == "signature-invalid"

    def test_by_another_method_is_refused(
        self, partner: Client, message: NewMessage, send: Send
    ) -> None:
        meant = replace(message(partner), method="PUT")
        signed(partner.key, key_id(partner), meant)

        answer = send(replace(meant, method="POST"))

        assert answer.get_json()["code"] == "signature-invalid"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
            ("Content-Digest", "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"),
            ("Signature-Input", "pyhms=()"),
            ("Signature-Input", "pyhms=(((("),
            ("Signature", "pyhms=:AAAA:"),
            ("Signature", "\x00"),
        ],
    )
    def test_is_refused_for_its_headers(
        self, original: Outgoing, send: Send, name: str, value: str
    ) -> None:
        original.headers[name] = value

        assert send(original).get_json()["code"] == "signature-invalid"

    def test_with_another_token_is_refused(
        self, partner: Client, original: Outgoing, message: NewMessage, send: Send
    ) -> None:
        original.headers["Authorization"] = message(partner).headers["Authorization"]

        assert send(original).get_json()["code"] == "signature-invalid"

    @pytest.mark.parametrize("left_out", COVERED[:3])
    def test_that_does_not_cover_enough_is_refused(
        self, partner: Client, message: NewMessage, send: Send, left_out: str
    ) -> None:
        covered = tuple(name for name in COVERED if name != left_out)
        few = signed(
            partner.key, key_id(partner), message(partner), covered=covered, nonce=a_nonce()
        )

        assert send(few).get_json()["code"] == "signature-invalid"

    @pytest.mark.parametrize("age_s", [320, -60])
    def test_from_another_time_is_refused(
        self, partner: Client, message: NewMessage, send: Send, age_s: int
    ) -> None:
        created = datetime.now(UTC) - timedelta(seconds=age_s)
        stale = signed(partner.key, key_id(partner), message(partner), created=created)

        assert send(stale).get_json()["code"] == "signature-invalid"

    def test_with_an_unknown_key_is_refused(
        self, partner: Client, message: NewMessage, send: Send
    ) -> None:
        unknown = signed(partner.key, "another-key", message(partner))

        assert send(unknown).get_json()["code"] == "signature-invalid"


def test_an_unsigned_message_is_refused_where_signatures_are_required(
    a_signing_partner: Callable[..., Client], message: NewMessage, send: Send
) -> None:
    answer = send(message(a_signing_partner()))

    assert (answer.status_code, answer.get_json()["code"]) == (401, "signature-missing")


def test_reading_needs_no_signature(
    a_signing_partner: Callable[..., Client], message: NewMessage, client: FlaskClient
) -> None:
    headers = message(a_signing_partner()).headers

    assert client.get("/v1/source-links", headers=headers).status_code == 200
