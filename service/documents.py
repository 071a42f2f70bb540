"""Documents that we sign and that others carry away: compact JWS, ES256, our JWKS.

A quote, an entitlement, a report: each kind has its own `typ`, so that none can pass for another,
or for an access token. Offline, a signature proves who wrote a document and never that it still
holds: time and status are for the caller to judge. Its name is its `jti`, never its text.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from service.errors import Invalid
from service.keys import KeyRing, SigningKey

LONGEST_DOCUMENT: Final = 16_384
"""Characters; what is longer is refused unread."""

HEADER_MEMBERS: Final = {"alg", "kid", "typ"}
"""No other is read, so `crit`, `jku`, `x5u`, `b64` or a key of its own is refused."""

_ES256: Final = jws.JWSRegistry(algorithms=["ES256"])
_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_encode = msgspec.json.Encoder().encode


class DocumentInvalid(Invalid):
    """This is no document that we signed."""

    code = "document-not-ours"


def signed_document(keys: KeyRing, document_type: str, claims: Mapping[str, Any]) -> str:
    """Return a compact JWS with the key that signs now.

    Args:
        keys: of the installation.
        document_type: the `typ`, such as `carbon-entitlement+jwt`.
        claims: JSON values; members in the order in which they shall stand.
    """
    header = {"alg": "ES256", "kid": keys.signing_key.kid, "typ": document_type}
    return jws.serialize_compact(header, _encode(claims), _pair(keys.signing_key), registry=_ES256)


def verified_document(keys: KeyRing, document_type: str, token: str) -> dict[str, Any]:
    """Return the claims of a document that we signed, whatever its time and status are now.

    Args:
        keys: of the installation; every key of it verifies.
        document_type: the `typ` it has to have.
        token: as somebody sends it.

    Raises:
        DocumentInvalid: it is no compact JWS of this type with a signature of ours.
    """
    try:
        return _verified(keys, document_type, token.encode("ascii"))
    # One sentence for every reason: a forger learns nothing from it.
    except (JoseError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DocumentInvalid("This is not a document that was signed here.") from error


def _verified(keys: KeyRing, document_type: str, token: bytes) -> dict[str, Any]:
    if len(token) > LONGEST_DOCUMENT or not _COMPACT.fullmatch(token):
        raise ValueError("not a compact JWS")
    found = jws.extract_compact(token, registry=_ES256)
    header = found.headers()
    if set(header) != HEADER_MEMBERS or header["typ"] != document_type:
        raise ValueError("not a header of ours")
    signer = {key.kid: key for key in keys.signing}[header["kid"]]
    if not jws.validate_compact(found, _pair(signer), registry=_ES256):
        raise ValueError("not a signature of ours")
    return msgspec.json.decode(found.payload, type=dict[str, Any])


@lru_cache(maxsize=64)
def _pair(key: SigningKey) -> ECKey:
    """Return a key as the library takes it."""
    return ECKey.import_key(key.private)
