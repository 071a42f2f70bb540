"""What passes for a document of ours, and what never does."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from service.access_tokens import AccessTokens, TokenInvalid
from service.documents import (
    LONGEST_DOCUMENT,
    DocumentInvalid,
    signed_document,
    verified_document,
)
from service.keys import KeyRing

TYPE = "carbon-test+jwt"
CLAIMS = {"jti": "tst_1", "words": "碳", "points": 300}


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing.at(tmp_path / "keys")


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_header(keys: KeyRing, header: Any) -> str:
    """A document whose header says something else, with our signature to it where we could."""
    return ".".join([encoded(header), *signed_document(keys, TYPE, CLAIMS).split(".")[1:]])


class TestASignedDocument:
    def test_gives_back_its_claims(self, keys: KeyRing) -> None:
        token = signed_document(keys, TYPE, CLAIMS)

        assert verified_document(keys, TYPE, token) == CLAIMS

    def test_is_verified_with_the_published_keys_alone(self, keys: KeyRing) -> None:
        token = signed_document(keys, TYPE, CLAIMS)

        published = KeySet.import_key_set(keys.public_jwks())  # type: ignore[arg-type]  # plain JSON
        found = jwt.decode(token, published, algorithms=["ES256"])

        assert found.claims == CLAIMS
        assert found.header == {"alg": "ES256", "kid": keys.signing_key.kid, "typ": TYPE}

    def test_is_verified_after_the_keys_have_rotated(self, keys: KeyRing, tmp_path: Path) -> None:
        token = signed_document(keys, TYPE, CLAIMS)
        newer = KeyRing.at(tmp_path / "newer").signing

        rotated = replace(keys, signing=(*newer, *keys.signing))

        assert verified_document(rotated, TYPE, token) == CLAIMS

    def test_is_no_access_token(self, keys: KeyRing) -> None:
        with pytest.raises(TokenInvalid):
            AccessTokens(keys, "https://x.example").verify(signed_document(keys, TYPE, CLAIMS))


class TestADocumentIsRefused:
    @pytest.mark.parametrize(
        "changes",
        [
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "ES512"},
            {"crit": ["exp"]},
            {"crit": ["b64"], "b64": False},
            {"jku": "https://elsewhere.example/jwks.json"},
            {"x5u": "https://elsewhere.example/chain.pem"},
            {"jwk": {"kty": "EC"}},
            {"kid": "another"},
            {"kid": ["a", "list"]},
            {"typ": "carbon-other+jwt"},
            {"typ": None},
        ],
    )
    def test_for_its_header(self, keys: KeyRing, changes: dict[str, Any]) -> None:
        honest = {"alg": "ES256", "kid": keys.signing_key.kid, "typ": TYPE}

        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, with_header(keys, honest | changes))

    def test_that_brings_its_own_key(self, keys: KeyRing) -> None:
        own = ECKey.generate_key("P-256")
        header = {"alg": "ES256", "typ": TYPE, "kid": keys.signing_key.kid}

        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, jwt.encode(header, CLAIMS, own))

    def test_of_another_type_although_we_signed_it(self, keys: KeyRing) -> None:
        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, signed_document(keys, "carbon-other+jwt", CLAIMS))

    def test_that_is_an_access_token(self, keys: KeyRing) -> None:
        token = AccessTokens(keys, "https://x.example").issue("citizen", uuid4())

        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, token)

    def test_with_one_bit_changed(self, keys: KeyRing) -> None:
        header, payload, signature = signed_document(keys, TYPE, CLAIMS).split(".")
        raw = bytearray(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        raw[-2] ^= 1

        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, f"{header}.{encoded(bytes(raw))}.{signature}")

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "..",
            "a.b",
            "a.b.c",
            "a.b.c.d",
            "碳.碳.碳",
            "\0.a.b",
            "a.b.c\n",
            "x" * LONGEST_DOCUMENT,
        ],
    )
    def test_that_is_none(self, keys: KeyRing, token: str) -> None:
        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, token)

    @pytest.mark.parametrize("header", [b"[" * 300, b"[]", b"null", b"\xff", b'"typ"', b"{}"])
    def test_whose_header_is_none(self, keys: KeyRing, header: bytes) -> None:
        with pytest.raises(DocumentInvalid):
            verified_document(keys, TYPE, with_header(keys, header))

    def test_with_another_spelling_of_the_same_signature(self, keys: KeyRing) -> None:
        token = signed_document(keys, TYPE, CLAIMS)

        for other in (token + "=", token[:-1] + chr(ord(token[-1]) + 1)):
            with pytest.raises(DocumentInvalid):
                verified_document(keys, TYPE, other)
