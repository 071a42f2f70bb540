"""Refusals: what went wrong, in words, with a stable code; `web/problems.py` knows the status.

A class is one kind of refusal. Its docstring's first line is the title, its `code` never changes,
and the sentence given when it is raised is an English template: members fill it, and the HTTP edge
translates it.
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """The request could not be carried out."""

    code: ClassVar[str] = "request-failed"

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.template = detail
        self.members = members

    @property
    def title(self) -> str:
        """The class's first docstring line."""
        return (type(self).__doc__ or "").strip().splitlines()[0]

    def __str__(self) -> str:
        """Return the English sentence with its members filled in."""
        return self.template.format(**self.members)


class Malformed(DomainError):
    """The request cannot be read."""

    code = "malformed"


class Unauthenticated(DomainError):
    """The caller is not known."""

    code = "unauthenticated"


class Forbidden(DomainError):
    """The caller may not do this."""

    code = "forbidden"


class NotFound(DomainError):
    """There is no such thing, or it is not yours."""

    code = "not-found"


class Conflict(DomainError):
    """The request contradicts the present state."""

    code = "conflict"


class TooLarge(DomainError):
    """The request is larger than the service reads."""

    code = "too-large"


class Invalid(DomainError):
    """The request's content is not acceptable."""

    code = "invalid"


class LimitExceeded(DomainError):
    """Too many requests in too short a time."""

    code = "limit-exceeded"


class Unavailable(DomainError):
    """The service cannot answer just now."""

    code = "unavailable"
