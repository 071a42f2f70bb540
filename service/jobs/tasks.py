"""What a package declares of work to be done later: a name, a function, and how often."""

from collections.abc import Callable
from dataclasses import dataclass

ATTEMPTS = 8
"""Runs of a job before it counts as failed: with growing waits, over about eight minutes."""


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of job.

    Attributes:
        name: noun and verb, as it stands in the queue; never reused for something else.
        run: called with the `Runtime` and the job's arguments; opens its own transactions, and may
            be run again at any time, because a worker can be killed at any point.
        cron: when it is due by itself, in UTC; six fields: the last one is seconds.
    """

    name: str
    run: Callable[..., object]
    cron: str | None = None
    attempts: int = ATTEMPTS
