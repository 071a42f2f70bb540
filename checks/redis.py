"""redis: Valkey killed and emptied under load changes no point; only soft limits forget.

    python -m checks.redis --rounds 5 --seed 1

The mixed load runs against a real `carbon run` while Valkey is killed with kill -9, or emptied with
FLUSHALL. No request may fail, readiness may not change, a one-time code may still be asked for, and
every answer is compared with the books.
"""

import json
import random
import sys
import time
from collections.abc import Sequence
from typing import Final

import redis

from checks.calling import JSON, Client
from checks.comparing import differences, resolve
from checks.house import WITHOUT_REDEMPTIONS, Service, audit, served_house
from checks.load import RIDERS, WALLETS, Load, MixedLoad
from checks.processes import kill, wait_until, words_of
from checks.town import Town
from checks.verdict import Verdict, arguments
from service.runtime import Runtime

LOAD_S: Final = 1.5
BACK_WITHIN_S: Final = 15.0
SLOWEST_MS: Final = 2_000


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=5, help="of each kind")
    asked = parser.parse_args(given)
    verdict = Verdict("redis", asked.seed)
    with served_house() as (service, runtime):
        Forgetting(service, runtime, verdict, asked.seed).run(asked.rounds)
    return verdict.closed()


class Forgetting:
    """One service under load whose Valkey comes and goes."""

    def __init__(self, service: Service, runtime: Runtime, verdict: Verdict, seed: int) -> None:
        """Prepare the load."""
        self._service = service
        self._runtime = runtime
        self._verdict = verdict
        self._chance = random.Random(seed)
        self._client = Client(service.port)
        requests = MixedLoad(Town(runtime, WALLETS + RIDERS), self._client)
        self._load = Load(requests, seed)
        self._load.send(requests.endowment)

    def run(self, rounds: int) -> None:
        """Kill and empty so many times, then compare."""
        with self._load.on():
            for _ in range(rounds):
                self._forget_once()
        unanswered = sum(each.was_unknown for each in self._load.operations)
        self._verdict.count("requests", len(self._load.operations))
        self._verdict.require(unanswered == 0, f"{unanswered} requests were not answered")
        resolve(self._load.operations, self._verdict)
        with self._runtime.database.raw_transaction() as connection:
            found = differences(connection, self._load.operations)
        self._verdict.count("missing", found.missing)
        self._verdict.count("doubled", found.doubled)
        self._verdict.faults += found.sentences
        self._verdict.faults += audit(self._runtime, besides=WITHOUT_REDEMPTIONS)

    def _forget_once(self) -> None:
        time.sleep(LOAD_S)
        self._runtime.redis.flushall()
        self._verdict.count("emptied")
        self._ask_for_code("emptied")
        time.sleep(LOAD_S)
        kill([self._valkey()])
        self._verdict.count("killed")
        self._ask_for_code("killed")
        self._verdict.require(self._service.is_ready(), "not ready without Valkey")
        self._verdict.require(wait_until(self._is_back, BACK_WITHIN_S), "Valkey stays away")

    def _ask_for_code(self, when: str) -> None:
        """Ask for a one-time code: it is limited by PostgreSQL, so it needs no Valkey."""
        phone = f"+86139{self._chance.randrange(10**8):08d}"
        began_at = time.monotonic()
        answer = self._client.post("/v1/auth/otp", "", json.dumps({"phone": phone}).encode(), JSON)
        took_ms = round((time.monotonic() - began_at) * 1000)
        self._verdict.most("slowest one-time code, ms", took_ms)
        self._verdict.require(
            answer.status == 202 and took_ms <= SLOWEST_MS,
            f"a one-time code, Valkey {when}: {answer.status} after {took_ms} ms",
        )

    def _valkey(self) -> int:
        pid = int((self._service.home / "valkey" / "valkey.pid").read_text())
        assert "valkey" in words_of(pid)
        return pid

    def _is_back(self) -> bool:
        try:
            return bool(self._runtime.redis.ping())
        except redis.RedisError:
            return False


if __name__ == "__main__":
    sys.exit(main())
