"""Clients that go on with what they were answered: each connection plays script after script."""

import multiprocessing
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

RECEIVE_BYTES = 1 << 20
HEADER_END = b"\r\n\r\n"

Answer = tuple[int, bytes]
Script = Generator[tuple[str, bytes], Answer, str]
"""Yields the name of a call and its request, is sent the answer, and returns how it ended."""


@dataclass(slots=True)
class Played:
    """What a run has come to."""

    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    last_ended_at: dict[str, float] = field(default_factory=dict)
    """By ending, when the last script ended so, in seconds from the start."""

    def percentile_ms(self, call: str, share: float) -> float:
        """Return the latency that this share of a call's answers kept within."""
        ordered = sorted(self.latencies_ms[call])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def per_s(self, ending: str) -> float:
        """Return how many scripts ended so in a second, until the last that did."""
        return self.ended[ending] / self.last_ended_at[ending]


def in_another_process(
    port: int, connections: int, seconds: float, prepare: Callable[[], Iterator[Script]]
) -> Played:
    """Play scripts from a process of its own.

    Args:
        port: on loopback.
        connections: kept open and busy all the time.
        seconds: after which no script is begun any more; ends earlier when there are no more.
        prepare: returns the scripts, and may take its time before it does.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(
        target=lambda: there.send(_play(port, connections, seconds, prepare()))
    )
    process.start()
    there.close()
    try:
        return here.recv()  # type: ignore[no-any-return]  # what _play returned
    finally:
        process.join(10)


def _play(port: int, connections: int, seconds: float, scripts: Iterator[Script]) -> Played:
    played = Played()
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        stages = [_Stage(port, played, started) for _ in range(connections)]
        busy = 0
        for stage in stages:
            selector.register(stage.socket, selectors.EVENT_READ, stage)
            busy += stage.begin(scripts)
        while busy:
            for key, _ in selector.select(timeout=30):
                stage = key.data
                if not stage.receive():
                    continue
                running = time.perf_counter() - started < seconds
                busy -= not (running and stage.begin(scripts))
        played.seconds = time.perf_counter() - started
        for stage in stages:
            stage.socket.close()
    return played


class _Stage:
    """One connection, the script that is played on it, and the answer that it waits for."""

    def __init__(self, port: int, played: Played, started: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._played = played
        self._started = started
        self._received = b""
        self._sent_at = 0.0
        self._call = ""
        self._script: Script | None = None

    def begin(self, scripts: Iterator[Script]) -> bool:
        self._script = next(scripts, None)
        if self._script is None:
            return False
        self._send(next(self._script))
        return True

    def receive(self) -> bool:
        """Take what has come, and go on; true when the script has ended."""
        piece = self.socket.recv(RECEIVE_BYTES)
        if not piece:
            raise ConnectionError("the server closed a connection that was kept open")
        self._received += piece
        head, found, rest = self._received.partition(HEADER_END)
        if not found or len(rest) < _length_in(head):
            return False
        waited_ms = (time.perf_counter() - self._sent_at) * 1000
        self._played.latencies_ms.setdefault(self._call, []).append(waited_ms)
        assert self._script is not None
        try:
            self._send(self._script.send((int(head[9:12]), rest)))
        except StopIteration as end:
            self._played.ended[end.value] += 1
            self._played.last_ended_at[end.value] = time.perf_counter() - self._started
            return True
        return False

    def _send(self, named: tuple[str, bytes]) -> None:
        self._call, request = named
        self._received = b""
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)


def _length_in(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + len(b"content-length:")
    end = lowered.find(b"\r\n", at)
    return int(lowered[at : None if end < 0 else end])
