"""race: fifty at once with one id, one balance, one hold, one cap, one key; one of them counts.

    python -m checks.race --rounds 20 --seed 1 [--case drain …]

`same_id`, `drain` and `captures` meet in the ledger's functions, each caller with a connection of
its own; `cap` and `same_key` meet over HTTP in a real `carbon run`, and so do redemptions: the last
unit of a quota, a person's cap over two accounts, one key, captures under many references, the ends
of an overdue one, a lapsing reservation, a batch's acceptances, a consent with one use left.
"""

import random
import sys
from collections.abc import Callable, Sequence

from checks.calling import Client
from checks.house import (
    WITHOUT_ACTS,
    WITHOUT_REDEMPTIONS,
    audit,
    quiet_house,
    sealing,
    served_house,
)
from checks.log_entries import compare_log
from checks.market import Market
from checks.race_http import HttpRaces
from checks.race_ledger import AT_ONCE, LedgerRaces
from checks.race_offers import OfferRaces
from checks.receivers import knowing_nothing, received
from checks.town import Town
from checks.verdict import Verdict, arguments
from service.runtime import Runtime

IN_LEDGER = ("same_id", "drain", "captures")
OVER_HTTP = ("cap", "same_key")
OF_OFFERS = (
    *("last_unit", "person_cap", "one_key", "references"),
    *("ends", "lapse", "acceptance", "last_use"),
)
CASES = (*IN_LEDGER, *OVER_HTTP, *OF_OFFERS)


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--case", nargs="+", choices=CASES)
    asked = parser.parse_args(given)
    cases = asked.case or CASES
    verdict = Verdict("race", asked.seed)
    if set(cases) & set(IN_LEDGER):
        with quiet_house(pool_size=AT_ONCE) as runtime:
            race_in_ledger(runtime, verdict, cases, asked.rounds, asked.seed)
    if set(cases) & {*OVER_HTTP, *OF_OFFERS}:
        _race_over_http(verdict, cases, asked.rounds, random.Random(asked.seed))
    return verdict.closed()


def race_in_ledger(
    runtime: Runtime, verdict: Verdict, cases: Sequence[str], rounds: int, seed: int
) -> None:
    """Race on a migrated database whose pool lets `AT_ONCE` callers in."""
    races = LedgerRaces(runtime, Town(runtime, 0), verdict, random.Random(seed))
    known = {"same_id": races.same_id, "drain": races.drain, "captures": races.captures}
    with sealing(runtime):
        for case in known.keys() & set(cases):
            _repeat(verdict, case, known[case], rounds)
        compare_log(runtime, verdict)
    verdict.faults += audit(runtime, besides=WITHOUT_ACTS | WITHOUT_REDEMPTIONS)


def _race_over_http(
    verdict: Verdict, cases: Sequence[str], rounds: int, chance: random.Random
) -> None:
    with served_house() as (service, runtime):
        races = HttpRaces(Town(runtime, 0), Client(service.port), verdict)
        if "cap" in cases:
            _repeat(verdict, "cap", races.cap, rounds)
        if "same_key" in cases:
            _repeat(verdict, "same_key", races.same_key, rounds)
        if set(cases) & set(OF_OFFERS):
            client = Client(service.port)
            with received(knowing_nothing) as [bank]:
                market = Market(runtime, client)
                offers = OfferRaces(market, client, verdict, chance, bank.url)
                for case in (each for each in OF_OFFERS if each in cases):
                    _repeat(verdict, case, getattr(offers, case), rounds)
        verdict.faults += audit(runtime)


def _repeat(verdict: Verdict, case: str, race: Callable[[int], None], rounds: int) -> None:
    for number in range(rounds):
        verdict.count(f"{case}: rounds")
        try:
            race(number)
        except Exception as error:  # noqa: BLE001  whatever reaches a caller is what is judged
            verdict.fault(f"{case}, round {number}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
