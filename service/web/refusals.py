"""The edge's own refusals: what can be wrong with a request before anybody reads its meaning."""

from typing import Any, ClassVar

from service.errors import (
    Conflict,
    DomainError,
    Invalid,
    Malformed,
    NotFound,
    TooLarge,
    Unavailable,
)


class RouteUnknown(NotFound):
    """There is nothing at this address."""

    code = "route-unknown"


class MethodNotAllowed(DomainError):
    """This address does not know that method."""

    code = "method-not-allowed"


class NotAcceptable(DomainError):
    """The answer cannot be given in the form that was asked for."""

    code = "not-acceptable"


class MediaTypeUnsupported(DomainError):
    """The body's media type is not one this address reads."""

    code = "media-type-unsupported"


class EncodingUnsupported(MediaTypeUnsupported):
    """The body's content encoding is not one this address reads."""

    code = "content-encoding-unsupported"


class LengthMissing(DomainError):
    """The request does not say how long its body is."""

    code = "length-missing"


class RequestMalformed(Malformed):
    """The request cannot be read as HTTP."""

    code = "request-malformed"


class BodyTooLarge(TooLarge):
    """The body is larger than this address reads."""

    code = "body-too-large"


class JsonMalformed(Malformed):
    """The body is not JSON."""

    code = "json-malformed"


class JsonTooDeep(Invalid):
    """The JSON is nested too deeply."""

    code = "json-too-deep"


class DuplicateKey(Invalid):
    """An object names the same member twice."""

    code = "duplicate-key"


class TextInvalid(Invalid):
    """A text holds characters that are not text."""

    code = "text-invalid"


class NumberOutOfRange(Invalid):
    """A number is larger than anything that can be meant."""

    code = "number-out-of-range"


class ValidationFailed(Invalid):
    """Some fields are not acceptable."""

    code = "validation-failed"


class UnknownField(Malformed):
    """The request has fields that are not known here."""

    code = "unknown-field"


class InternalError(DomainError):
    """Something went wrong on our side."""

    code = "internal-error"


class DatabaseBusy(Unavailable):
    """Too many requests want the same rows just now."""

    code = "database-busy"


class HelperUnavailable(Unavailable):
    """A part of the service is away just now."""

    code = "helper-unavailable"


class IdempotencyKeyMissing(Malformed):
    """The request needs an Idempotency-Key."""

    code = "idempotency-key-missing"


class RequestInProgress(Conflict):
    """The same request is being carried out at this moment."""

    code = "request-in-progress"


class IdempotencyKeyMalformed(Malformed):
    """The Idempotency-Key cannot be read."""

    code = "idempotency-key-malformed"


class IdempotencyKeyReused(Invalid):
    """The Idempotency-Key was used before, for another request."""

    code = "idempotency-key-reused"


class CursorInvalid(Malformed):
    """The cursor is not one that this list gave out."""

    code = "cursor-invalid"


class FieldFault:
    """One thing wrong with one field, for the `errors` member of a problem."""

    __slots__ = ("code", "members", "place", "template")

    place_name: ClassVar[str] = "pointer"

    def __init__(self, place: str, code: str, template: str, **members: Any) -> None:
        self.place = place
        self.code = code
        self.template = template
        self.members = members


class ParameterFault(FieldFault):
    """One thing wrong with one query parameter."""

    place_name = "parameter"
