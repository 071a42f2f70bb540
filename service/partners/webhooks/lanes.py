"""A lane: the letters to one endpoint, sent a few at a time over connections of its own."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import aiohttp
import structlog
from yarl import URL

from service import clock
from service.errors import DomainError
from service.keys import KeyRing
from service.partners.addresses import Reach, checked_url
from service.partners.outgoing import ANSWER_BYTES, guarded_session, read_at_most, reason_of
from service.partners.webhooks.desk import Letter, Result, Target
from service.partners.webhooks.endpoints import is_overlapping
from service.partners.webhooks.ladder import Reply, has_arrived, judge
from service.partners.webhooks.signing import Signer, opened

log = structlog.get_logger()

AT_ONCE: Final = 16
"""Calls at a time on one lane."""
IN_HAND: Final = 256
"""Letters on a lane whose receiver takes them; one that does not gets as many as at once."""
ANSWER_WITHIN_S: Final = 15.0
REST_OF_ANSWER_WITHIN_S: Final = 1.0

Report = Callable[[Result], None]


class Held(NamedTuple):
    """A letter, and until when it may be begun: it has to end before its lease does."""

    letter: Letter
    begin_by_s: float


class Lane:
    """Sends to one endpoint."""

    def __init__(self, target: Target, ring: KeyRing, report: Report, lease: timedelta) -> None:
        """Open a lane, in the loop.

        Args:
            target: where to; letters bring its later changes.
            ring: unseals what messages are signed with.
            report: takes the result of each attempt.
            lease: of the letters, from when they are taken.
        """
        self._ring = ring
        self._report = report
        self._hold_s = max(lease.total_seconds() - ANSWER_WITHIN_S, 0.0) / 2
        self._session = guarded_session(target.reach, at_once=AT_ONCE, total_s=ANSWER_WITHIN_S)
        self._waiting: deque[Held] = deque()
        self._sending: dict[asyncio.Task[None], Letter | None] = {}
        self._untried: list[Letter] = []
        self._takes = False
        self._signer: tuple[tuple[int, bool], Signer] | None = None
        self.used_at = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether letters are on the lane."""
        return bool(self._waiting or self._sending or self._untried)

    @property
    def room(self) -> int:
        """How many more letters the lane can take."""
        return (IN_HAND if self._takes else AT_ONCE) - len(self._waiting) - len(self._sending)

    def take(self, letter: Letter) -> None:
        """Send a letter as soon as a call ends."""
        self.used_at = time.monotonic()
        self._waiting.append(Held(letter, self.used_at + self._hold_s))
        if len(self._sending) < AT_ONCE:
            task = asyncio.create_task(self._send_waiting())
            self._sending[task] = None
            task.add_done_callback(self._sending.pop)

    def left_over(self) -> list[Letter]:
        """Return the letters that were not tried and are not on the lane any more."""
        untried, self._untried = self._untried, []
        return untried

    async def close(self) -> list[Letter]:
        """End the calls and return the letters without a result."""
        self._give_back_waiting()
        unfinished = [letter for letter in self._sending.values() if letter is not None]
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._session.close()
        return self.left_over() + unfinished

    async def finish_calls(self, within_s: float) -> None:
        """Begin no more calls, and wait a while for those that have begun."""
        self._give_back_waiting()
        if self._sending:
            await asyncio.wait(self._sending, timeout=within_s)

    async def _send_waiting(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  it runs as one
        while self._waiting:
            letter, begin_by_s = self._waiting.popleft()
            if time.monotonic() > begin_by_s:
                self._untried.append(letter)
                continue
            self._sending[task] = letter
            reply = await self._send(letter)
            self._sending[task] = None
            self._conclude(letter, reply)

    def _conclude(self, letter: Letter, reply: Reply) -> None:
        attempts = letter.attempts + 1
        verdict = judge(reply, attempts, clock.now())
        self._takes = has_arrived(reply)
        if not self._takes:
            # It may be resting or away: let the database say when the others are due.
            self._give_back_waiting()
        self._report(
            Result(
                letter.delivery_id,
                letter.target.endpoint_id,
                verdict.state,
                attempts,
                verdict.next_attempt_at,
                reply.status,
                reply.error,
                verdict.paused_until,
                verdict.is_gone,
            )
        )

    def _give_back_waiting(self) -> None:
        self._untried += [held.letter for held in self._waiting]
        self._waiting.clear()

    async def _send(self, letter: Letter) -> Reply:
        body = letter.event.body
        try:
            async with self._session.post(
                _address(letter.target.url, letter.target.reach),
                data=body,
                headers=self._headers(letter, body),
                allow_redirects=False,
            ) as response:
                await _read_rest(response)
                return Reply(response.status, None, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, OSError, DomainError) as error:
            return Reply(None, reason_of(error))
        except Exception as error:  # noqa: BLE001  one receiver's oddity ends no other's lane
            log.warning("webhook_attempt_broke", error=type(error).__name__)
            return Reply(None, reason_of(error))

    def _headers(self, letter: Letter, body: bytes) -> dict[str, str]:
        timestamp_s = int(clock.now().timestamp())
        signed = self._signer_of(letter.target).headers(letter.event.public_id, timestamp_s, body)
        return {"Content-Type": "application/json", **signed}

    def _signer_of(self, target: Target) -> Signer:
        """Return what signs now; unsealed once for each version of the endpoint."""
        keys_now = (target.version, is_overlapping(target.former_until))
        if self._signer is None or self._signer[0] != keys_now:
            keys = opened(self._ring, target.endpoint_id, target.sealing_key_version, target.sealed)
            signer = Signer(keys if keys_now[1] else keys.without_former())
            self._signer = (keys_now, signer)
        return self._signer[1]


@lru_cache(maxsize=1024)
def _address(url: str, reach: Reach) -> URL:
    """Return an endpoint's address, read again as strictly as when it was registered."""
    return URL(checked_url(url, reach).text, encoded=True)


async def _read_rest(response: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end, so that its connection is used again; leave a longer one."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(REST_OF_ANSWER_WITHIN_S):
            if await read_at_most(response, ANSWER_BYTES) is not None:
                return
    response.close()
