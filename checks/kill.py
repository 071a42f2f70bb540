"""kill: kill -9 of each process under mixed load loses nothing and doubles nothing.

    python -m checks.kill --rounds 3 --seed 1 [--target postgres …]

A real `carbon run` under about a hundred requests a second: feeds and retirements over HTTP, calls
of the ledger's functions beside it. After each kill it must serve again within 15 s; whatever had
no answer is sent again under its id; then every answer is compared with the books. `control` runs
the same requests and the same comparison on a PostgreSQL that may forget (`synchronous_commit` off)
and fails unless a loss is found: a check that cannot see one would prove nothing.
"""

import random
import sys
import time
from collections.abc import Sequence

from checks.calling import Client, Unanswered
from checks.comparing import differences, resolve
from checks.forgetting import control
from checks.house import WITHOUT_REDEMPTIONS, Service, audit, served_house
from checks.kill_targets import TARGETS, Target
from checks.killing import Killer
from checks.load import RIDERS, WALLETS, Load, MixedLoad
from checks.log_entries import compare_log
from checks.town import Town, feed_of, metro_ride
from checks.verdict import Verdict, arguments
from service.runtime import Runtime

CALM_S = 1.0
CONTROL = "control"
NAMES = (*(target.name for target in TARGETS), CONTROL)


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3, help="for each target")
    parser.add_argument("--target", nargs="+", choices=NAMES, default=NAMES)
    asked = parser.parse_args(given)
    verdict = Verdict("kill", asked.seed)
    if CONTROL in asked.target:
        control(verdict, asked.seed)
    targets = [target for target in TARGETS if target.name in asked.target]
    if targets:
        with served_house() as (service, runtime):
            Killing(service, runtime, verdict, asked.seed).run(targets, asked.rounds)
    return verdict.closed()


class Killing:
    """One service under load, killed again and again."""

    def __init__(self, service: Service, runtime: Runtime, verdict: Verdict, seed: int) -> None:
        """Prepare the load, and fill the wallets with what was really earned."""
        self._service = service
        self._runtime = runtime
        self._verdict = verdict
        self._chance = random.Random(seed)
        self._killer = Killer(service, verdict, self._chance, self._serves)
        self._client = Client(service.port)
        self._town = Town(runtime, WALLETS + RIDERS)
        requests = MixedLoad(self._town, self._client)
        self._load = Load(requests, seed)
        self._load.send(requests.endowment)

    def run(self, targets: Sequence[Target], rounds: int) -> None:
        """Kill each target so many times, then look at the whole."""
        for target in targets:
            if not target.pids(self._service):
                self._verdict.fault(f"{target.name}: no such process runs")
                continue
            for number in range(rounds):
                with self._verdict.faults_named(f"{target.name}, kill {number + 1}"):
                    self._round(target)
        known = sum(each.answer is not None for each in self._load.operations)
        self._verdict.count("acknowledged", known)
        compare_log(self._runtime, self._verdict)
        self._verdict.faults += audit(self._runtime, besides=WITHOUT_REDEMPTIONS)

    def _round(self, target: Target) -> None:
        began_with = len(self._load.operations)
        with self._load.on():
            time.sleep(CALM_S * (1 + self._chance.random()))
            self._killer.kill_one(target)
            time.sleep(CALM_S / 2)
        resolve(self._load.operations[began_with:], self._verdict)
        self._compare()

    def _serves(self) -> bool:
        """Whether it records an act."""
        account = f"probe-{self._chance.getrandbits(64)}"
        feed = feed_of([metro_ride(account, 0)])
        try:
            return self._client.feed(self._town.source_token, feed).status == 200
        except Unanswered:
            return False

    def _compare(self) -> None:
        with self._runtime.database.raw_transaction() as connection:
            found = differences(connection, self._load.operations)
        self._verdict.count("missing", found.missing)
        self._verdict.count("doubled", found.doubled)
        self._verdict.faults += found.sentences


if __name__ == "__main__":
    sys.exit(main())
