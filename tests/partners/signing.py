"""Signs requests as a partner does: with a library, and once by hand from RFC 9421 alone."""

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519

from tests.partners.conftest import PrivateKey

COVERED = ("@method", "@target-uri", "authorization", "content-digest")


@dataclass
class Outgoing:
    """A request before it is sent."""

    method: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def signed(key: PrivateKey, key_id: str, message: Outgoing, **how: Any) -> Outgoing:
    """Sign a message in place with the library."""
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519 if isinstance(key, Ed25519PrivateKey) else ECDSA_P256_SHA256,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key_id: key}),
    )
    covered = how.pop("covered", COVERED)
    signer.sign(message, key_id=key_id, covered_component_ids=covered, body=message.body, **how)
    return message


def signed_by_hand(
    key: EllipticCurvePrivateKey, key_id: str, message: Outgoing, nonce: str
) -> Outgoing:
    """Sign a message with nothing but RFC 9421, RFC 9530 and a P-256 key."""
    digest = base64.b64encode(hashlib.sha512(message.body).digest()).decode()
    message.headers["Content-Digest"] = f"sha-512=:{digest}:"
    names = '"@method" "@path" "@query" "content-digest" "authorization"'
    parameters = f'({names});created={int(time.time())};nonce="{nonce}";keyid="{key_id}"'
    path, _, query = message.url.removeprefix("http://").partition("/")[2].partition("?")
    base = "\n".join(
        [
            f'"@method": {message.method}',
            f'"@path": /{path}',
            f'"@query": ?{query}',
            f'"content-digest": {message.headers["Content-Digest"]}',
            f'"authorization": {message.headers["Authorization"]}',
            f'"@signature-params": {parameters}',
        ]
    )
    r, s = decode_dss_signature(key.sign(base.encode(), ECDSA(SHA256())))
    signature = base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()
    message.headers["Signature-Input"] = f"bank={parameters}"
    message.headers["Signature"] = f"bank=:{signature}:"
    return message
