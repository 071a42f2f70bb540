"""What is to be done and when: one thing after the other, so that nothing needs a lock."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import NoReturn

Task = Callable[[], None]


class Agenda:
    """Tasks by their time; any thread may add one, a single thread carries them out."""

    def __init__(self) -> None:
        self._tasks: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()

    def after(self, wait_s: float, task: Task) -> None:
        """Let a task be carried out in some seconds."""
        with self._changed:
            heapq.heappush(self._tasks, (time.monotonic() + wait_s, next(self._order), task))
            self._changed.notify()

    def run(self) -> NoReturn:
        """Carry out task after task, until an interrupt."""
        while True:
            self._next()()

    def _next(self) -> Task:
        with self._changed:
            while True:
                wait_s = self._tasks[0][0] - time.monotonic() if self._tasks else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._tasks)[2]
                self._changed.wait(wait_s)
