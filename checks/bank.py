"""bank: citizens come, go and spend in several processes, and every snapshot of the books adds up.

    python -m checks.bank --seconds 20 --seed 1

Jepsen's bank workload on the ledger's functions: most of it meets on a few hot wallets, ids are
sent again with the same and with other terms, people join and are erased meanwhile. A reader takes
all lots and all transfers in one snapshot, again and again, and a sealer seals them. Only refusals
with a name may reach a caller: a deadlock, a serialization error or a broken constraint fails the
check.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple
from uuid import UUID

from checks.bank_acts import DEEDS, Clerk, Done
from checks.books import Books
from checks.house import WITHOUT_ACTS, WITHOUT_REDEMPTIONS, audit, quiet_house, sealing
from checks.log_entries import compare_log
from checks.town import Town
from checks.verdict import Verdict, arguments
from service import clock
from service.activities.account import account_of
from service.db import Database
from service.errors import DomainError
from service.runtime import Runtime, open_runtime
from service.settings import Settings

PROCESSES = 2
THREADS = 6
CITIZENS = 60
HOT = 4
READ_EVERY_S = 0.25
FAULTS_MOST = 20
"""Of one driver, which then stops."""


class Terms(NamedTuple):
    """What one driving process is told."""

    settings: Settings
    number: int
    seed: int
    seconds: float
    source_id: UUID
    citizens: dict[str, UUID]
    hot: list[UUID]


class Driven(NamedTuple):
    """What one driving process has done."""

    counts: Counter[str]
    faults: list[str]
    answered: list[tuple[UUID, UUID, int, int, int]]
    """(citizen, posting, points, grams, lines) of every posting that was answered."""


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args(given)
    with quiet_house(pool_size=4) as runtime:
        return run(runtime, asked.seconds, asked.seed)


def run(runtime: Runtime, seconds: float, seed: int) -> int:
    """Drive and read a migrated database that nobody else uses."""
    verdict = Verdict("bank", seed)
    town = Town(runtime, CITIZENS)
    hot = list(town.citizens.values())[:HOT]
    town.endow(hot, 100_000)
    with sealing(runtime):
        driven = _driven(runtime, town, hot, seconds, seed, verdict)
        compare_log(runtime, verdict)
    for each in driven:
        verdict.counts.update(each.counts)
        verdict.faults += each.faults
    _compare_answers(runtime, [row for each in driven for row in each.answered], verdict)
    _compare_accounts(runtime, verdict)
    verdict.faults += audit(runtime, besides=WITHOUT_ACTS | WITHOUT_REDEMPTIONS)
    return verdict.closed()


# --- driving ----------------------------------------------------------------------------------


def _driven(
    runtime: Runtime, town: Town, hot: list[UUID], seconds: float, seed: int, verdict: Verdict
) -> list[Driven]:
    """Let the processes work, and read the books meanwhile."""
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        driving = [
            pool.submit(
                drive,
                Terms(runtime.settings, number, seed, seconds, town.source_id, town.citizens, hot),
            )
            for number in range(PROCESSES)
        ]
        _read_until_done(runtime.database, driving, verdict)
        return [each.result() for each in driving]


def drive(terms: Terms) -> Driven:
    """Do as the seed says with several threads; runs in a process of its own."""
    runtime = open_runtime(terms.settings, pool_size=THREADS)
    until = time.monotonic() + terms.seconds
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            seeds = [f"{terms.seed}/{terms.number}/{thread}" for thread in range(THREADS)]
            parts = list(pool.map(lambda seed: _work(runtime, terms, seed, until), seeds))
    finally:
        runtime.close()
    counts = sum((part.counts for part in parts), Counter())
    faults = [fault for part in parts for fault in part.faults]
    return Driven(counts, faults, [row for part in parts for row in part.answered])


def _work(runtime: Runtime, terms: Terms, seed: str, until: float) -> Driven:
    chance = random.Random(seed)
    clerk = Clerk(runtime, Town.known(runtime, terms.source_id, terms.citizens), terms.hot, chance)
    counts: Counter[str] = Counter()
    faults: list[str] = []
    deeds, weights = list(DEEDS), list(DEEDS.values())
    while time.monotonic() < until and len(faults) < FAULTS_MOST:
        (deed,) = chance.choices(deeds, weights)
        try:
            deed(clerk)
            counts[deed.__name__] += 1
        except DomainError as refusal:
            counts[f"refused: {refusal.code}"] += 1
            if refusal.code in {"database-unavailable", "request-failed"}:
                faults.append(f"{deed.__name__}: {refusal}")
        except Exception as error:  # noqa: BLE001  whatever reaches a caller is what is judged
            faults.append(f"{deed.__name__}: {type(error).__name__}: {error}")
    return Driven(counts, faults, [_row(each) for each in clerk.done])


def _row(done: Done) -> tuple[UUID, UUID, int, int, int]:
    lines = done.outcome.lines
    points, grams = sum(line.points for line in lines), sum(line.reduction_g for line in lines)
    return done.citizen_id, done.outcome.id, points, grams, len(lines)


# --- judging ----------------------------------------------------------------------------------


def _read_until_done(database: Database, driving: list[Future[Driven]], verdict: Verdict) -> None:
    while True:
        are_done = all(each.done() for each in driving)
        with database.raw_transaction() as connection:
            books = Books(connection)
        verdict.count("snapshots of all balances")
        verdict.faults += books.faults()
        if are_done or len(verdict.faults) > FAULTS_MOST:
            verdict.counts["citizens"] = len(books.totals())
            return
        time.sleep(READ_EVERY_S)


STORED = """
SELECT posting.citizen_id, posting.id, coalesce(sum(transfer.points), 0)::bigint,
       coalesce(sum(transfer.reduction_g), 0)::bigint, count(transfer.id)
FROM posting LEFT JOIN transfer
    ON transfer.citizen_id = posting.citizen_id AND transfer.posting_id = posting.id
GROUP BY posting.citizen_id, posting.id
"""


def _compare_answers(runtime: Runtime, answered: list[Any], verdict: Verdict) -> None:
    """Find every answered posting as it was answered, once."""
    with runtime.database.raw_transaction() as connection:
        stored = {row[:2]: row[2:] for row in connection.execute(STORED)}
    verdict.count("postings answered", len(answered))
    for citizen_id, posting_id, *amounts in answered:
        if stored.get((citizen_id, posting_id)) != tuple(amounts):
            found = stored.get((citizen_id, posting_id))
            verdict.fault(f"posting {posting_id} was answered {amounts}, stored is {found}")


def _compare_accounts(runtime: Runtime, verdict: Verdict) -> None:
    """Compare what every citizen is shown with the fold of her transfers."""
    with runtime.database.raw_transaction() as connection:
        books = Books(connection)
        for citizen_id in books.totals():
            shown = account_of(connection, citizen_id, clock.today())
            live = [
                fold
                for (citizen, day), fold in books.fold.items()
                if citizen == citizen_id and day >= clock.today()
            ]
            expected = sum(fold["available_points"] for fold in live)
            if shown.points.available != expected:
                verdict.fault(f"{citizen_id} is shown {shown.points}, she has {expected}")
            verdict.count("account views compared")


if __name__ == "__main__":
    sys.exit(main())
