"""Our own access tokens (RFC 9068, ES256): who calls, signed once and verified in one place.

A verified token is remembered for at most 60 s in this process, because a signature check costs
more than the whole rest of a read. A token lives ten minutes; what must end sooner (a frozen
account, a signed-out session) is asked of its session, see `service.web.access`.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import jwt
from jwt.algorithms import ECAlgorithm

from service import base64url, clock
from service.errors import DomainError, Unauthenticated
from service.ids import CITIZEN, PARTNER, STAFF, public_id, uuid_of
from service.keys import KeyRing

Kind = Literal["citizen", "partner", "staff"]

LIFETIME = timedelta(minutes=10)
REMEMBERED_S = 60
REMEMBERED_TOKENS = 50_000
CLOCK_SKEW_S = 60
LONGEST_TOKEN = 4096
PREFIX_OF: dict[Kind, str] = {"citizen": CITIZEN, "partner": PARTNER, "staff": STAFF}
OUR_APP = "carbon-app"
"""`client_id` of tokens that people get by signing in here, not through a partner's client."""

ES256 = ECAlgorithm(ECAlgorithm.SHA256)

_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class TokenInvalid(Unauthenticated):
    """The access token is not one of ours."""

    code = "token-invalid"


class TokenExpired(Unauthenticated):
    """The access token has expired."""

    code = "token-expired"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as the access token says."""

    kind: Kind
    id: UUID
    roles: frozenset[str]
    """A partner's roles (`source`, `bank`, …) or a staff member's (`operator`, …)."""
    scopes: frozenset[str]
    session_id: UUID | None
    """The sign-in this token belongs to; it can end before the token does."""
    name: str
    """A partner's slug; empty for people."""
    expires_at_s: int
    """Seconds since the epoch."""


class AccessTokens:
    """Signs and verifies the access tokens of one issuer."""

    def __init__(self, keys: KeyRing, issuer: str) -> None:
        self.issuer = issuer
        self._signing = keys.signing_key
        self._public = {key.kid: key.private.public_key() for key in keys.signing}
        self._remembered: dict[bytes, tuple[Caller, float]] = {}
        self._forgetting = threading.Lock()

    def issue(
        self,
        kind: Kind,
        subject: UUID,
        *,
        session_id: UUID | None = None,
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        name: str = "",
        lifetime: timedelta = LIFETIME,
    ) -> str:
        """Return a signed token for somebody who has just proved who they are."""
        issued_at_s = int(clock.now().timestamp())
        public_subject = public_id(PREFIX_OF[kind], subject)
        claims = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": public_subject,
            "client_id": public_subject if kind == "partner" else OUR_APP,
            "jti": uuid4().hex,
            "iat": issued_at_s,
            "exp": issued_at_s + int(lifetime.total_seconds()),
            "kind": kind,
            "roles": sorted(roles),
            "scope": " ".join(sorted(scopes)),
            "name": name,
        }
        if session_id is not None:
            claims["sid"] = session_id.hex
        headers = {"typ": "at+jwt", "kid": self._signing.kid}
        return jwt.encode(claims, self._signing.private, algorithm="ES256", headers=headers)

    def verify(self, token: str) -> Caller:
        """Return the caller a token speaks for.

        Raises:
            TokenInvalid: the form, signature, issuer, audience or type is wrong.
            TokenExpired: its time is over.
        """
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        now_s = clock.now().timestamp()
        remembered = self._remembered.get(digest)
        if remembered is not None and now_s < remembered[1]:
            return remembered[0]
        caller = self._read(token, now_s)
        self._remember(digest, caller, now_s)
        return caller

    def _remember(self, digest: bytes, caller: Caller, now_s: float) -> None:
        if len(self._remembered) >= REMEMBERED_TOKENS:
            with self._forgetting:
                self._remembered = {}
        until_s = min(now_s + REMEMBERED_S, caller.expires_at_s)
        self._remembered[digest] = (caller, until_s)

    def _read(self, token: str, now_s: float) -> Caller:
        claims = self._signed_claims(token)
        try:
            caller = _caller_from(claims)
            issued_at_s = int(claims["iat"])
        except (KeyError, ValueError, TypeError, AttributeError, DomainError) as error:
            raise _invalid() from error
        if issued_at_s > now_s + CLOCK_SKEW_S:
            raise _invalid()
        if caller.expires_at_s <= now_s:
            raise TokenExpired("Your sign-in has run out. Please refresh it or sign in again.")
        return caller

    def _signed_claims(self, token: str) -> dict[str, Any]:
        """Return what one of our own tokens says.

        Only the form that `issue` writes is read, so PyJWT is asked for the signature alone: its
        general reading costs more than half of the signature again.
        """
        header, payload, signature = _segments_of(token)
        try:
            if not self._is_ours(json.loads(header), token.rpartition(".")[0], signature):
                raise _invalid()
            claims: dict[str, Any] = json.loads(payload)
            if (claims["iss"], claims["aud"]) != (self.issuer, self.issuer):
                raise _invalid()
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise _invalid() from error
        return claims

    def _is_ours(self, header: dict[str, str], signed: str, signature: bytes) -> bool:
        if header != {"alg": "ES256", "typ": "at+jwt", "kid": header["kid"]}:
            return False
        return ES256.verify(signed.encode(), self._public[header["kid"]], signature)


def _invalid() -> TokenInvalid:
    # One sentence for every reason: a forger learns nothing from it.
    return TokenInvalid("This access token cannot be accepted. Please sign in again.")


def _segments_of(token: str) -> list[bytes]:
    """Return header, payload and signature of a token in the one spelling that it can have."""
    segments = _SEGMENTS.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if segments is None:
        raise _invalid()
    try:
        return [base64url.decoded(segment) for segment in segments.groups()]
    except ValueError as error:
        raise _invalid() from error


def _caller_from(claims: dict[str, Any]) -> Caller:
    kind: Kind = claims["kind"]
    session = claims.get("sid")
    return Caller(
        kind=kind,
        id=uuid_of(PREFIX_OF[kind], claims["sub"]),
        roles=frozenset(claims["roles"]),
        scopes=frozenset(claims["scope"].split()),
        session_id=None if session is None else UUID(hex=session),
        name=claims["name"],
        expires_at_s=int(claims["exp"]),
    )
