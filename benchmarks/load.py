"""A small load generator: a few kept connections, prepared requests, latencies of all answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks import scripts
from benchmarks.scripts import Script

ANSWERED, REFUSED = "answered", "refused"


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
    """Send requests that wait for nobody's answer; otherwise as `scripts.in_another_process`."""
    played = scripts.in_another_process(
        port, connections, seconds, lambda: map(_one_call, prepare())
    )
    ended, latencies_ms = played.ended, played.latencies_ms.get("", [])
    return Load(played.seconds, ended[ANSWERED], ended[REFUSED], latencies_ms)


def _one_call(request: bytes) -> Script:
    status, _ = yield "", request
    return ANSWERED if status // 100 == 2 else REFUSED
