"""Who may pass for whom: our own access tokens."""

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service import clock
from service.access_tokens import LIFETIME, AccessTokens, TokenExpired, TokenInvalid
from service.errors import DomainError
from service.keys import SECRETS_FILE, SIGNING_FILE, KeyRing, KeysUnusable

ISSUER = "https://carbon.example"
CITIZEN = UUID(int=7)


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing.at(tmp_path / "keys")


@pytest.fixture
def tokens(keys: KeyRing) -> AccessTokens:
    return AccessTokens(keys, ISSUER)


def forged(keys: KeyRing, *, header: dict[str, str] | None = None, **claims: Any) -> str:
    """A token signed with the right key, but with some other claims."""
    now_s = int(clock.now().timestamp())
    honest: dict[str, Any] = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": f"ctz_{CITIZEN.hex}",
        "jti": "1",
        "iat": now_s,
        "exp": now_s + 60,
        "kind": "citizen",
        "roles": [],
        "scope": "",
        "name": "",
    }
    signing = keys.signing_key
    headers = {"typ": "at+jwt", "kid": signing.kid, **(header or {})}
    return jwt.encode(honest | claims, signing.private, algorithm="ES256", headers=headers)


class TestAnIssuedToken:
    def test_says_who_calls(self, tokens: AccessTokens) -> None:
        session_id = uuid4()

        caller = tokens.verify(
            tokens.issue(
                "partner",
                CITIZEN,
                session_id=session_id,
                roles=["source"],
                scopes=["activities:write"],
                name="metro",
            )
        )

        assert (caller.kind, caller.id, caller.name) == ("partner", CITIZEN, "metro")
        assert caller.roles == {"source"}
        assert caller.scopes == {"activities:write"}
        assert caller.session_id == session_id

    def test_has_the_shape_of_rfc_9068(self, tokens: AccessTokens, keys: KeyRing) -> None:
        token = tokens.issue("citizen", CITIZEN)

        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (header["typ"], header["alg"], header["kid"]) == (
            "at+jwt",
            "ES256",
            keys.public_jwks()["keys"][0]["kid"],
        )
        assert {"iss", "aud", "sub", "client_id", "jti", "iat", "exp"} <= set(claims)
        assert claims["exp"] - claims["iat"] == 600

    def test_ends_with_its_lifetime_even_when_remembered(self, tokens: AccessTokens) -> None:
        token = tokens.issue("citizen", CITIZEN)
        tokens.verify(token)

        with clock.shifted(LIFETIME), pytest.raises(TokenExpired):
            tokens.verify(token)


class TestATokenIsRefused:
    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://other.example"},
            {"aud": "https://other.example"},
            {"aud": [ISSUER[:-1]]},
            {"sub": "prt_" + CITIZEN.hex},
            {"sub": CITIZEN.hex},
            {"kind": "admin"},
            {"kind": ["citizen"]},
            {"roles": None},
            {"sid": "not-a-uuid"},
            {"exp": None},
            {"iat": 99_999_999_999},
        ],
    )
    def test_when_a_claim_is_wrong(
        self, tokens: AccessTokens, keys: KeyRing, claims: dict[str, Any]
    ) -> None:
        tokens.verify(forged(keys))

        with pytest.raises(TokenInvalid):
            tokens.verify(forged(keys, **claims))

    @pytest.mark.parametrize("header", [{"typ": "JWT"}, {"kid": "unknown"}])
    def test_when_its_header_is_wrong(
        self, tokens: AccessTokens, keys: KeyRing, header: dict[str, str]
    ) -> None:
        with pytest.raises(TokenInvalid):
            tokens.verify(forged(keys, header=header))

    def test_when_another_key_signed_it(self, tokens: AccessTokens, tmp_path: Path) -> None:
        stranger = AccessTokens(KeyRing.at(tmp_path / "other"), ISSUER)

        with pytest.raises(TokenInvalid):
            tokens.verify(stranger.issue("citizen", CITIZEN))

    def test_when_it_names_no_algorithm(self, tokens: AccessTokens, keys: KeyRing) -> None:
        header = {"alg": "none", "typ": "at+jwt", "kid": keys.signing_key.kid}
        _, claims, _ = tokens.issue("citizen", CITIZEN).split(".")
        encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()

        for forgery in (f"{encoded}.{claims}.", f"{encoded}.{claims}.AA"):
            with pytest.raises(TokenInvalid):
                tokens.verify(forgery)

    def test_when_it_is_spelled_in_another_way(self, tokens: AccessTokens) -> None:
        token = tokens.issue("citizen", CITIZEN)
        tokens.verify(token)

        for spelling in (token + "=", token + "\n", " " + token, token + "A", loose_end(token)):
            with pytest.raises(TokenInvalid):
                tokens.verify(spelling)

    @pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", "é.é.é", "a." * 5000, "\ud800"])
    def test_when_it_is_no_token_at_all(self, tokens: AccessTokens, text: str) -> None:
        with pytest.raises(TokenInvalid):
            tokens.verify(text)


class TestTheKeys:
    def test_are_the_same_for_processes_that_start_together(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            rings = list(pool.map(KeyRing.at, [tmp_path / "keys"] * 8))

        assert len({ring.signing_key.kid for ring in rings}) == 1
        assert len({ring.data_key.secret for ring in rings}) == 1

    def test_are_readable_by_their_owner_only(self, tmp_path: Path) -> None:
        KeyRing.at(tmp_path / "keys")

        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
        for path in (tmp_path / "keys").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_that_others_could_read_are_refused(self, tmp_path: Path) -> None:
        KeyRing.at(tmp_path)
        (tmp_path / SECRETS_FILE).chmod(0o644)

        with pytest.raises(KeysUnusable):
            KeyRing.at(tmp_path)

    @pytest.mark.parametrize("file", [SIGNING_FILE, SECRETS_FILE])
    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "EC"}]}'])
    def test_that_are_damaged_are_refused(self, tmp_path: Path, file: str, text: str) -> None:
        KeyRing.at(tmp_path)
        (tmp_path / file).write_text(text)

        with pytest.raises(KeysUnusable):
            KeyRing.at(tmp_path)

    def test_can_be_rotated_while_old_tokens_live(self, keys: KeyRing, tmp_path: Path) -> None:
        old_token = AccessTokens(keys, ISSUER).issue("citizen", CITIZEN)
        path = tmp_path / "keys" / SIGNING_FILE
        new = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), True)
        path.write_text(json.dumps({"keys": [new, *json.loads(path.read_text())["keys"]]}))

        rotated = AccessTokens(KeyRing.at(tmp_path / "keys"), ISSUER)

        assert rotated.verify(old_token).id == CITIZEN
        assert len(KeyRing.at(tmp_path / "keys").public_jwks()["keys"]) == 2

    def test_publish_no_private_half(self, keys: KeyRing) -> None:
        assert all("d" not in key for key in keys.public_jwks()["keys"])


class TestATokenInDanger:
    def test_is_never_shown_by_its_refusal(self, tokens: AccessTokens) -> None:
        token = tokens.issue("citizen", CITIZEN, lifetime=timedelta(seconds=-1))

        with pytest.raises(DomainError) as refused:
            tokens.verify(token)

        assert token not in str(refused.value)


def loose_end(token: str) -> str:
    """The same bytes with other unused bits in the last character of the claims."""
    header, claims, signature = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes of signature end in a character that carries two bits of its six.
    last = alphabet[alphabet.index(signature[-1]) + 1]
    return f"{header}.{claims}.{signature[:-1]}{last}"
