"""Partners' receivers of webhooks, each a process of its own: one that answers, one that hangs."""

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import Any

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
HEADER_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where events are sent to, and how many have come."""

    url: str
    received: "Synchronized[int]"


@contextmanager
def receiver(*, hangs: bool = False) -> Iterator[Receiver]:
    """Receive on loopback until the block ends; a hanging one takes everything and says nothing."""
    context = multiprocessing.get_context("fork")
    received: Any = context.Value("q", 0)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    process = context.Process(target=_serve, args=(listening, received, hangs), daemon=True)
    process.start()
    try:
        yield Receiver(f"http://127.0.0.1:{listening.getsockname()[1]}/hook", received)
    finally:
        listening.close()
        process.terminate()
        process.join(10)


def _serve(listening: socket.socket, received: "Synchronized[int]", hangs: bool) -> None:  # noqa: FBT001  handed over by the process
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(HEADER_END)
                await reader.readexactly(_length_in(head))
                received.value += 1
                if not hangs:
                    writer.write(NO_CONTENT)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, sock=listening)
        await server.serve_forever()

    asyncio.run(serve())


def _length_in(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
