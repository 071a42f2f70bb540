"""Killing one process of a served house, and waiting until the house serves again."""

import random
import time
from collections.abc import Callable
from typing import Final

from checks.house import Service
from checks.kill_targets import Target
from checks.processes import kill, wait_until
from checks.verdict import Verdict

BACK_WITHIN_S: Final = 15.0
GIVE_UP_AFTER_S: Final = 90.0


class Killer:
    """Kills what `carbon run` has started, and sees how long it is away."""

    def __init__(
        self,
        service: Service,
        verdict: Verdict,
        chance: random.Random,
        serves: Callable[[], bool],
    ) -> None:
        """Kill nothing yet.

        Args:
            service: whose processes are killed.
            verdict: takes counts and faults.
            chance: chooses among several processes of one kind.
            serves: whether the house does what it is there for.
        """
        self._service = service
        self._verdict = verdict
        self._chance = chance
        self._serves = serves

    def kill_one(self, target: Target) -> None:
        """Kill one of its processes, and wait until all are there again and serve."""
        there = target.pids(self._service)
        victim = self._chance.choice(there)
        kill([victim])
        self._verdict.count(f"kills of {target.name}")
        self._wait_until_back(target, victim, len(there))

    def _wait_until_back(self, target: Target, victim: int, there: int) -> None:
        began_at = time.monotonic()

        def is_back() -> bool:
            pids = target.pids(self._service)
            is_whole = victim not in pids and len(pids) >= there
            return is_whole and self._service.is_ready() and self._serves()

        came_back = wait_until(is_back, GIVE_UP_AFTER_S)
        took_s = time.monotonic() - began_at
        self._verdict.most(f"slowest recovery of {target.name}, ms", round(took_s * 1000))
        self._verdict.require(
            came_back and took_s <= BACK_WITHIN_S, f"served again after {took_s:.1f} s"
        )
