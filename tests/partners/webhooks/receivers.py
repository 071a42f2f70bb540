"""A partner's own server, for tests: answers as it is told and keeps what it was sent."""

import asyncio
import base64
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.partners.webhooks.courier import LEASE, Courier
from service.runtime import Runtime

Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
PATIENCE_S = 20.0


@dataclass
class Arrival:
    """A message as it came."""

    headers: dict[str, str]
    body: bytes
    path: str
    at_s: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Serves on a port of its own in a thread of its own, from `with` to the end of the block."""

    def __init__(self, answer: Answering | int = 200) -> None:
        self.answer = answer
        self.arrivals: list[Arrival] = []
        self.port = 0
        self._is_up = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        return [each.id for each in list(self.arrivals)]

    def wait_for(self, how_many: int) -> list[Arrival]:
        wait_until(lambda: len(self.arrivals) >= how_many)
        return self.arrivals

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(PATIENCE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        self._thread.join(PATIENCE_S)

    async def _serve(self) -> None:
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stopping.set)
        runner = web.ServerRunner(web.Server(self._take, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._is_up.set()
        await stopping.wait()
        await runner.cleanup()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.arrivals.append(Arrival(headers, body, request.path))
        if isinstance(self.answer, int):
            return web.Response(status=self.answer)
        return await self.answer(request)


def is_signed_by(arrival: Arrival, public_key: str) -> bool:
    """Whether one of a message's `v1a` signatures is by a `whpk_…` key."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{arrival.id}.{arrival.headers['webhook-timestamp']}.".encode() + arrival.body
    for signature in arrival.headers["webhook-signature"].split(" "):
        version, _, text = signature.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(base64.b64decode(text), signed)
        except Exception:  # noqa: BLE001, S112  any failure is a no
            continue
        return True
    return False


@contextmanager
def delivering(runtime: Runtime, *, lease: timedelta = LEASE) -> Iterator[None]:
    """Let a courier work for the length of the block."""
    started = threading.Event()
    running: dict[str, Any] = {}

    async def work() -> None:
        courier = Courier(runtime.database, runtime.keys, lease=lease)
        running.update(courier=courier, loop=asyncio.get_running_loop())
        started.set()
        await courier.run()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield
    finally:
        running["loop"].call_soon_threadsafe(running["courier"].stop)
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def wait_until(condition: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
