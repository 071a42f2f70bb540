"""Every refusal as an RFC 9457 problem document, in the caller's language.

This module alone knows which status a kind of refusal has. Nothing a driver or a library says ever
reaches a caller: what is not a `DomainError` is translated into one here, or becomes
`internal-error` and a line in the log.
"""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy.exc
import structlog
from flask import Flask, Response, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from service import errors
from service.db import DatabaseUnavailable
from service.errors import DomainError
from service.messages import TAG_OF, Language, language_of, say, translate
from service.web import refusals
from service.web.refusals import FieldFault

log = structlog.get_logger()

REQUEST_ID = "carbon.request_id"
MEDIA_TYPE = "application/problem+json"

STATUS_OF_KIND: Mapping[type[DomainError], int] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    refusals.MethodNotAllowed: 405,
    refusals.NotAcceptable: 406,
    errors.Conflict: 409,
    refusals.LengthMissing: 411,
    errors.TooLarge: 413,
    refusals.MediaTypeUnsupported: 415,
    errors.Invalid: 422,
    errors.LimitExceeded: 429,
    DomainError: 500,
    errors.Unavailable: 503,
}

RETRY_AFTER_S = {429: 60, 503: 2}
"""When to come back, unless the refusal itself says so with `retry_after_s`."""

TRY_AGAIN_STATES = frozenset({"40001", "40P01", "55P03", "57014"})
"""SQLSTATEs of a transaction that left no trace and may simply be sent again."""

DATABASE_ERRORS = (psycopg.Error, sqlalchemy.exc.SQLAlchemyError)


def status_of(error: DomainError) -> int:
    """Return the HTTP status of a refusal's kind."""
    return next(STATUS_OF_KIND[kind] for kind in type(error).__mro__ if kind in STATUS_OF_KIND)


def register_problems(app: Flask) -> None:
    """Answer everything that goes wrong in this application with a problem document."""
    app.register_error_handler(DomainError, problem_response)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _unexpected_problem)


def problem_response(error: DomainError) -> Response:
    """Return the answer to a refused request."""
    language = language_of(request.headers.get("Accept-Language"))
    status = status_of(error)
    response = Response(
        json.dumps(problem_document(error, language), ensure_ascii=False, default=str),
        status=status,
        mimetype=MEDIA_TYPE,
    )
    response.headers["Content-Language"] = TAG_OF[language]
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    _say_when_to_return(response, error, status)
    if status == 401:  # noqa: PLR2004  RFC 9110 §11.6.1: a 401 names its scheme
        response.headers["WWW-Authenticate"] = _challenge(error)
    return response


def problem_document(error: DomainError, language: Language) -> dict[str, Any]:
    """Return the members of a problem document."""
    status = status_of(error)
    members = {
        name: _told(value, language) for name, value in error.members.items() if name != "errors"
    }
    document = {
        **members,
        "type": f"/problems/{error.code}",
        "title": translate(error.title, language),
        "status": status,
        "detail": say(error.template, language, **error.members),
        "instance": request.path,
        "code": error.code,
        "retryable": status in RETRY_AFTER_S or "retry_after_s" in members,
        "request_id": request.environ.get(REQUEST_ID, ""),
    }
    faults = error.members.get("errors")
    if faults is not None:
        document["errors"] = [_fault_member(fault, language) for fault in faults]
    return document


def _told(value: Any, language: Language) -> Any:
    """Return a member's value; things that have words of their own say them in the language."""
    if isinstance(value, tuple):
        return [_told(each, language) for each in value]
    return value.view(language) if hasattr(value, "view") else value


def _fault_member(fault: FieldFault | Mapping[str, str], language: Language) -> dict[str, str]:
    if isinstance(fault, FieldFault):
        detail = say(fault.template, language, **fault.members)
        return {fault.place_name: fault.place, "code": fault.code, "detail": detail}
    return {**fault, "detail": translate(fault.get("detail", ""), language)}


def _say_when_to_return(response: Response, error: DomainError, status: int) -> None:
    seconds = error.members.get("retry_after_s", RETRY_AFTER_S.get(status))
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)


def _challenge(error: DomainError) -> str:
    if "Authorization" not in request.headers:
        return 'Bearer realm="carbon"'
    return f'Bearer realm="carbon", error="invalid_token", error_description="{error.code}"'


def _http_problem(error: HTTPException) -> Response:
    """Answer what Flask and Werkzeug refuse on their own."""
    if isinstance(error, RequestRedirect):
        return problem_response(_route_unknown())
    response = problem_response(_refusal_of(error))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _refusal_of(error: HTTPException) -> DomainError:  # noqa: PLR0911  a table with sentences
    match error.code:
        case 404:
            return _route_unknown()
        case 405:
            return refusals.MethodNotAllowed(
                "{method} is not possible here. The Allow header names what is.",
                method=request.method,
            )
        case 406:
            return refusals.NotAcceptable("This answer exists in one form only, and not in that.")
        case 411:
            return refusals.LengthMissing("Please send the body with a Content-Length header.")
        case 413:
            return refusals.BodyTooLarge("Please send less at once; this address has a limit.")
        case 415:
            return refusals.MediaTypeUnsupported("Please send the body as application/json.")
        case code if code is not None and code < 500:  # noqa: PLR2004  any other fault of a caller
            return refusals.RequestMalformed("The request is not well-formed HTTP.")
        case _:
            return _internal_error(error)


def _route_unknown() -> DomainError:
    return refusals.RouteUnknown("Please check the address; the list of all is at /docs.")


def _unexpected_problem(error: Exception) -> Response:
    """Answer what nobody foresaw, saying nothing about it."""
    if isinstance(error, DATABASE_ERRORS):
        return problem_response(_database_refusal(error))
    if isinstance(error, RedisError):
        return problem_response(
            refusals.HelperUnavailable("Part of the service is away. Please try again shortly.")
        )
    return problem_response(_internal_error(error))


def _database_refusal(error: Exception) -> DomainError:
    driver_error = getattr(error, "orig", None) or error
    if getattr(driver_error, "sqlstate", None) in TRY_AGAIN_STATES:
        return refusals.DatabaseBusy(
            "Others are changing the same records. Please send the same request again; what was "
            "recorded of it is not recorded twice."
        )
    away = (psycopg.OperationalError, psycopg.InterfaceError, sqlalchemy.exc.TimeoutError)
    if isinstance(driver_error, away):
        _write_down(error, "database_unavailable")
        # An error at COMMIT leaves the outcome unknown: never "it failed", always "ask again".
        return DatabaseUnavailable(
            "The database cannot be reached just now. Please send the same request again shortly, "
            "with the same ids and keys."
        )
    return _internal_error(error)


def _internal_error(error: Exception) -> DomainError:
    _write_down(error, "request_failed")
    return refusals.InternalError(
        "Sorry, this is our fault and has been written down. The request id helps us to find it."
    )


def _write_down(error: Exception, event: str) -> None:
    """Log where it happened; an error's own words may hold personal data, so they stay out."""
    cause = getattr(error, "original_exception", None) or error
    frames = traceback.extract_tb(cause.__traceback__)
    log.error(
        event,
        error=type(cause).__name__,
        sqlstate=getattr(getattr(cause, "orig", cause), "sqlstate", None),
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
        method=request.method,
        route=str(request.url_rule),
        request_id=request.environ.get(REQUEST_ID, ""),
    )
