"""Who uses the engines: the first one starts them, the last one stops them.

Two locks in CARBON_HOME, both of the kind the system takes back when a process dies.
`users.lock` is held shared for as long as somebody uses the engines; who gets it alone is the
last one. `starting.lock` is held alone while the engines are started or stopped, so that nobody
joins what another one is just leaving.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.embedded.home import USERS_LOCK

STARTING_LOCK = "starting.lock"


@contextmanager
def joined(
    home: Path, start: Callable[[], None], stop: Callable[[], None], report: Callable[[str], None]
) -> Iterator[None]:
    """Use the engines for the length of the block, together with other processes."""
    with _opened(home / USERS_LOCK) as users:
        try:
            with _starting(home, report):
                fcntl.flock(users, fcntl.LOCK_SH)
                start()
            yield
        finally:
            with _starting(home, report):
                if _is_free(users):
                    stop()


@contextmanager
def _starting(home: Path, report: Callable[[str], None]) -> Iterator[None]:
    with _opened(home / STARTING_LOCK) as descriptor:
        if not _is_free(descriptor):
            report("Waiting for another command that starts or stops the engines …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Not inherited by programs we start: a lock must die with its holder.
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    """Take the lock alone if nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
