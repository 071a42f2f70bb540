"""The secrets of one installation: made on first use, kept outside the database."""

import binascii
import hashlib
import json
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm

from service import base64url
from service.durable_files import replace as replace_file
from service.durable_files import write_once
from service.errors import DomainError

SECRET_BYTES = 32
SIGNING_FILE = "signing-keys.json"
SECRETS_FILE = "secret-keys.json"


class KeysUnusable(DomainError):
    """The key files cannot be used."""

    code = "keys-unusable"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One ES256 key; `kid` is its RFC 7638 thumbprint."""

    kid: str
    private: EllipticCurvePrivateKey
    made_at: datetime | None = None
    """None: with the installation, or by hand."""
    stopped_at: datetime | None = None
    """When another key took over; None: it signs, or has never signed."""

    @classmethod
    def new(cls, made_at: datetime | None = None) -> "SigningKey":
        """Make a key."""
        private = generate_private_key(SECP256R1())
        return cls(thumbprint(_public_members(private)), private, made_at)

    @property
    def kept(self) -> dict[str, str]:
        """The whole key as its file holds it."""
        jwk = ECAlgorithm.to_jwk(self.private, as_dict=True)
        times = {"made_at": self.made_at, "stopped_at": self.stopped_at}
        return {
            **{name: jwk[name] for name in ("kty", "crv", "x", "y", "d")},
            **{name: moment.isoformat() for name, moment in times.items() if moment},
        }

    @property
    def public_jwk(self) -> dict[str, str]:
        """The half that everybody may have, for `/.well-known/jwks.json`."""
        return {**_public_members(self.private), "kid": self.kid, "alg": "ES256", "use": "sig"}


@dataclass(frozen=True, slots=True)
class VersionedKey:
    """A secret and the number stored beside whatever was made with it."""

    version: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Every key of the installation, read once by each process.

    Rotation is a change of the files: `carbon keys` changes the one of signing keys; give a new
    data or account key a higher version and keep the old one for as long as something is stored
    under it.
    """

    signing: tuple[SigningKey, ...]
    """The first one signs; all of them verify."""
    data_keys: Mapping[int, bytes]
    """AES-256-GCM key-encryption keys for personal data, by version."""
    account_keys: Mapping[int, bytes]
    """HMAC-SHA-256 keys for digests of account references, by version."""
    index_key: bytes
    """HMAC-SHA-256 key of the blind index by which a phone number is found."""
    cursor_key: bytes
    """HMAC-SHA-256 key that authenticates list cursors."""

    @classmethod
    def at(cls, folder: Path) -> "KeyRing":
        """Read the keys in a folder, making them first if it has none.

        Raises:
            KeysUnusable: a file is damaged, or others than its owner may read it.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        signing = signing_keys_in(folder)
        kept = read_or_make(folder / SECRETS_FILE, _new_secrets)
        try:
            return cls(
                signing=signing,
                data_keys=_versions(kept["data_keys"]),
                account_keys=_versions(kept["account_keys"]),
                index_key=_bytes_of(kept["index_key"]),
                cursor_key=_bytes_of(kept["cursor_key"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(folder) from error

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs new tokens."""
        return self.signing[0]

    @property
    def data_key(self) -> VersionedKey:
        """The key that encrypts new personal data."""
        return _newest(self.data_keys)

    @property
    def account_key(self) -> VersionedKey:
        """The key that digests new account references."""
        return _newest(self.account_keys)

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set."""
        return {"keys": [key.public_jwk for key in self.signing]}


def signing_keys_in(folder: Path) -> tuple[SigningKey, ...]:
    """Return the signing keys in a folder that is there, making the first one if there is none.

    Raises:
        KeysUnusable: their file is damaged, or others than its owner may read it.
    """
    kept = read_or_make(folder / SIGNING_FILE, lambda: _signing_document([SigningKey.new()]))
    try:
        return _signing_keys(kept["keys"])
    except (KeyError, TypeError, ValueError, AttributeError, PyJWTError) as error:
        raise _damaged(folder) from error


def keep_signing_keys(folder: Path, keys: Sequence[SigningKey]) -> None:
    """Put signing keys in the place of those in a folder; the first one signs from now on."""
    replace_file(folder / SIGNING_FILE, json.dumps(_signing_document(keys)))


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of an elliptic-curve key."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url.encoded(hashlib.sha256(canonical.encode()).digest())


def _newest(keys: Mapping[int, bytes]) -> VersionedKey:
    version = max(keys)
    return VersionedKey(version, keys[version])


def _versions(kept: Mapping[str, str]) -> dict[int, bytes]:
    return {int(version): _bytes_of(text) for version, text in kept.items()}


def _signing_keys(jwks: list[Mapping[str, str]]) -> tuple[SigningKey, ...]:
    if not jwks:
        raise ValueError("there is no signing key")
    return tuple(_signing_key(jwk) for jwk in jwks)


def _signing_key(jwk: Mapping[str, str]) -> SigningKey:
    private = ECAlgorithm.from_jwk(dict(jwk))
    if not isinstance(private, EllipticCurvePrivateKey) or private.curve.name != SECP256R1.name:
        raise ValueError("a signing key is the private half of a P-256 key")
    return SigningKey(
        thumbprint(_public_members(private)),
        private,
        made_at=_moment(jwk.get("made_at")),
        stopped_at=_moment(jwk.get("stopped_at")),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _public_members(private: EllipticCurvePrivateKey) -> dict[str, str]:
    jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


def _signing_document(keys: Sequence[SigningKey]) -> dict[str, Any]:
    return {"keys": [key.kept for key in keys]}


def _damaged(folder: Path) -> KeysUnusable:
    return KeysUnusable("A key file in {folder} is damaged.", folder=str(folder))


def _new_secrets() -> dict[str, Any]:
    return {
        "data_keys": {"1": _new_secret()},
        "account_keys": {"1": _new_secret()},
        "index_key": _new_secret(),
        "cursor_key": _new_secret(),
    }


def _new_secret() -> str:
    return base64url.encoded(secrets.token_bytes(SECRET_BYTES))


def read_or_make(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read a key file, making it first if there is none.

    Raises:
        KeysUnusable: it is damaged, or others than its owner may read it.
    """
    if not path.exists():
        write_once(path, json.dumps(make()))
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeysUnusable("{path} must be readable by its owner only.", path=str(path))
    try:
        kept = json.loads(path.read_bytes())
    except ValueError as error:
        raise KeysUnusable("{path} is not a key file.", path=str(path)) from error
    if not isinstance(kept, dict):
        raise KeysUnusable("{path} is not a key file.", path=str(path))
    return kept


def _bytes_of(text: str) -> bytes:
    secret = base64url.decoded(text)
    if len(secret) != SECRET_BYTES:
        raise binascii.Error("a secret has 32 bytes")
    return secret
