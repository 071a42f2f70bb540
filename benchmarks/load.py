"""A small load generator: a few kept connections, prepared requests, latencies of all answers."""

import multiprocessing
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

RECEIVE_BYTES = 1 << 20
HEADER_END = b"\r\n\r\n"


@dataclass(slots=True)
class Load:
    """What one run has come to."""

    seconds: float = 0.0
    answered: int = 0
    refused: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of the answers kept within."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request_bytes(method: str, path: str, token: str, body: bytes = b"", media: str = "") -> bytes:
    """Return one HTTP/1.1 request, ready to be sent."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
    ]
    if media:
        head += [f"Content-Type: {media}", f"Content-Length: {len(body)}"]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def in_another_process(
    port: int, connections: int, seconds: float, prepare: Callable[[], Iterator[bytes]]
) -> Load:
    """Drive the server from a process of its own, so that only the server's work is slowed.

    Args:
        port: on loopback.
        connections: kept open and busy all the time.
        seconds: after which no request is sent any more; ends earlier when there are no more.
        prepare: returns the requests, and may take its time before it does.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(
        target=lambda: there.send(_drive(port, connections, seconds, prepare()))
    )
    process.start()
    there.close()
    try:
        return here.recv()  # type: ignore[no-any-return]  # what _drive returned
    finally:
        process.join(10)


def _drive(port: int, connections: int, seconds: float, requests: Iterator[bytes]) -> Load:
    load = Load()
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        lines = [_Line(port) for _ in range(connections)]
        busy = 0
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            busy += line.send_next(requests)
        while busy:
            for key, _ in selector.select(timeout=30):
                line = key.data
                if not line.receive(load):
                    continue
                running = time.perf_counter() - started < seconds
                busy -= not (running and line.send_next(requests))
        load.seconds = time.perf_counter() - started
        for line in lines:
            line.socket.close()
    return load


class _Line:
    """One connection and the answer that it waits for."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send_next(self, requests: Iterator[bytes]) -> bool:
        request = next(requests, None)
        if request is None:
            return False
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)
        return True

    def receive(self, load: Load) -> bool:
        """Take what has come; true when the answer is complete."""
        piece = self.socket.recv(RECEIVE_BYTES)
        if not piece:
            raise ConnectionError("the server closed a connection that was kept open")
        self.received += piece
        head, found, rest = self.received.partition(HEADER_END)
        if not found or len(rest) < _length_in(head):
            return False
        load.latencies_ms.append((time.perf_counter() - self.sent_at) * 1000)
        if head.startswith(b"HTTP/1.1 2"):
            load.answered += 1
        else:
            load.refused += 1
        return True


def _length_in(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + len(b"content-length:")
    return int(lowered[at : lowered.find(b"\r\n", at) if b"\r\n" in lowered[at:] else None])
