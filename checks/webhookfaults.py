"""webhookfaults: receivers that hang, drip, fail, flood, redirect or break off slow nobody else.

    python -m checks.webhookfaults --seconds 5 --seed 1

A partner's events are sent by a real `carbon run`, first to a healthy endpoint alone, then to the
same one beside eight others that do not behave. The healthy one may not wait longer than twice as
long; nothing may reach the address that a redirect names; every event arrives at the healthy one
and at one that refuses each of them once; and nothing is forgotten for those that take nothing.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from checks.calling import Client
from checks.house import audit, served_house
from checks.market import Bank, Market
from checks.processes import wait_until
from checks.receivers import (
    Receiver,
    breaking_off,
    dripping,
    failing,
    failing_once,
    hanging,
    healthy,
    huge,
    received,
    redirecting,
)
from checks.verdict import Verdict, arguments
from service.ids import OFFER
from service.partners.events import record_event
from service.runtime import Runtime

PER_S: Final = 40
LAG_MOST: Final = 2.0
"""Times what it is alone."""
GRAIN_S: Final = 0.05
"""Differences below the courier's own beat say nothing."""
ARRIVED_WITHIN_S: Final = 60.0
TYPE: Final = "offer.paused"

WAYS: Final = """
SELECT endpoint_id, state, count(*) FROM webhook_delivery WHERE partner_id = %s
GROUP BY endpoint_id, state
"""


class Lag(NamedTuple):
    """How long events were on their way, in ms."""

    middle: int
    slow: int
    """All but the slowest twentieth were faster."""


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=5, help="alone, and beside the others")
    asked = parser.parse_args(given)
    verdict = Verdict("webhookfaults", asked.seed)
    with served_house() as (service, runtime), received(healthy) as [elsewhere]:
        faulty = (hanging, dripping, failing, huge, redirecting(elsewhere.url), breaking_off)
        with received(healthy, failing_once, *faulty) as receivers:
            market = Market(runtime, Client(service.port))
            check = Faults(market, receivers, verdict, random.Random(asked.seed))
            check.run(asked.seconds)
            verdict.require(elsewhere.calls == 0, f"{elsewhere.calls} calls followed a redirect")
        verdict.faults += audit(runtime)
    return verdict.closed()


class Faults:
    """One partner whose endpoints are healthy or not."""

    def __init__(
        self,
        market: Market,
        receivers: Sequence[Receiver],
        verdict: Verdict,
        chance: random.Random,
    ) -> None:
        """Register the healthy endpoint.

        Args:
            market: founds the partner.
            receivers: a healthy one, one that fails once, and the faulty ones.
            verdict: takes what is found.
            chance: orders the events' objects.
        """
        self._market = market
        self._runtime: Runtime = market.runtime
        self._healthy, self._late, *self._faulty = receivers
        self._verdict = verdict
        self._chance = chance
        self._bank: Bank = market.bank()
        market.listen(self._bank, self._healthy.url)
        self._told = 0

    def run(self, seconds: float) -> None:
        """Tell the partner for a time, alone and beside the others; then compare."""
        alone = self._lag("alone", seconds)
        before = self._told
        endpoints = self._register_others()
        beside = self._lag("beside faulty ones", seconds)
        self._compare_lags(alone, beside)
        wanted = self._told - before
        self._require_arrival("who failed once", lambda: len(self._late.taken) >= wanted)
        self._verdict.require(len(self._healthy.seen) == self._told, "the healthy one lacks some")
        self._compare_ways(endpoints, wanted)

    def _register_others(self) -> dict[UUID, Receiver]:
        """Register everybody else, and one that speaks no TLS where it says it does."""
        others = [self._late, *self._faulty]
        endpoints = {self._market.listen(self._bank, each.url).id: each for each in others}
        without_tls = self._faulty[0].url.replace("http:", "https:") + "/without-tls"
        endpoints[self._market.listen(self._bank, without_tls).id] = Receiver(hanging)
        return endpoints

    def _lag(self, when: str, seconds: float) -> Lag:
        """Tell the partner of something so many times a second, and return how long it took."""
        self._healthy.lags_s.clear()
        until = due = time.monotonic()
        until += seconds
        while due < until:
            self._tell()
            due += 1 / PER_S
            time.sleep(max(0.0, due - time.monotonic()))
        self._require_arrival(when, lambda: len(self._healthy.seen) >= self._told)
        ordered = sorted(self._healthy.lags_s)
        middle, slow = ordered[len(ordered) // 2], ordered[len(ordered) * 19 // 20]
        self._verdict.count(f"lag {when}, median ms", round(middle * 1000))
        self._verdict.count(f"lag {when}, p95 ms", round(slow * 1000))
        self._verdict.count(f"events {when}", len(ordered))
        return Lag(round(middle * 1000), round(slow * 1000))

    def _tell(self) -> None:
        object_id = f"{OFFER}_{self._chance.getrandbits(128):032x}"
        with self._runtime.database.raw_transaction() as connection:
            record_event(connection, self._bank.id, TYPE, object_id, "paused", 2)
        self._told += 1

    def _require_arrival(self, when: str, have_arrived: Callable[[], bool]) -> None:
        self._verdict.require(
            wait_until(have_arrived, ARRIVED_WITHIN_S), f"{when}: not everything arrived"
        )

    def _compare_lags(self, alone: Lag, beside: Lag) -> None:
        for name, before, now in zip(Lag._fields, alone, beside, strict=True):
            allowed = LAG_MOST * before + GRAIN_S * 1000
            self._verdict.require(
                now <= allowed, f"{name} lag: {now} ms beside faulty ones, alone {before} ms"
            )

    def _compare_ways(self, endpoints: dict[UUID, Receiver], wanted: int) -> None:
        """See that every event is on its way, or arrived where that was written down."""
        with self._runtime.database.raw_transaction() as connection:
            rows = connection.execute(WAYS, [self._bank.id]).fetchall()
        for endpoint_id, receiver in endpoints.items():
            states = {state: number for place, state, number in rows if place == endpoint_id}
            self._verdict.require(
                sum(states.values()) == wanted and not states.get("failed"),
                f"of {wanted} events {states} are on their way to {receiver.answer.__name__}",
            )
            delivered = states.get("delivered", 0)
            self._verdict.require(
                delivered <= len(receiver.taken),
                f"{delivered} arrived at {receiver.answer.__name__}, {len(receiver.taken)} did",
            )
            self._verdict.count("deliveries to others that wait", states.get("waiting", 0))


if __name__ == "__main__":
    sys.exit(main())
