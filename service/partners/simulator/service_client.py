"""The service as a partner's program speaks to it: tokens, retries, signatures; no database."""

import http.client
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from service.partners.tools import assertion

TIMEOUT_S: Final = 20
ATTEMPTS: Final = 5
FIRST_WAIT_S: Final = 0.2
COVERED: Final = ("@method", "@target-uri", "authorization", "content-digest")
KEYS_KEPT_S: Final = 300
JSON: Final = "application/json"


class Refused(Exception):
    """The service has answered with a problem; repeating the same would not help."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}")
        self.status = status
        self.code = str(problem.get("code"))
        self.detail = str(problem.get("detail"))


class Silent(Exception):
    """The service cannot be reached, or gives no answer that can be used."""


@dataclass
class _Request:
    """A request before it is sent; the library that signs wants these names."""

    method: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class ServiceClient:
    """One partner's way to the service; used by one thread."""

    def __init__(self, url: str, client_id: str, key_file: Path, *, signs: bool) -> None:
        self.url = url.rstrip("/")
        self.client_id = client_id
        self._key_file = key_file
        self._key = ECKey.import_key(json.loads(key_file.read_text()))
        self._signs = signs
        self._token, self._token_until = "", 0.0
        self._keys, self._keys_until = KeySet([]), 0.0
        self._issuer = ""

    @property
    def issuer(self) -> str:
        """How the service calls itself."""
        if not self._issuer:
            self._issuer = self._public("/.well-known/oauth-authorization-server")["issuer"]
        return self._issuer

    def get(self, path: str) -> Any:
        """Return what stands at a path."""
        return self._call("GET", path, b"", {})

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Send JSON, with an idempotency key that survives every repetition."""
        sent = b"" if body is None else json.dumps(body).encode()
        return self.post_as(JSON, path, sent, key=key)

    def post_as(self, content_type: str, path: str, body: bytes, *, key: str | None = None) -> Any:
        """Send a body of another type, as it is."""
        headers = {"Idempotency-Key": key or uuid4().hex}
        if body:
            headers["Content-Type"] = content_type
        return self._call("POST", path, body, headers)

    def delete(self, path: str) -> None:
        """Take something away."""
        self._call("DELETE", path, b"", {})

    def entitlement(self, document: str) -> dict[str, Any]:
        """Return the claims of an entitlement that is ours and in its time.

        Raises:
            ValueError: it is not; only its signature, recipient, issuer and time are judged here.
        """
        token = jwt.decode(document, self._public_keys(), algorithms=["ES256"])
        if token.header.get("typ") != "carbon-entitlement+jwt":
            raise ValueError("a document of another type")
        claims: dict[str, Any] = token.claims
        if (claims["iss"], claims["aud"]) != (self.issuer, self.client_id):
            raise ValueError("a document from or for somebody else")
        if not claims["nbf"] - 5 <= time.time() < claims["exp"]:
            raise ValueError("a document of another time")
        return claims

    def _public_keys(self) -> KeySet:
        if time.monotonic() >= self._keys_until:
            self._keys = KeySet.import_key_set(self._public("/.well-known/jwks.json"))
            self._keys_until = time.monotonic() + KEYS_KEPT_S
        return self._keys

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        """Ask until there is an answer: the same request, and the same idempotency key."""
        for attempt in range(ATTEMPTS):
            request = _Request(method, self.url + path, body, dict(headers))
            request.headers["Authorization"] = f"Bearer {self._fresh_token()}"
            if self._signs and method != "GET":
                self._sign(request)
            try:
                status, answer = _exchange(request)
            except OSError:
                status, answer = 0, b""
            if 0 < status < 400:  # noqa: PLR2004  done
                return json.loads(answer) if answer else None
            if status in {0, 429} or status >= 500:  # noqa: PLR2004  worth another try
                time.sleep(FIRST_WAIT_S * 2**attempt)
            elif status == 401 and not attempt:  # noqa: PLR2004  the token may just have ended
                self._token_until = 0.0
            else:
                raise Refused(status, _problem(answer))
        raise Silent(f"{method} {path} has no answer")

    def _fresh_token(self) -> str:
        if time.monotonic() >= self._token_until:
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion(self.client_id, self.issuer, self._key_file),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._plain("POST", "/oauth/token", urlencode(form).encode(), headers)
            self._token = answer["access_token"]
            self._token_until = time.monotonic() + answer["expires_in"] - 60
        return self._token

    def _public(self, path: str) -> Any:
        return self._plain("GET", path, b"", {})

    def _plain(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        try:
            status, answer = _exchange(_Request(method, self.url + path, body, headers))
        except OSError as error:
            raise Silent(f"nobody answers at {self.url}: {error}") from error
        if status != http.HTTPStatus.OK:
            raise Silent(f"{path} was answered {status}: {answer.decode(errors='replace')}")
        return json.loads(answer)

    def _sign(self, request: _Request) -> None:
        kid, private = str(self._key.kid), self._key.private_key
        assert private is not None  # noqa: S101  it is the partner's own key file
        keys = MappingKeyResolver(public_keys={}, private_keys={kid: private})
        signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=keys)
        signer.sign(
            request,
            key_id=kid,
            nonce=uuid4().hex,
            covered_component_ids=COVERED,
            body=request.body,
        )


def _exchange(request: _Request) -> tuple[int, bytes]:
    place = urlsplit(request.url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.netloc, timeout=TIMEOUT_S)
    target = place.path + (f"?{place.query}" if place.query else "")
    try:
        connection.request(request.method, target, request.body or None, request.headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError("not an HTTP answer") from error
    finally:
        connection.close()


def _problem(answer: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(answer)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
