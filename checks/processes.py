"""Finding and killing the service's own processes, each by its number."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

LOOK_EVERY_S = 0.02


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that have not ended."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in told.split()]


def descendants_of(pid: int) -> Iterator[int]:
    """Yield children and what they have started in their turn."""
    for child in children_of(pid):
        yield child
        yield from descendants_of(child)


def words_of(pid: int) -> str:
    """Return a process's command line; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def kill(pids: Iterable[int]) -> None:
    """End processes at once, without a word."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_cluster(postmaster: int) -> None:
    """End a whole PostgreSQL at one instant, so that nobody flushes what is in shared memory."""
    os.kill(postmaster, signal.SIGSTOP)
    backends = children_of(postmaster)
    kill([*backends, postmaster])
    wait_until(lambda: not any(words_of(each) for each in [*backends, postmaster]), 10)


def postmaster_of(home: Path) -> int:
    """Return the number of the embedded PostgreSQL's first process."""
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait for something to become true; false if it does not within the time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
    return True
