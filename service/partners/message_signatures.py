"""Signed messages (RFC 9421, RFC 9530): a partner that changes something proves that it asked so.

A token can be stolen and used; a signature covers the token, the address and the body, with a key
that never leaves the partner. The library builds and verifies signature bases; which parts have to
be covered, how old a signature may be, and that it works once, is decided here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import psycopg
from flask import Request, request
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    VerifyResult,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519
from joserfc.jwk import ECKey, KeySet, OKPKey

from service import clock
from service.access_tokens import Caller
from service.partners.errors import SignatureInvalid, SignatureMissing
from service.partners.key_sets import public_keys
from service.partners.organisations import key_set_of
from service.partners.profiles import Profile, RememberedProfiles, profile_of
from service.partners.single_use import is_first_use
from service.runtime import Runtime
from service.web.access import SAFE_METHODS
from service.web.json_bodies import refuse_unknown_length
from service.web.refusals import BodyTooLarge

ALGORITHMS: Final = (ECDSA_P256_SHA256, ED25519)
LONGEST_AGE: Final = timedelta(seconds=300)
LEEWAY: Final = timedelta(seconds=5)
SIGNED_BODY_BYTES_MAX: Final = 16 * 1024 * 1024
COVERED: Final = frozenset({'"@method"', '"authorization"'})
TARGETS: Final = frozenset({'"@target-uri"', '"@request-target"'})
"""Either of them says the whole address; path and query together do as well."""


class MessageCheck:
    """Judges each message of a partner that would change something, before its view runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._issuer = runtime.settings.issuer
        self._profiles = RememberedProfiles()

    def __call__(self, caller: Caller) -> None:
        """Let the present request pass, or refuse it.

        Raises:
            SignatureMissing: the partner's profile asks for one.
            SignatureInvalid: there is one, and it does not hold.
        """
        if request.method in SAFE_METHODS:
            return
        if "Signature" in request.headers or "Signature-Input" in request.headers:
            self._verify(caller.id)
        elif self._profiles.get(caller.id, self._profile_of).signatures == "required":
            raise SignatureMissing(
                "Your organisation signs its messages. Please send Signature-Input and Signature."
            )

    def _profile_of(self, partner_id: UUID) -> Profile:
        with self._database.raw_transaction() as connection:
            return profile_of(connection, partner_id)

    def _verify(self, partner_id: UUID) -> None:
        body = _body_kept_for_the_view(request)
        with self._database.raw_transaction() as connection:
            keys = public_keys(key_set_of(connection, partner_id))
            verified = _verified(keys, list(_messages(request, self._issuer)))
            _refuse_uncovered(verified)
            _refuse_other_body(verified, body)
            _refuse_stale(verified)
            _refuse_second_use(connection, partner_id, verified)


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as the library wants it."""

    method: str
    url: str
    headers: Any


class _RegisteredKeys(HTTPSignatureKeyResolver):
    """The partner's own keys, by their ids."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = {key.kid: key for key in keys.keys if isinstance(key, ECKey | OKPKey)}

    def resolve_public_key(self, key_id: str) -> Any:
        """Return the key of this id; None: it has none."""
        key = self._keys.get(key_id)
        return None if key is None else key.public_key


class _Verifier(HTTPMessageVerifier):
    """Leaves time to us: there is one clock in the house."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Accept any time; it is judged once the signature is known to hold."""


def _messages(received: Request, issuer: str) -> Iterator[_Message]:
    """Yield the request under each address by which the partner can know us.

    Behind a proxy the address seen here is not the public one, and the issuer is. The token is
    covered too, and is for this issuer alone, so neither lets a message pass that was not for us.
    """
    target = quote(received.environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~-._")
    if received.query_string:
        target += "?" + received.query_string.decode("latin-1")
    for origin in dict.fromkeys((issuer, received.host_url.rstrip("/"))):
        yield _Message(received.method, origin + target, received.headers)


def _verified(keys: KeySet, messages: list[_Message]) -> VerifyResult:
    """Return the one signature of a message, with what it covers."""
    resolver = _RegisteredKeys(keys)
    for algorithm in ALGORITHMS:
        verifier = _Verifier(signature_algorithm=algorithm, key_resolver=resolver)
        for message in messages:
            try:
                return verifier.verify(message, max_age=None)[0]
            except HTTPMessageSignaturesException:
                continue
    raise SignatureInvalid(
        "The signature cannot be verified. There is one to a message, with the id of a registered"
        " key, over what was sent, by ecdsa-p256-sha256 or ed25519."
    )


def _refuse_uncovered(verified: VerifyResult) -> None:
    covered = verified.covered_components.keys()
    is_whole = (
        bool(TARGETS & covered)
        or {'"@path"', '"@query"'} <= covered
        or ('"@path"' in covered and not request.query_string)
    )
    if not (is_whole and covered >= COVERED):
        raise SignatureInvalid(
            "The signature has to cover @method, @target-uri, authorization and content-digest."
        )


def _refuse_other_body(verified: VerifyResult, body: bytes) -> None:
    try:
        _Verifier(signature_algorithm=ED25519, key_resolver=None).verify_body(
            _Message(request.method, request.url, request.headers), [verified], body
        )
    except HTTPMessageSignaturesException as error:
        raise SignatureInvalid(
            "The signature has to cover a content-digest of the body as it is sent, by sha-256 or"
            " sha-512."
        ) from error


def _refuse_stale(verified: VerifyResult) -> None:
    now = clock.now().timestamp()
    created_s = verified.parameters.get("created")
    expires_s = verified.parameters.get("expires", now)
    oldest_s = now - (LONGEST_AGE + LEEWAY).total_seconds()
    if (
        not isinstance(created_s, int)
        or not oldest_s <= created_s <= now + LEEWAY.total_seconds()
        or not isinstance(expires_s, int | float)
        or expires_s < now - LEEWAY.total_seconds()
    ):
        raise SignatureInvalid(
            "The signature has to say when it was created, at most {seconds} seconds ago.",
            seconds=int(LONGEST_AGE.total_seconds()),
        )


def _refuse_second_use(
    connection: psycopg.Connection[Any], partner_id: UUID, verified: VerifyResult
) -> None:
    # What was signed, not the signature: of one ECDSA signature anybody can make a second.
    base = "\n".join(f"{name}: {value}" for name, value in verified.covered_components.items())
    created = datetime.fromtimestamp(int(verified.parameters["created"]), UTC)
    ends_at = created + LONGEST_AGE + 2 * LEEWAY
    if not is_first_use(connection, partner_id, base.encode(), ends_at):
        raise SignatureInvalid(
            "This signature was used before. Please sign each message anew, with a nonce."
        )


def _body_kept_for_the_view(received: Request) -> bytes:
    """Return the body as it was sent, and let the view read it again."""
    refuse_unknown_length(received)
    body = _read(received.environ["wsgi.input"], received.content_length)
    received.environ["wsgi.input"] = BytesIO(body)
    return body


def _read(stream: Any, length: int | None) -> bytes:
    left = SIGNED_BODY_BYTES_MAX + 1 if length is None else length
    if left > SIGNED_BODY_BYTES_MAX and length is not None:
        raise _too_large()
    pieces: list[bytes] = []
    while left and (piece := stream.read(left)):
        pieces.append(piece)
        left -= len(piece)
    if length is None and not left:
        raise _too_large()
    return b"".join(pieces)


def _too_large() -> BodyTooLarge:
    return BodyTooLarge("Please send less at once; this address has a limit.")
