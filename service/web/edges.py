"""What every request passes on its way in and every answer on its way out."""

import re
import secrets

from flask import Flask, Response, current_app, g, request

from service.errors import Unauthenticated
from service.web import access, health, rate_limits
from service.web.context import RUNTIME

REQUEST_ID_BYTES = 12
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ECHOED = ("x-fapi-interaction-id", "traceparent")

_ECHO_SHAPE = re.compile(r"[0-9a-fA-F-]{1,64}")

SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
CLOSED_POLICY = "default-src 'none'; frame-ancestors 'none'"


def register_edges(app: Flask) -> None:
    """Put the way in and the way out around every view of an application."""
    app.extensions[health.METRICS] = health.RequestCounts()
    app.extensions[rate_limits.RATE_LIMITS] = rate_limits.RateLimits(app.extensions[RUNTIME])
    access.guard(app)
    app.before_request(_enter)
    app.after_request(_dress)


def _enter() -> None:
    """Name the request, know its caller, count it."""
    g.request_id = secrets.token_hex(REQUEST_ID_BYTES)
    try:
        access.admit()
    except Unauthenticated:
        rate_limits.limit_stranger()
        raise
    rate_limits.limit_request()


def _dress(response: Response) -> Response:
    headers = response.headers
    headers["Request-Id"] = g.get("request_id", "")
    for name, value in SECURITY_HEADERS:
        headers[name] = value
    headers.setdefault("Content-Security-Policy", CLOSED_POLICY)
    headers.setdefault("Cache-Control", "no-store")
    for name in ECHOED:
        _echo(name, response)
    rate_limits.write_headers(response)
    _count(response)
    return response


def _echo(name: str, response: Response) -> None:
    value = request.headers.get(name)
    if value is not None and _ECHO_SHAPE.fullmatch(value):
        response.headers[name] = value


def _count(response: Response) -> None:
    # A made-up method or address must not make a new counter.
    method = request.method if request.method in KNOWN_METHODS else "other"
    rule = request.url_rule
    route = rule.rule if rule is not None else "none"
    counts: health.RequestCounts = current_app.extensions[health.METRICS]
    counts.count(method, route, response.status_code)
