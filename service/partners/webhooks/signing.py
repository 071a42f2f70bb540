"""Signatures by Standard Webhooks 1.0.0: what an endpoint's messages are signed with, and how.

`v1` is HMAC-SHA256 with a secret that both sides hold; `v1a` is Ed25519, which the receiver cannot
forge, so that a message kept is evidence. While a key is being changed the former one signs too.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.keys import KeyRing
from service.seals import Place, seal, unseal

HMAC: Final = "v1"
ED25519: Final = "v1a"
SIGNATURES: Final = (HMAC, ED25519)

SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  not a secret, but how one begins
PUBLIC_PREFIX: Final = "whpk_"

COLUMNS: Final = (
    "secret_sealed",
    "former_secret_sealed",
    "signing_key_sealed",
    "former_signing_key_sealed",
)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What an endpoint's messages are signed with now; an empty secret or key: not at all."""

    secret: bytes | None
    signing_key: bytes | None
    """The 32 bytes of an Ed25519 private key."""
    former_secret: bytes | None = None
    former_signing_key: bytes | None = None

    @classmethod
    def new(cls, signatures: Iterable[str]) -> "SigningKeys":
        """Make keys for some kinds of signature."""
        kinds = set(signatures)
        return cls(
            secrets.token_bytes(SECRET_BYTES) if HMAC in kinds else None,
            secrets.token_bytes(SECRET_BYTES) if ED25519 in kinds else None,
        )

    def rotated(self) -> "SigningKeys":
        """Return new keys, beside which the present ones go on for a while."""
        kinds = [HMAC] * bool(self.secret) + [ED25519] * bool(self.signing_key)
        new = SigningKeys.new(kinds)
        return SigningKeys(new.secret, new.signing_key, self.secret, self.signing_key)

    def without_former(self) -> "SigningKeys":
        """Return the present keys alone."""
        return SigningKeys(self.secret, self.signing_key)

    @property
    def secret_text(self) -> str | None:
        """The secret as Standard Webhooks writes it; shown once."""
        return None if self.secret is None else SECRET_PREFIX + _base64(self.secret)

    @property
    def public_keys(self) -> list[bytes]:
        """The public Ed25519 keys by which messages can be verified now, the present one first."""
        kept = (self.signing_key, self.former_signing_key)
        return [_public(key) for key in kept if key is not None]

    def sealed(self, keys: KeyRing, endpoint_id: UUID) -> dict[str, bytes | None]:
        """Return the columns of an endpoint's row, sealed with the newest data key."""
        version = keys.data_key.version
        return {
            column: None
            if plain is None
            else seal(keys.data_key.secret, plain, _place(column, endpoint_id, version))
            for column, plain in zip(COLUMNS, self._plain(), strict=True)
        }

    def _plain(self) -> tuple[bytes | None, ...]:
        return (self.secret, self.former_secret, self.signing_key, self.former_signing_key)


def opened(
    keys: KeyRing, endpoint_id: UUID, version: int, sealed: Iterable[bytes | None]
) -> SigningKeys:
    """Return the keys behind the columns of an endpoint's row.

    Args:
        keys: of the installation.
        endpoint_id: whose row.
        version: of the data key that they were sealed with.
        sealed: in the order of `COLUMNS`.
    """
    secret, former_secret, signing_key, former_signing_key = (
        None
        if each is None
        else unseal(keys.data_keys[version], each, _place(column, endpoint_id, version))
        for column, each in zip(COLUMNS, sealed, strict=True)
    )
    return SigningKeys(secret, signing_key, former_secret, former_signing_key)


class Signer:
    """Signs messages to one endpoint."""

    def __init__(self, keys: SigningKeys) -> None:
        self._secrets = [each for each in (keys.secret, keys.former_secret) if each]
        self._keys = [
            Ed25519PrivateKey.from_private_bytes(each)
            for each in (keys.signing_key, keys.former_signing_key)
            if each
        ]

    def headers(self, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
        """Return the three headers of a message.

        Args:
            message_id: the event's public id, the same at each attempt.
            timestamp_s: of this attempt, in seconds of the Unix epoch.
            body: as it is sent.
        """
        signed = f"{message_id}.{timestamp_s}.".encode() + body
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": " ".join(self._signatures(signed)),
        }

    def _signatures(self, signed: bytes) -> Iterable[str]:
        for secret in self._secrets:
            yield f"{HMAC},{_base64(hmac.digest(secret, signed, hashlib.sha256))}"
        for key in self._keys:
            yield f"{ED25519},{_base64(key.sign(signed))}"


def public_key_text(public: bytes) -> str:
    """Return a public key as Standard Webhooks writes it."""
    return PUBLIC_PREFIX + _base64(public)


def public_jwk(public: bytes) -> dict[str, str]:
    """Return a public key as a JWK (RFC 8037), its id its thumbprint."""
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()
    digest = hashlib.sha256(canonical).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "Ed25519", "use": "sig"}


def _public(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _place(column: str, endpoint_id: UUID, version: int) -> Place:
    return Place("webhook_endpoint", column, endpoint_id, version)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
