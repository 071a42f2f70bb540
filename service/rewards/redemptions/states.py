"""The redemption's states as data: which step leads from where to where, and what it moves.

What a refusal names as allowed, what the audit expects in the ledger and what the partner guide
draws is all read from here.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

State = Literal[
    "reserved",
    "submitted",
    "unknown",
    "captured",
    "settled",
    "partially_reversed",
    "reversed",
    "disputed",
    "declined",
    "voided",
    "expired",
]
Kind = Literal[
    "reservation",
    "submission",
    "capture",
    "decline",
    "void_request",
    "void",
    "expiry",
    "unknown",
    "closure",
    "maturity",
    "reversal",
    "dispute",
    "resolution",
    "settlement",
]
Mode = Literal["burn", "lock", "attest"]


class Step(NamedTuple):
    """One kind of step."""

    from_states: frozenset[str]
    to_states: frozenset[str]
    """Where it may lead; the step itself decides among several."""
    event: str


def _step(event: str, from_states: str, to_states: str) -> Step:
    return Step(frozenset(from_states.split()), frozenset(to_states.split()), f"redemption.{event}")


AFTER_CAPTURE: Final = frozenset({"captured", "settled", "partially_reversed"})
"""States in which a benefit is in force."""

STEPS: Final[Mapping[str, Step]] = {
    "reservation": _step("reserved", "", "reserved"),
    "submission": _step("submitted", "reserved", "submitted"),
    # An expired one while its grace lasts: what is held for it is still held.
    "capture": _step("captured", "submitted unknown expired", "captured"),
    "decline": _step("declined", "submitted unknown", "declined"),
    "void_request": _step("void_requested", "submitted unknown", "submitted unknown"),
    "void": _step("voided", "reserved submitted unknown", "voided"),
    "expiry": _step("expired", "reserved submitted", "expired"),
    "unknown": _step("unknown", "submitted", "unknown"),
    "closure": _step("closed", "expired", "expired"),
    "maturity": _step(
        "matured",
        "captured settled partially_reversed",
        "captured settled partially_reversed",
    ),
    "reversal": _step(
        "reversed", "captured settled partially_reversed", "partially_reversed reversed"
    ),
    "dispute": _step("disputed", "settled", "disputed"),
    # What a dispute takes back is a reversal of its own, so that it is settled like any other.
    "resolution": _step("resolved", "disputed", "settled"),
    "settlement": _step(
        "settled",
        "captured partially_reversed reversed",
        "settled partially_reversed reversed",
    ),
}

POSTINGS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("reservation", "burn"): ("hold",),
    ("reservation", "lock"): ("hold",),
    # The rest of a partial capture is released.
    ("capture", "burn"): ("capture", "release"),
    ("capture", "lock"): ("release",),
    ("decline", "burn"): ("release",),
    ("decline", "lock"): ("release",),
    ("void", "burn"): ("release",),
    ("void", "lock"): ("release",),
    ("expiry", "burn"): ("release",),
    ("expiry", "lock"): ("release",),
    ("closure", "burn"): ("release",),
    ("closure", "lock"): ("release",),
    ("maturity", "lock"): ("capture", "release"),
    ("reversal", "burn"): ("restore",),
    # Before its maturity what is locked is released; burned at maturity, it is restored.
    ("reversal", "lock"): ("release", "restore"),
}
"""The kinds of posting that a step may make, by mode; in `attest` none ever moves."""


def allowed_from(state: str) -> list[str]:
    """Return the kinds of step that are possible in a state, in alphabetical order."""
    return sorted(kind for kind, step in STEPS.items() if state in step.from_states)
