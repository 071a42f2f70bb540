"""Holds and captures through the ledger's own functions: many wallets, or a few hot ones.

Each hold and each capture is a transaction of its own, as a redemption makes them. Latencies are of
one transaction and, apart, of a pair.
"""

import multiprocessing
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

from benchmarks.load import Load
from service.db import Database
from service.ledger.accounts import lock_accounts
from service.ledger.holds import capture, hold
from service.ledger.issuing import Issue, issue_lots

PROCESSES = 2
CALLERS_IN_EACH = 16
AT_ONCE_IN_EACH = 6
"""Connections: who has to wait does so in order and holds nothing. With one for each caller more
pairs are done (measured 1,540 a second for 1,120), and a transaction's p99 is 48 ms for 30."""
HOT_WALLETS = 10
HOT_SHARE = 0.8
POINTS = 1_000_000_000
WALLETS_IN_A_TRANSACTION = 5_000
LAST_DAY = date(2028, 12, 31).isoformat()
PARTNER = UUID(int=7)


@dataclass(slots=True)
class Spent(Load):
    """What one run has come to; `answered` counts pairs."""

    pairs_ms: list[float] = field(default_factory=list)

    def pair_percentile_ms(self, share: float) -> float:
        """Return the latency that this share of the pairs kept within."""
        ordered = sorted(self.pairs_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def filled(database: Database, wallets: int) -> list[UUID]:
    """Make wallets with more points than a run can spend."""
    made = [uuid4() for _ in range(wallets)]
    for start in range(0, wallets, WALLETS_IN_A_TRANSACTION):
        ids = [each.hex for each in made[start : start + WALLETS_IN_A_TRANSACTION]]
        with database.raw_transaction() as connection:
            accounts = lock_accounts(connection, ids)
            issues = [Issue(each, uuid4().hex, LAST_DAY, POINTS, POINTS) for each in ids]
            issue_lots(connection, accounts, issues)
    return made


def measure(url: str, wallets: Sequence[UUID], seconds: float, *, hot: bool = False) -> Spent:
    """Spend from wallets with 32 callers in two processes.

    Args:
        url: of the database, as the application reaches it.
        wallets: filled ones.
        seconds: of load.
        hot: whether four of five spends go to ten of the wallets.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    go = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=_spend, args=(url, wallets, seconds, hot, number, go, there))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    whole = Spent(seconds=seconds)
    for _ in processes:
        part: Spent = here.recv()
        whole.answered += part.answered
        whole.refused += part.refused
        whole.latencies_ms += part.latencies_ms
        whole.pairs_ms += part.pairs_ms
    for process in processes:
        process.join(10)
    return whole


def _spend(
    url: str,
    wallets: Sequence[UUID],
    seconds: float,
    hot: bool,  # noqa: FBT001  Process passes arguments by place
    number: int,
    go: "threading.Barrier",
    results: "multiprocessing.connection.Connection[Load, Load]",
) -> None:
    database = Database(url, size=AT_ONCE_IN_EACH)
    load = Spent()
    callers = [
        threading.Thread(
            target=_call, args=(database, wallets, seconds, hot, number * 1000 + caller, load)
        )
        for caller in range(CALLERS_IN_EACH)
    ]
    go.wait()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    database.close()
    results.send(load)


def _call(
    database: Database,
    wallets: Sequence[UUID],
    seconds: float,
    hot: bool,  # noqa: FBT001  Thread passes arguments by place
    seed: int,
    load: Spent,
) -> None:
    chance = random.Random(seed)
    until = time.perf_counter() + seconds
    while (began_at := time.perf_counter()) < until:
        some = wallets[:HOT_WALLETS] if hot and chance.random() < HOT_SHARE else wallets
        citizen_id, hold_id = chance.choice(some), uuid4()
        try:
            with database.pipelined_transaction() as connection:
                held = hold(connection, citizen_id, hold_id, 5)
            held_at = time.perf_counter()
            with database.pipelined_transaction() as connection:
                captured = capture(connection, citizen_id, uuid4(), hold_id, 5, PARTNER)
        except Exception:  # noqa: BLE001  whatever it is, it reached the caller and is counted
            load.refused += 1
            continue
        load.refused += held.refusal is not None or captured.refusal is not None
        load.answered += 1
        ended_at = time.perf_counter()
        load.latencies_ms += [(held_at - began_at) * 1000, (ended_at - held_at) * 1000]
        load.pairs_ms.append((ended_at - began_at) * 1000)
