"""What every request passes on its way in and every answer on its way out.

The way out is a WSGI wrapper and not a Flask hook: it also dresses what Flask never sees, and
adding to a list costs a tenth of what a header dictionary does.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, request

from service.access_tokens import Caller
from service.errors import Unauthenticated
from service.runtime import Runtime
from service.web import access, health, problems, rate_limits
from service.web.access import Gate, Rule, Sessions
from service.web.context import ACCESS_TOKENS
from service.web.rate_limits import PolicyName, RateLimits

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

REQUEST_ID_BYTES = 12
ROUTE = "carbon.route"
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

ALWAYS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]
UNLESS_SAID = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
ECHOED = {
    "HTTP_X_FAPI_INTERACTION_ID": "X-Fapi-Interaction-Id",
    "HTTP_TRACEPARENT": "Traceparent",
}

_ECHO_SHAPE = re.compile(r"[0-9a-fA-F-]{1,64}")


@dataclass(frozen=True, slots=True)
class Way:
    """What the edge has to know of one route."""

    rules: tuple[Rule, ...]
    policy: PolicyName


class Edge:
    """The way in and the way out around every view of one application."""

    def __init__(self, app: Flask, runtime: Runtime) -> None:
        self.counts = health.RequestCounts()
        sessions = app.extensions[access.SESSIONS] = Sessions()
        self._gate = Gate(app.extensions[ACCESS_TOKENS], sessions, app.extensions)
        self._limits = RateLimits(runtime)
        self._ways: dict[str, Way] = {}
        self._inner: WSGIApplication = app.wsgi_app
        app.extensions[health.METRICS] = self.counts
        app.before_request(self._enter)
        app.wsgi_app = self  # type: ignore[method-assign]  # how Flask wants to be wrapped

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request: name it, and dress and count its answer."""
        environ[problems.REQUEST_ID] = secrets.token_hex(REQUEST_ID_BYTES)
        body = Body.of(environ)

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            headers += _headers_of(environ, headers)
            if body is not None and not body.is_spent:
                # The server ends the connection then; who is not told asks the next time in vain.
                headers.append(("Connection", "close"))
            self._count(environ, int(status[:3]))
            return start_response(status, headers, exc_info)

        return _whole(self._inner(environ, start))

    def _enter(self) -> None:
        """Know the caller of a request, and count it, before its view runs."""
        rule, environ = request.url_rule, request.environ
        if rule is None:
            return  # no route: the answer is 404 or 405, for everybody
        environ[ROUTE] = rule.rule
        way = self._way_of(rule.endpoint)
        try:
            caller = self._gate.admit(way.rules, environ)
        except Unauthenticated:
            rate_limits.settle(self._limits.of_address(request.remote_addr or ""), environ)
            raise
        if way.policy != "none":
            self._settle(caller, way.policy)
        if caller is not None and caller.kind == "partner":
            self._gate.judge_message(caller)

    def _settle(self, caller: Caller | None, policy: PolicyName) -> None:
        if caller is None:
            standing = self._limits.of_address(request.remote_addr or "")
        else:
            standing = self._limits.of_caller(caller.id.hex, policy)
        rate_limits.settle(standing, request.environ)

    def _way_of(self, endpoint: str) -> Way:
        way = self._ways.get(endpoint)
        if way is None:
            view = current_app.view_functions[endpoint]
            way = Way(access.declared(view), rate_limits.policy_of(view))
            self._ways[endpoint] = way
        return way

    def _count(self, environ: dict[str, Any], status: int) -> None:
        # A made-up method or address must not make a new counter.
        method = environ["REQUEST_METHOD"]
        known = method if method in KNOWN_METHODS else "other"
        self.counts.count(known, environ.get(ROUTE, "none"), status)


class Body:
    """A request's body, and whether all of it has been read."""

    def __init__(self, stream: Any, length: int | None) -> None:
        self._stream = stream
        self._left = length
        """None: it comes in pieces, until one is empty."""

    @classmethod
    def of(cls, environ: dict[str, Any]) -> "Body | None":
        """Put itself in the place of a request's body, if there is one."""
        length = environ.get("CONTENT_LENGTH") or ""
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        if not is_chunked and length in {"", "0"}:
            return None
        counted = int(length) if length.isascii() and length.isdigit() and not is_chunked else None
        body = environ["wsgi.input"] = cls(environ["wsgi.input"], counted)
        return body

    @property
    def is_spent(self) -> bool:
        """Whether nothing of it is left on the connection."""
        return self._left == 0

    def read(self, size: int = -1) -> bytes:
        """Read some of it, or all."""
        piece: bytes = self._stream.read(size)
        self._read(piece, is_last=size < 0 or (size > 0 and not piece))
        return piece

    def readline(self, size: int = -1) -> bytes:
        """Read a line."""
        line: bytes = self._stream.readline(size)
        self._read(line, is_last=size != 0 and not line)
        return line

    def __iter__(self) -> Iterator[bytes]:
        """Read line after line."""
        while line := self.readline():
            yield line

    def _read(self, piece: bytes, *, is_last: bool) -> None:
        if is_last:
            self._left = 0
        elif self._left is not None:
            self._left = max(0, self._left - len(piece))


def _whole(answer: Iterable[bytes]) -> list[bytes]:
    """Return an answer in one piece.

    Granian sends a list at once and asks any other iterable piece by piece, for which a worker
    waits as long as for a third of a small request. Every answer here is small and complete.
    """
    try:
        return list(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


def _headers_of(environ: dict[str, Any], said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that an answer still lacks."""
    names = {name for name, _ in said}
    added = [("Request-Id", environ[problems.REQUEST_ID]), *ALWAYS]
    added += [header for header in UNLESS_SAID if header[0] not in names]
    standing = environ.get(rate_limits.STANDING)
    if standing is not None:
        added += rate_limits.headers_of(standing)
    for variable, name in ECHOED.items():
        value = environ.get(variable)
        if value is not None and _ECHO_SHAPE.fullmatch(value):
            added.append((name, value))
    return added
