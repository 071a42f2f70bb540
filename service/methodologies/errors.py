"""What this package refuses to do when it is asked wrongly."""

from service.errors import Invalid, NotFound


class RegionUnknown(Invalid):
    """The region is not known."""

    code = "region-unknown"


class BehaviorUnknown(Invalid):
    """The behavior is not in the methodology library."""

    code = "behavior-unknown"


class MethodologyNotFound(NotFound):
    """There is no such methodology or version."""

    code = "methodology-not-found"


class FactorEntryInvalid(Invalid):
    """The factor cannot be entered like this."""

    code = "factor-entry-invalid"


class BasisUnreadable(Invalid):
    """The stored basis does not lead to a published methodology version."""

    code = "basis-unreadable"


def printable(text: str) -> str:
    """Shorten what a caller sent, so that it can be told back to her in any encoding."""
    return text[:64].encode("utf-8", "replace").decode("utf-8")
