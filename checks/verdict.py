"""What a check has counted and found, and how it says so."""

import argparse
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

FAULTS_SHOWN = 10


class Verdict:
    """Counts and faults of one check; threads may share it."""

    def __init__(self, name: str, seed: int) -> None:
        """Announce the check and the seed from which it replays."""
        # A killed server makes the pools say a lot that is expected here.
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self.name = name
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._began_at = time.monotonic()
        self._guard = threading.Lock()
        print(f"{name}: seed {seed}", flush=True)

    def count(self, what: str, number: int = 1) -> None:
        """Count so many more."""
        with self._guard:
            self.counts[what] += number

    def most(self, what: str, number: int) -> None:
        """Remember the largest."""
        with self._guard:
            self.counts[what] = max(self.counts[what], number)

    def fault(self, sentence: str) -> None:
        """Note a broken promise."""
        with self._guard:
            self.faults.append(sentence)

    def require(self, holds: bool, sentence: str) -> None:  # noqa: FBT001  the claim comes first
        """Note a broken promise unless it holds."""
        if not holds:
            self.fault(sentence)

    @contextmanager
    def faults_named(self, where: str) -> Iterator[None]:
        """Say of every fault in the block where it was found."""
        before = len(self.faults)
        yield
        self.faults[before:] = [f"{where}: {fault}" for fault in self.faults[before:]]

    def closed(self) -> int:
        """Print counts, faults and the closing line; return the exit status."""
        for what, number in sorted(self.counts.items()):
            print(f"  {what:<38}{number:>12,}")
        for fault in self.faults[:FAULTS_SHOWN]:
            print(f"  BROKEN: {fault}")
        result = "FAILED" if self.faults else "passed"
        seconds = time.monotonic() - self._began_at
        print(f"{self.name}: {result}, {len(self.faults)} faults, {seconds:.1f} s", flush=True)
        return 1 if self.faults else 0


def arguments(purpose: str) -> argparse.ArgumentParser:
    """Return a parser that knows what every check takes."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--seed", type=int, default=1, help="the run replays from it")
    return parser
