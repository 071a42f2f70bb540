"""How a simulated partner behaves: chances and delays, and what they come to for one redemption.

The same seed makes the same choices for the same ids, in whatever order they arrive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal

import click

Deed = Literal["capture", "decline", "never", "silent"]


@dataclass(frozen=True, slots=True)
class Habits:
    """Chances between 0 and 1, and delays in seconds."""

    decline: float = 0.0
    """Refuses it."""
    never: float = 0.0
    """Does nothing, and knows nothing when it is asked."""
    silent: float = 0.0
    """Grants the benefit and does not tell us, until it is asked."""
    partial: float = 0.0
    """Captures a part of the points."""
    twice: float = 0.0
    """Captures again with another idempotency key, as after a lost answer."""
    late: float = 0.0
    """Takes `late_s` longer."""
    cooling_off: float = 0.0
    """Takes the benefit back again, `cooling_off_s` after the capture."""
    hook_error: float = 0.0
    """Answers a webhook with 500."""
    hook_hang: float = 0.0
    """Answers a webhook after `hang_s`."""
    status_error: float = 0.0
    """Answers our question with 500."""
    status_hang: float = 0.0
    """Answers our question after `hang_s`."""
    answer_s: float = 0.0
    """From hearing of a redemption to acting."""
    spread_s: float = 0.0
    """At most so much more, by chance: so that answers come out of order."""
    late_s: float = 10.0
    cooling_off_s: float = 5.0
    hang_s: float = 30.0


PROFILES: Final[Mapping[str, Habits]] = {
    "bank": Habits(),
    "insurer": Habits(answer_s=2.0, spread_s=2.0, partial=0.3, cooling_off=0.2),
    "flaky": Habits(
        decline=0.1,
        never=0.1,
        silent=0.1,
        partial=0.1,
        twice=0.3,
        late=0.2,
        hook_error=0.2,
        hook_hang=0.05,
        status_error=0.2,
        status_hang=0.05,
        spread_s=3.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done about one redemption."""

    deed: Deed
    wait_s: float
    points: int
    """To capture."""
    factor: str | None
    """Of a premium, inside its filed band."""
    is_said_twice: bool
    cools_off: bool


class Character:
    """One simulated partner's habits, and the dice it throws for each thing."""

    def __init__(self, habits: Habits, seed: int) -> None:
        self.habits = habits
        self._seed = seed

    def dice(self, *names: object) -> Random:
        """Return the dice that belong to a thing."""
        return Random(f"{self._seed}:{':'.join(map(str, names))}")  # noqa: S311  no secret

    def plan(self, redemption: Mapping[str, Any]) -> Plan:
        """Return what will be done about a redemption as we show it."""
        habits, dice = self.habits, self.dice(redemption["id"])
        is_late = dice.random() < habits.late
        wait_s = habits.answer_s + dice.random() * habits.spread_s
        points, benefit = redemption["points"], redemption["benefit"]
        if points > 1 and dice.random() < habits.partial:
            points = dice.randint(1, points - 1)
        return Plan(
            deed=self._deed(dice),
            wait_s=wait_s + (habits.late_s if is_late else 0),
            points=points,
            factor=_factor(dice, benefit) if benefit["kind"] == "premium_factor" else None,
            is_said_twice=dice.random() < habits.twice,
            cools_off=dice.random() < habits.cooling_off,
        )

    def _deed(self, dice: Random) -> Deed:
        habits, thrown = self.habits, dice.random()
        chances: tuple[tuple[Deed, float], ...] = (
            ("decline", habits.decline),
            ("never", habits.never),
            ("silent", habits.silent),
        )
        for deed, chance in chances:
            if thrown < chance:
                return deed
            thrown -= chance
        return "capture"


def habits_of(profile: str, changes: tuple[str, ...]) -> Habits:
    """Return a profile's habits, some of them changed: `never=0.5`.

    Raises:
        BadParameter: it is not a number, or of no habit.
    """
    known, asked = Habits.__dataclass_fields__, {}
    for change in changes:
        name, _, number = change.partition("=")
        try:
            asked[name] = float(number)
        except ValueError:
            name = ""
        if name not in known:
            raise click.BadParameter(f"{change}: a habit is one of {', '.join(known)}, =, a number")
    return replace(PROFILES[profile], **asked)


def _factor(dice: Random, benefit: Mapping[str, str]) -> str:
    """Return a premium's factor of the band, in hundredths, both ends possible."""
    least, most = (int(Decimal(benefit[end]) * 100) for end in ("band_min", "band_max"))
    return str(Decimal(dice.randint(least, most)) / 100)
