"""Callers that come at the same time share one piece of work; a lone caller never waits for others.

The first to come leads: it works on what has been handed in so far. Who comes meanwhile waits, and
the first of them leads next, with all that has gathered. A database that commits once for eight is
asked an eighth as often.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Waiting(Generic[Item]):
    __slots__ = ("error", "is_done", "item", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.woken = threading.Event()
        self.is_done = False
        self.error: BaseException | None = None


class Gatherer(Generic[Item]):
    """Gathers items for one kind of work."""

    def __init__(self, work: Callable[[Sequence[Item]], None], most: int) -> None:
        """Prepare to gather.

        Args:
            work: done for one to `most` items at once, by one thread at a time.
            most: items in one piece of work.
        """
        self._work = work
        self._most = most
        self._queue: list[_Waiting[Item]] = []
        self._is_led = False
        self._changing = threading.Lock()

    def do(self, item: Item) -> None:
        """Return when the work on the item is done; raise what the work raised."""
        waiting = _Waiting(item)
        with self._changing:
            self._queue.append(waiting)
            leads, self._is_led = not self._is_led, True
        if not leads:
            waiting.woken.wait()
        if not waiting.is_done:
            self._lead()
        if waiting.error is not None:
            raise waiting.error

    def _lead(self) -> None:
        """Work on what has gathered, wake who waits for it, and let the next one lead."""
        with self._changing:
            group, self._queue = self._queue[: self._most], self._queue[self._most :]
        error: BaseException | None = None
        try:
            self._work([waiting.item for waiting in group])
        except BaseException as raised:  # noqa: BLE001  every caller of the group gets it
            error = raised
        with self._changing:
            following = self._queue[0] if self._queue else None
            self._is_led = following is not None
        for waiting in group:
            waiting.error, waiting.is_done = error, True
            waiting.woken.set()
        if following is not None:
            following.woken.set()
