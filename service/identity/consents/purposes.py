"""What a consent may be for: who may receive it, and which kinds of data it may cover."""

from dataclasses import dataclass
from typing import Final

CLUSTERS: Final = (
    "tier",
    "total_certified",
    "category_totals",
    "streaks",
    "report",
    "redemption",
    "identity",
)


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose."""

    name: str
    roles: frozenset[str]
    """A recipient has one of these."""
    clusters: frozenset[str]
    """Kinds of data among which she chooses."""


_HONOURING: Final = frozenset({"bank", "insurer", "merchant"})
_TOTALS: Final = frozenset({"tier", "total_certified", "category_totals", "streaks", "report"})

PURPOSES: Final = {
    purpose.name: purpose
    for purpose in (
        Purpose("benefit", _HONOURING, _TOTALS | {"redemption"}),
        Purpose("report", _HONOURING, _TOTALS),
        Purpose("identity_verification", frozenset({"verifier"}), frozenset({"identity"})),
    )
}
