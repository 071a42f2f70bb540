"""redeem: redemptions lose nothing and double nothing while their processes are killed.

    python -m checks.redeem --rounds 1 --seed 1 [--target courier …]

Clients quote, reserve, submit, capture, decline and void under keys of their own at a real `carbon
run`, and send every step again under its key until they know what became of it. Meanwhile kill -9
takes the courier, a server worker, the server's master, the job worker and PostgreSQL's first
process. In the end every acknowledged step is there once and nothing else is; points, quotas,
budgets and caps agree; the partner's feed has no gap; and its receiver got every event.
"""

import random
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from checks.calling import Client, Unanswered
from checks.house import Service, audit, served_house
from checks.kill_targets import COURIER, TARGETS, Target
from checks.killing import Killer
from checks.log_entries import compare_log
from checks.market import SUBSIDY_MINOR, Bank, Market, OnOffer, quoting
from checks.processes import wait_until
from checks.receivers import Receiver, healthy, received
from checks.redeem_books import all_arrived, compare_books, compare_events
from checks.redeem_stories import Teller, counts
from checks.verdict import Verdict, arguments
from service.runtime import Runtime, open_runtime

CUSTOMERS: Final = 60
RIDES: Final = 25
CALM_S: Final = 1.0
ARRIVED_WITHIN_S: Final = 100.0
"""What a killed courier had in hand is due again after its lease of a minute."""
KILLED: Final = (COURIER, *(target for target in TARGETS if target.name != "sealer"))
NAMES: Final = tuple(target.name for target in KILLED)
PER_DAY: Final = {"per_citizen": {"period": "day", "most": 3}, "per_person": None}
LOCK: Final[dict[str, Any]] = {"mode": "lock", "maturity": {"days": 30, "at_maturity": "burn"}}


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=1, help="for each target")
    parser.add_argument("--target", nargs="+", choices=NAMES, default=NAMES)
    asked = parser.parse_args(given)
    verdict = Verdict("redeem", asked.seed)
    targets = [target for target in KILLED if target.name in asked.target]
    with served_house() as (service, runtime), received(healthy) as [receiver]:
        Redeeming(service, runtime, receiver, verdict, asked.seed).run(targets, asked.rounds)
    return verdict.closed()


class Redeeming:
    """One service whose clients redeem while it is killed again and again."""

    def __init__(
        self, service: Service, runtime: Runtime, receiver: Receiver, verdict: Verdict, seed: int
    ) -> None:
        """Open a bank with offers of each kind, whose customers have earned their points."""
        self._service = service
        self._receiver = receiver
        self._verdict = verdict
        self._chance = random.Random(seed)
        self._client = Client(service.port)
        market = Market(runtime, self._client)
        self._bank = market.bank()
        market.listen(self._bank, receiver.url)
        self._offers = _offers(market, self._bank)
        self._customers = market.customers(self._bank, CUSTOMERS, rides=RIDES)
        self._teller = Teller(self._client, verdict, self._customers, self._offers, seed)
        self._killer = Killer(service, verdict, self._chance, self._serves)

    def run(self, targets: Sequence[Target], rounds: int) -> None:
        """Kill each target so many times, then compare everything."""
        for _ in range(rounds):
            for target in targets:
                with self._verdict.faults_named(target.name):
                    self._round(target)
        stories = list(self._teller.stories)
        self._verdict.counts.update(counts(stories))
        self._compare_events()
        # The pool of before may still hold connections to a PostgreSQL that was killed.
        runtime = open_runtime(self._service.settings, pool_size=2)
        compare_books(runtime, self._bank, stories, self._verdict)
        compare_log(runtime, self._verdict)
        self._verdict.faults += audit(runtime)
        runtime.close()

    def _round(self, target: Target) -> None:
        if not target.pids(self._service):
            self._verdict.fault("no such process runs")
            return
        with self._teller.on():
            time.sleep(CALM_S * (0.5 + self._chance.random()))
            self._killer.kill_one(target)
            time.sleep(CALM_S / 2)

    def _serves(self) -> bool:
        """Whether it gives a quote, or says why not."""
        ask = quoting(self._customers[0], self._offers[0])
        try:
            return ask.send(self._client).status < 500
        except Unanswered:
            return False

    def _compare_events(self) -> None:
        events = compare_events(self._client, self._bank, self._teller.stories, self._verdict)
        began_at = time.monotonic()
        wait_until(lambda: all_arrived(self._receiver, events), ARRIVED_WITHIN_S)
        self._verdict.count("outbox drained after, ms", round((time.monotonic() - began_at) * 1000))
        lost = events.keys() - self._receiver.taken.keys()
        self._verdict.require(not lost, f"{len(lost)} events did not arrive")
        taken = self._receiver.taken
        self._verdict.count("events received", len(taken))
        self._verdict.count("events received again", sum(taken.values()) - len(taken))


def _offers(market: Market, bank: Bank) -> list[OnOffer]:
    """Return one offer without limits, one with few units, one with a cap, one that locks."""
    return [
        market.put_on_offer(bank),
        market.put_on_offer(bank, quota=200, budget_minor=100 * SUBSIDY_MINOR),
        market.put_on_offer(bank, caps=PER_DAY),
        market.put_on_offer(bank, **LOCK),
    ]


if __name__ == "__main__":
    sys.exit(main())
