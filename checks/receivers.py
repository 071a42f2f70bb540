"""Partners' receivers of webhooks, in a thread of this process: healthy ones and faulty ones."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

from service.supervisor import HOST

HEADER_END: Final = b"\r\n\r\n"
NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
BROKEN: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
MOVED: Final = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
HUGE_BYTES: Final = 10 * 1024 * 1024
START_WAIT_S: Final = 10.0
GONE: Final = (
    *(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError),
    asyncio.CancelledError,
)
"""The caller has gone, speaks otherwise, or it is the end of the check."""


@dataclass
class Message:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The event's name."""
        return self.headers.get("webhook-id", "")


Answering = Callable[["Receiver", Message, asyncio.StreamWriter], Awaitable[bool]]
"""Answers a message; whether it has taken it."""


@dataclass
class Receiver:
    """One address, and what has come to it."""

    answer: Answering
    port: int = 0
    calls: int = 0
    """Requests that have come whole."""
    taken: Counter[str] = field(default_factory=Counter)
    """Events that were answered with 2xx, by their id."""
    seen: Counter[str] = field(default_factory=Counter)
    lags_s: list[float] = field(default_factory=list)
    """From each event's time to its first arrival."""
    places: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{HOST}:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take message after message from one connection."""
        with suppress(*GONE):
            while not writer.is_closing():
                await self._take(await _message(reader), writer)
        writer.close()

    async def _take(self, message: Message, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        if message.id and not self.seen[message.id]:
            document = json.loads(message.body)
            self.places.add(document["seq"])
            happened_at = datetime.fromisoformat(document["timestamp"]).timestamp()
            self.lags_s.append(time.time() - happened_at)
        self.seen[message.id] += 1
        if await self.answer(self, message, writer):
            self.taken[message.id] += 1
        await writer.drain()


async def healthy(_receiver: Receiver, _message: Message, writer: asyncio.StreamWriter) -> bool:
    """Take it."""
    writer.write(NO_CONTENT)
    return True


async def hanging(_receiver: Receiver, _message: Message, _writer: asyncio.StreamWriter) -> bool:
    """Say nothing, for ever."""
    await asyncio.Event().wait()
    return False


async def dripping(_receiver: Receiver, _message: Message, writer: asyncio.StreamWriter) -> bool:
    """Answer one byte a second."""
    for place in range(len(NO_CONTENT)):
        writer.write(NO_CONTENT[place : place + 1])
        await writer.drain()
        await asyncio.sleep(1)
    return False


async def failing(_receiver: Receiver, _message: Message, writer: asyncio.StreamWriter) -> bool:
    """Answer 500."""
    writer.write(BROKEN)
    return False


async def failing_once(receiver: Receiver, message: Message, writer: asyncio.StreamWriter) -> bool:
    """Answer 500 to each event once, and take it the second time."""
    is_first = receiver.seen[message.id] == 1
    writer.write(BROKEN if is_first else NO_CONTENT)
    return not is_first


async def huge(_receiver: Receiver, _message: Message, writer: asyncio.StreamWriter) -> bool:
    """Take it, and answer with 10 MB."""
    writer.write(OK % HUGE_BYTES + bytes(HUGE_BYTES))
    return True


async def breaking_off(
    _receiver: Receiver, _message: Message, writer: asyncio.StreamWriter
) -> bool:
    """Take it, and close in the middle of the answer's body."""
    writer.write(OK % 1000 + b"half of")
    await writer.drain()
    writer.close()
    return True


def redirecting(url: str) -> Answering:
    """Send everybody somewhere else."""

    async def answer(_receiver: Receiver, _message: Message, writer: asyncio.StreamWriter) -> bool:
        writer.write(MOVED % url.encode())
        return False

    return answer


async def knowing_nothing(_: Receiver, message: Message, writer: asyncio.StreamWriter) -> bool:
    """Say of every redemption that is asked about that there is none."""
    asked = parse_qs(urlsplit(message.target).query)["redemption_id"][0]
    body = json.dumps({"redemption_id": asked, "state": "none"}).encode()
    writer.write(OK % len(body) + body)
    return True


@contextmanager
def received(*answers: Answering) -> Iterator[Sequence[Receiver]]:
    """Serve one address for each way of answering, until the block ends."""
    receivers = [Receiver(answer) for answer in answers]
    serving = _Serving(receivers)
    serving.start()
    try:
        yield receivers
    finally:
        serving.stop()


class _Serving(threading.Thread):
    def __init__(self, receivers: Sequence[Receiver]) -> None:
        super().__init__(daemon=True)
        self._receivers = receivers
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()

    def start(self) -> None:
        super().start()
        if not self._is_up.wait(START_WAIT_S):
            raise SystemExit("The receivers did not start.")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()

    def run(self) -> None:
        servers = [self._loop.run_until_complete(_listening(each)) for each in self._receivers]
        self._is_up.set()
        self._loop.run_forever()
        for server in servers:
            server.close()
        self._loop.run_until_complete(_cancelled_rest())
        self._loop.close()


async def _cancelled_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _listening(receiver: Receiver) -> asyncio.Server:
    server = await asyncio.start_server(receiver.serve, HOST, 0, backlog=256)
    receiver.port = server.sockets[0].getsockname()[1]
    return server


async def _message(reader: asyncio.StreamReader) -> Message:
    head = (await reader.readuntil(HEADER_END)).decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in head[1:] if line]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Message(head[0].split(" ")[1], headers, body)
