"""What the ledger refuses.

A refusal that depends on what an account holds is a verdict: it is written down and stays, so that
sending the same id again cannot turn it into a success. `VERDICTS` makes it again from its code.
"""

from collections.abc import Callable
from typing import Any, Final

from service.errors import Conflict, DomainError, Invalid, NotFound


class ExpiryInFuture(Invalid):
    """Points cannot be expired before their day has passed."""

    code = "expiry-in-future"


class AsOfInFuture(Invalid):
    """The account cannot be shown as of a moment that has not come."""

    code = "as-of-in-future"


class TransferNotComputed(Conflict):
    """No calculation stands behind this transfer."""

    code = "transfer-not-computed"


class AmountInvalid(Invalid):
    """An amount is not what can be moved."""

    code = "amount-invalid"


class CarryDateInvalid(Invalid):
    """Points cannot be carried to this day."""

    code = "carry-date-invalid"


class PostingConflict(Conflict):
    """This id was used before with other terms."""

    code = "posting-conflict"


class HoldUnknown(NotFound):
    """There is no such hold."""

    code = "hold-unknown"


class CaptureUnknown(NotFound):
    """There is no such capture."""

    code = "capture-unknown"


class IssueUnknown(NotFound):
    """There is no such issue."""

    code = "issue-unknown"


class InsufficientPoints(Conflict):
    """The account does not hold enough points."""

    code = "insufficient-points"


class InsufficientGrams(Conflict):
    """The account does not hold enough grams."""

    code = "insufficient-grams"


class HoldExceeded(Conflict):
    """The hold does not hold so many points any more."""

    code = "hold-exceeded"


class CaptureExceeded(Conflict):
    """Not so many points of the capture are left."""

    code = "capture-exceeded"


class GramsOwed(Conflict):
    """Grams that are owed cannot be handed to a pool."""

    code = "grams-owed"


class NothingToCarry(Conflict):
    """The lot has nothing that could be carried."""

    code = "nothing-to-carry"


def points_short(asked: int, available: int) -> InsufficientPoints:
    """Return the refusal to move more points than are available."""
    return InsufficientPoints(
        "{asked} points are needed and {available} are available.",
        asked=asked,
        available=available,
        points_short=asked - available,
    )


def grams_short(asked: int, available: int) -> InsufficientGrams:
    """Return the refusal to move more grams than are available."""
    return InsufficientGrams(
        "{asked} g are needed and {available} g are available.", asked=asked, available=available
    )


def hold_exceeded(asked: int, held: int) -> HoldExceeded:
    """Return the refusal to take more out of a hold than is in it."""
    return HoldExceeded(
        "{asked} points are asked for and {held} are still held.", asked=asked, held=held
    )


def capture_exceeded(asked: int, left: int) -> CaptureExceeded:
    """Return the refusal to undo or go on with more of a capture than is left of it."""
    return CaptureExceeded(
        "{asked} points are asked for and {left} are left of the capture.", asked=asked, left=left
    )


def grams_owed(asked: int, available: int) -> GramsOwed:
    """Return the refusal to pool grams of which some are owed after a claw-back."""
    return GramsOwed(
        "{asked} g would be pooled, and only {available} g are not owed after a claw-back.",
        asked=asked,
        available=max(available, 0),
    )


def nothing_to_carry(expires_on: str) -> NothingToCarry:
    """Return the refusal to carry what is spent, lapsed or never was."""
    return NothingToCarry(
        "Nothing is available in the lot of {expires_on}: it is spent, lapsed or was never there.",
        expires_on=expires_on,
    )


VERDICTS: Final[dict[str, Callable[..., DomainError]]] = {
    InsufficientPoints.code: points_short,
    InsufficientGrams.code: grams_short,
    HoldExceeded.code: hold_exceeded,
    CaptureExceeded.code: capture_exceeded,
    GramsOwed.code: grams_owed,
    NothingToCarry.code: nothing_to_carry,
}


def verdict(code: str, params: dict[str, Any]) -> DomainError:
    """Return a refusal as it was first made."""
    return VERDICTS[code](**params)
