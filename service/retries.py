"""Work that has lost a race in the database is done once more, from its start.

Whoever meets another at two locks is broken off by PostgreSQL. Under the locks of the next try each
of the two sees what the other did.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

import psycopg
from psycopg.errors import DeadlockDetected

TRIES: Final = 4

Done = TypeVar("Done")


def retried(
    work: Callable[[], Done], *, after: tuple[type[psycopg.Error], ...] = (DeadlockDetected,)
) -> Done:
    """Return what some work comes to; a few times it may lose a race.

    Args:
        work: opens the transaction that a lost race undoes, and leaves nothing else behind.
        after: what a lost race raises.
    """
    for _ in range(TRIES - 1):
        with suppress(*after):
            return work()
    return work()
