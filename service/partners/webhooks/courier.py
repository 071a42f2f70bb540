"""The courier: one process that sends what is due, to every endpoint on a lane of its own.

A lane has its own connections and its own few calls at a time, so a receiver that hangs holds up
nobody but itself. The database is spoken with in a thread of its own, a few statements at a time
for all lanes together. Several couriers may run: what one has been given, another does not get.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import psycopg
import structlog

from service.db import Database
from service.errors import DomainError
from service.ids import WEBHOOK_ENDPOINT, public_id
from service.keys import KeyRing
from service.partners.webhooks import desk
from service.partners.webhooks.desk import Letter, Result, Target
from service.partners.webhooks.lanes import AT_ONCE, Lane

log = structlog.get_logger()

LOOK_EVERY_S: Final = 0.25
BUSY_EVERY_S: Final = 0.05
"""Between looks while something is on its way."""
LEASE: Final = timedelta(seconds=60)
IDLE_LANE_S: Final = 60.0
TRY_AGAIN_AFTER_S: Final = 0.5
STOP_WITHIN_S: Final = 4.0

Answer = TypeVar("Answer")


class Courier:
    """Sends one database's events."""

    def __init__(self, database: Database, ring: KeyRing, *, lease: timedelta = LEASE) -> None:
        """Prepare; `run` opens what it needs.

        Args:
            database: with room for one more connection.
            ring: unseals what messages are signed with.
            lease: for so long nobody else gets what this courier was given.
        """
        self._database = database
        self._ring = ring
        self._lease = lease
        self._lanes: dict[tuple[UUID, str], Lane] = {}
        self._results: list[Result] = []
        self._stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "courier-desk")

    def stop(self) -> None:
        """Let `run` give back what it holds, and return; to be called in the loop."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`; whatever fails at the database is said and tried again."""
        log.info("courier_started")
        while not self._stopping.is_set():
            try:
                wait_s = BUSY_EVERY_S if await self._turn() else LOOK_EVERY_S
            except (psycopg.Error, DomainError) as error:
                log.warning("courier_stands_still", reason=type(error).__name__)
                wait_s = TRY_AGAIN_AFTER_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)
        await self._end()

    async def _turn(self) -> bool:
        """Write results, give out what is due, and say whether anything is on its way."""
        results, self._results = self._results, []
        untried = [letter for lane in self._lanes.values() for letter in lane.left_over()]
        room = {endpoint_id: lane.room for (endpoint_id, _), lane in self._lanes.items()}
        try:
            letters = await self._at_desk(lambda: self._look(results, untried, room))
        except (psycopg.Error, DomainError):
            self._results = [*results, *self._results]
            raise
        for letter in letters:
            self._lane_to(letter.target).take(letter)
        await self._close_idle_lanes()
        return any(lane.is_busy for lane in self._lanes.values())

    def _look(
        self, results: Sequence[Result], untried: Sequence[Letter], room: Mapping[UUID, int]
    ) -> list[Letter]:
        self._write_down(results, untried)
        desk.prepare_deliveries(self._database)
        with self._database.raw_transaction() as connection:
            full = [endpoint_id for endpoint_id, free in room.items() if free <= 0]
            targets = desk.targets_due(connection, full)
            rooms = {each.endpoint_id: room.get(each.endpoint_id, AT_ONCE) for each in targets}
            return desk.claim(connection, rooms, targets, self._lease)

    def _write_down(self, results: Sequence[Result], untried: Sequence[Letter]) -> None:
        disabled: Sequence[desk.Disabled] = ()
        with self._database.raw_transaction() as connection:
            if results:
                disabled = desk.write_results(connection, results)
            if untried:
                desk.give_back(connection, untried)
        for each in disabled:
            name = public_id(WEBHOOK_ENDPOINT, each.endpoint_id)
            log.warning("webhook_endpoint_disabled", endpoint_id=name, reason=each.reason)

    def _lane_to(self, target: Target) -> Lane:
        key = (target.endpoint_id, target.reach)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(target, self._ring, self._take_result, self._lease)
        return lane

    def _take_result(self, result: Result) -> None:
        self._results.append(result)

    async def _close_idle_lanes(self) -> None:
        for key, lane in list(self._lanes.items()):
            if not lane.is_busy and time.monotonic() - lane.used_at > IDLE_LANE_S:
                await self._lanes.pop(key).close()

    async def _end(self) -> None:
        """Wait a moment for calls that have begun, and make due again what has no result."""
        lanes = list(self._lanes.values())
        await asyncio.gather(*(lane.finish_calls(STOP_WITHIN_S) for lane in lanes))
        untried = [letter for lane in lanes for letter in await lane.close()]
        try:
            await self._at_desk(lambda: self._write_down(self._results, untried))
        except (psycopg.Error, DomainError) as error:
            log.warning("courier_could_not_write_down", reason=type(error).__name__)
        self._thread.shutdown()

    async def _at_desk(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
