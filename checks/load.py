"""The mixed load: a steady stream of requests from several threads, each one remembered."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from checks.calling import Client
from checks.operations import Feed, Operation, Posting, Request, Retirement
from checks.town import RIDES_MOST, Town, metro_ride
from service.db import Database

PER_S: Final = 100
THREADS: Final = 8
RIDERS: Final = 2_000
WALLETS: Final = 40
LINES_MOST: Final = 3
HOLDS_REMEMBERED: Final = 100

NextRequest = Callable[[random.Random], Request]


class LedgerLoad:
    """Requests to the ledger's functions, for wallets that hold enough."""

    def __init__(self, database: Database, wallets: Sequence[UUID]) -> None:
        """Ask for what these wallets can pay."""
        self._database = database
        self._wallets = wallets
        self._holds: deque[Operation] = deque(maxlen=HOLDS_REMEMBERED)

    def __call__(self, chance: random.Random) -> Request:
        """Return one more request."""
        what = chance.choice(["hold", "hold", "capture", "release", "retire", "donate"])
        if what in {"capture", "release"} and self._holds:
            of = chance.choice(self._holds).request
            assert isinstance(of, Posting)
            return Posting(self._database, of.citizen_id, what, chance.randint(1, 3), of.id)
        what = "hold" if what in {"capture", "release"} else what
        return Posting(self._database, chance.choice(self._wallets), what, chance.randint(1, 5))

    def note(self, operation: Operation) -> None:
        """Remember a hold that is certain, to go on with it."""
        has_moved = operation.answer is not None and operation.answer.effects
        if operation.request.what == "hold" and has_moved:
            self._holds.append(operation)


class MixedLoad:
    """Feeds over HTTP, calls of the ledger's functions, and retirements over HTTP."""

    def __init__(self, town: Town, client: Client) -> None:
        """Found on a town whose first accounts are wallets and whose others ride."""
        accounts = list(town.citizens)
        self._town = town
        self._client = client
        self._riders = accounts[WALLETS:]
        self._rides = 0
        self._guard = threading.Lock()
        self._wallets = [town.citizens[account] for account in accounts[:WALLETS]]
        self._tokens = {wallet: town.token_of(wallet) for wallet in self._wallets}
        self._ledger = LedgerLoad(town.runtime.database, self._wallets)
        self.endowment = [
            Feed(client, town, [metro_ride(account, n) for n in range(RIDES_MOST)])
            for account in accounts[:WALLETS]
        ]
        """What the wallets are filled with, before anything else."""

    def __call__(self, chance: random.Random) -> Request:
        """Return one more request."""
        kind = chance.random()
        if kind < 0.35:
            return Feed(self._client, self._town, self._next_rides(chance.randint(1, LINES_MOST)))
        if kind < 0.55:
            wallet = chance.choice(self._wallets)
            token = self._tokens[wallet]
            return Retirement(self._client, token, wallet, chance.randint(1, 5))
        return self._ledger(chance)

    def note(self, operation: Operation) -> None:
        """Remember what can be gone on with."""
        self._ledger.note(operation)

    def _next_rides(self, lines: int) -> list[dict[str, object]]:
        with self._guard:
            first = self._rides
            self._rides += lines
        places = [divmod(first + n, len(self._riders)) for n in range(lines)]
        return [metro_ride(self._riders[rider], number) for number, rider in places]


class Load:
    """Sends requests for as long as it is on, and remembers every one."""

    def __init__(self, requests: MixedLoad | LedgerLoad, seed: int) -> None:
        """Take requests from `requests`."""
        self._requests = requests
        self._seed = seed
        self._phase = 0
        self._stopping = threading.Event()
        self.operations: list[Operation] = []

    def send(self, requests: Sequence[Request]) -> None:
        """Send these, one after another."""
        for request in requests:
            self._one(request)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Send for the length of the block, `PER_S` a second where the service keeps up."""
        self._stopping.clear()
        self._phase += 1
        seeds = [f"{self._seed}/{self._phase}/{thread}" for thread in range(THREADS)]
        threads = [threading.Thread(target=self._work, args=(seed,)) for seed in seeds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _work(self, seed: str) -> None:
        chance = random.Random(seed)
        due = time.monotonic()
        while not self._stopping.is_set():
            self._one(self._requests(chance))
            due = max(due + THREADS / PER_S, time.monotonic() - 1)
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def _one(self, request: Request) -> None:
        operation = Operation(request)
        self.operations.append(operation)
        operation.send()
        self._requests.note(operation)
