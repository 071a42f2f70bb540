"""Client assertions: how a partner proves with its own key that it is that partner.

Everything is refused that one reader could take differently from another (RFC 8725): loose base64,
repeated members, unknown header members, a key or an address of a key in the header, an algorithm
that is not on our list.
"""

import re
from datetime import UTC, datetime
from typing import Any

import psycopg
from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from service import base64url, clock
from service.errors import DomainError
from service.ids import PARTNER, uuid_of
from service.partners.single_use import is_first_use
from service.web.json_bodies import read_json

ALGORITHMS = ("ES256", "EdDSA", "Ed25519", "PS256")
"""Each key type of a registered set allows exactly one of them (Ed25519 has two names)."""
AUTH_METHOD = "private_key_jwt"
LONGEST = 8192
LONGEST_LIFE_S = 300
LEEWAY_S = 5
LONGEST_JTI = 256
HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
TYPES = frozenset({"JWT", "client-authentication+jwt"})

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class _Signatures(JWSRegistry):
    """Our algorithms; `EdDSA` is the name, deprecated by RFC 9864, by which many know Ed25519."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return an algorithm; registered keys of that kind are all Ed25519."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


_SIGNATURES = _Signatures(algorithms=ALGORITHMS)


class ClientAssertion(JWTBearerClientAssertion):  # type: ignore[misc]  # Authlib has no types
    """Checks one assertion inside the request's transaction."""

    CLIENT_AUTH_METHOD = AUTH_METHOD

    def __init__(self, connection: psycopg.Connection[Any], issuer: str) -> None:
        super().__init__(leeway=LEEWAY_S)
        self._connection = connection
        self._issuer = issuer

    def extract_assertion(self, assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims of an assertion that is well-formed; nothing is proved yet."""
        segments = _COMPACT.fullmatch(assertion) if len(assertion) <= LONGEST else None
        if segments is None:
            raise _refused("The assertion is not a compact JWT.")
        header, claims = _object_in(segments[1]), _object_in(segments[2])
        _canonical_bytes(segments[3])
        _check_header(header)
        return header, claims

    def resolve_client_public_key(self, client: Any) -> KeySet:
        """Return the keys the partner has registered."""
        keys: KeySet = client.keys
        return keys

    def process_assertion_claims(self, assertion: str, resolve_key: KeySet) -> dict[str, Any]:
        """Verify the signature, then the claims."""
        try:
            token = jwt.decode(assertion, resolve_key, registry=_SIGNATURES)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused("The signature cannot be verified with a registered key.") from error
        self.verify_claims(token.claims)
        return token.claims

    def verify_claims(self, claims: dict[str, Any]) -> None:
        """Check whom it speaks for and to, for how long, and that it is its first use."""
        now_s = int(clock.now().timestamp())
        registry = jwt.JWTClaimsRegistry(
            now=now_s,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": str(claims.get("sub"))},
            sub={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        )
        try:
            registry.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise _refused("A claim is missing, wrong, or out of its time.") from error
        self._check_bounds(claims, now_s)
        if not self.validate_jti(claims, claims["jti"]):
            raise _refused("This assertion was used before.")

    def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
        """Use an assertion up and return whether it was unused."""
        ends_at = datetime.fromtimestamp(claims["exp"], UTC)
        return is_first_use(
            self._connection, uuid_of(PARTNER, claims["sub"]), jti.encode(), ends_at
        )

    def _check_bounds(self, claims: dict[str, Any], now_s: int) -> None:
        if claims.get("aud") not in (self._issuer, [self._issuer]):
            raise _refused("The audience has to be the issuer identifier alone.")
        expires_s, jti = claims["exp"], claims["jti"]
        if not isinstance(expires_s, int) or expires_s > now_s + LONGEST_LIFE_S + LEEWAY_S:
            raise _refused("An assertion expires within five minutes.")
        if not isinstance(jti, str) or not 1 <= len(jti) <= LONGEST_JTI:
            raise _refused("The jti is text of at most 256 characters.")


def _object_in(segment: str) -> dict[str, Any]:
    try:
        value = read_json(_canonical_bytes(segment))
    except DomainError as error:
        raise _refused("The assertion is not well-formed JSON.") from error
    if not isinstance(value, dict):
        raise _refused("The assertion is not well-formed JSON.")
    return value


def _canonical_bytes(segment: str) -> bytes:
    try:
        return base64url.decoded(segment)
    except ValueError as error:
        raise _refused("The assertion is not base64url.") from error


def _check_header(header: dict[str, Any]) -> None:
    if not HEADER_MEMBERS.issuperset(header):
        raise _refused("The header may hold alg, kid and typ only.")
    if header.get("alg") not in ALGORITHMS:
        raise _refused("The algorithm is not one of ES256, Ed25519, EdDSA, PS256.")
    if header.get("typ", "JWT") not in TYPES:
        raise _refused("The assertion is a JWT of another type.")


def _refused(description: str) -> InvalidClientError:
    return InvalidClientError(description=description)
