"""Calling partners at addresses that they chose themselves: looked up, checked, then connected to.

A name is looked up once for each connection, every address of the answer is checked, and only a
checked one is connected to: a name that leads elsewhere the next time leads nowhere. Redirects are
never followed, no proxy or cookie is used, and answers are read to a limit.
"""

import asyncio
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LookUpTimeoutError
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from service.errors import DomainError
from service.partners.addresses import CheckedUrl, Reach, checked_url, is_allowed, refused
from service.partners.errors import AddressRefused

ANSWER_BYTES: Final = 64 * 1024
CONNECT_S: Final = 5.0
LOOK_UP_S: Final = 3.0
NAMES_REMEMBERED_S: Final = 10
KEPT_OPEN_S: Final = 4.0
"""Less than servers commonly wait (5 s), so that none closes a connection as we use it again."""
USER_AGENT: Final = "carbon-inclusion/1"


class NoAnswer(Exception):
    """A partner gave no answer that can be read; the reason is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedAddress(OSError):
    """A connection was about to be opened to where we do not connect."""


def require_reachable(url: CheckedUrl, reach: Reach) -> None:
    """Refuse a name that has an address to which we would not connect; waits up to 3 s.

    Raises:
        AddressRefused: one of its addresses is not allowed, or it has none now.
    """
    try:
        addresses = look_up(url.host, url.port).result(LOOK_UP_S)
    except (OSError, UnicodeError, LookUpTimeoutError) as error:
        raise AddressRefused(
            "No address is known for {host}. Please come back when its name can be looked up.",
            host=url.host,
        ) from error
    if not addresses or not all(is_allowed(address, reach) for address in addresses):
        raise refused(url.host, reach)


def guarded_session(reach: Reach, *, at_once: int, total_s: float) -> aiohttp.ClientSession:
    """Return a session that connects to allowed addresses only; the caller closes it.

    Args:
        reach: where to.
        at_once: connections that are open at a time.
        total_s: for one call, from the look-up to the end of the answer.
    """

    def guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), reach):
            raise RefusedAddress(str(address[0]))
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=GuardedResolver(reach),
            socket_factory=guarded_socket,
            ttl_dns_cache=NAMES_REMEMBERED_S,
            limit=at_once,
            keepalive_timeout=KEPT_OPEN_S,
        ),
        timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        auto_decompress=False,
    )


class GuardedResolver(AbstractResolver):
    """Looks names up and gives away allowed addresses, or none at all."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return a name's addresses.

        Raises:
            RefusedAddress: one of them is not allowed: whoever mixes them means no good.
        """
        addresses = await asyncio.wrap_future(look_up(host, port, family))
        if not all(is_allowed(address, self._reach) for address in addresses):
            raise RefusedAddress(host)
        return [_resolved(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Nothing is held."""


def look_up(
    host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
) -> "Future[list[str]]":
    """Look a name up in a thread of its own: a slow name server holds up nobody else, nor an end.

    The future has the addresses, or the `OSError` of a name that has none.
    """
    found: Future[list[str]] = Future()

    def work() -> None:
        try:
            answers = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            found.set_exception(error)
        else:
            found.set_result([str(answer[4][0]) for answer in answers])

    found.set_running_or_notify_cancel()
    threading.Thread(target=work, daemon=True, name="look-up").start()
    return found


def fetch_json(
    url: str, reach: Reach, headers: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes]:
    """Ask a partner's address for JSON and return status and body; for callers without a loop.

    Args:
        url: an absolute address, checked here.
        reach: of the partner's profile.
        headers: sent as they are.
        timeout_s: for the whole call.

    Raises:
        NoAnswer: the address is refused, nobody answers in time, or with more than 64 KiB.
    """
    try:
        return asyncio.run(_fetch(checked_url(url, reach), reach, headers, timeout_s))
    except (aiohttp.ClientError, OSError, ValueError, DomainError) as error:
        raise NoAnswer(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Return in one word why a call has failed."""
    cause = getattr(error, "os_error", None)
    if isinstance(error, DomainError | RefusedAddress) or isinstance(cause, RefusedAddress):
        return "address-refused"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "connection-broken"


_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "name-unknown"),
    (aiohttp.ClientSSLError, "tls-failed"),
    (aiohttp.ClientConnectorError, "not-reachable"),
    (aiohttp.ClientResponseError, "answer-unreadable"),
)


async def _fetch(
    url: CheckedUrl, reach: Reach, headers: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes]:
    async with (
        guarded_session(reach, at_once=1, total_s=timeout_s) as session,
        session.get(
            URL(url.text, encoded=True),
            headers={"Accept": "application/json", **headers},
            allow_redirects=False,
        ) as response,
    ):
        body = await read_at_most(response, ANSWER_BYTES)
        if body is None:
            raise NoAnswer("answer-too-long")
        return response.status, body


async def read_at_most(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """Return an answer's body; None when it is longer, and then the rest is not read."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(most):
        body += chunk
        if len(body) > most:
            response.close()
            return None
    return bytes(body)


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
