"""race: fifty at once with one id, one balance, one hold, one cap, one key; one of them counts.

    python -m checks.race --rounds 20 --seed 1 [--case drain …]

`same_id`, `drain` and `captures` meet in the ledger's functions, each caller with a connection of
its own; `cap` and `same_key` meet over HTTP in a real `carbon run`.
"""

import random
import sys
from collections.abc import Callable, Sequence

from checks.calling import Client
from checks.house import WITHOUT_ACTS, audit, quiet_house, sealing, served_house
from checks.log_entries import compare_log
from checks.race_http import HttpRaces
from checks.race_ledger import AT_ONCE, LedgerRaces
from checks.town import Town
from checks.verdict import Verdict, arguments
from service.runtime import Runtime

IN_LEDGER = ("same_id", "drain", "captures")
OVER_HTTP = ("cap", "same_key")


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--case", nargs="+", choices=IN_LEDGER + OVER_HTTP)
    asked = parser.parse_args(given)
    cases = asked.case or IN_LEDGER + OVER_HTTP
    verdict = Verdict("race", asked.seed)
    if set(cases) & set(IN_LEDGER):
        with quiet_house(pool_size=AT_ONCE) as runtime:
            race_in_ledger(runtime, verdict, cases, asked.rounds, asked.seed)
    if set(cases) & set(OVER_HTTP):
        _race_over_http(verdict, cases, asked.rounds)
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
    verdict.faults += audit(runtime, besides=WITHOUT_ACTS)


def _race_over_http(verdict: Verdict, cases: Sequence[str], rounds: int) -> None:
    with served_house() as (service, runtime):
        races = HttpRaces(Town(runtime, 0), Client(service.port), verdict)
        if "cap" in cases:
            _repeat(verdict, "cap", races.cap, rounds)
        if "same_key" in cases:
            _repeat(verdict, "same_key", races.same_key, rounds)
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
