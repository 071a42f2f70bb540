"""set-full: what was acknowledged is seen by every read that starts later, and never vanishes.

    python -m checks.set_full --seconds 15 --seed 1

Jepsen's set-full over HTTP on a real `carbon run`: writers send feeds, readers page through the
citizens' statements. An act is lost if no last read has it, stale if a read that began after its
acknowledgement lacks it, vanished if a read lacks what an earlier one had, doubled if a read has
it twice. The account's points must agree with the same bounds.
"""

import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

from checks.calling import Client, Unanswered
from checks.house import audit, served_house
from checks.town import RIDES_MOST, Town, feed_of, metro_ride
from checks.verdict import Verdict, arguments

CITIZENS = 600
WRITERS = 4
READERS = 4
LINES_MOST = 3
PAUSE_S = 0.01
"""Between two feeds of a writer, so that there is time to read."""
PAGE = 100
KINDS = ("lost", "stale", "never read", "vanished", "doubled")


@dataclass
class Element:
    """One acknowledged act."""

    acknowledged_at: float
    points: int
    seen_at: float | None = None
    """When the first read that has it ended."""


@dataclass
class Board:
    """Who has written what, and what was seen; shared by all threads."""

    elements: dict[UUID, dict[str, Element]] = field(default_factory=lambda: defaultdict(dict))
    """By citizen, by the 32 hexadecimal digits that activity and transfer have in common."""
    next_ride: Counter[UUID] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=15)
    asked = parser.parse_args(given)
    with served_house() as (service, runtime):
        verdict = Verdict("set-full", asked.seed)
        SetFull(Town(runtime, CITIZENS), Client(service.port), verdict).run(
            asked.seconds, asked.seed
        )
        verdict.faults += audit(runtime)
        return verdict.closed()


class SetFull:
    """Writers and readers of one town."""

    def __init__(self, town: Town, client: Client, verdict: Verdict) -> None:
        """Let nothing be written yet."""
        self._town = town
        self._client = client
        self._verdict = verdict
        self._board = Board()
        self._tokens = {each: town.token_of(each) for each in town.citizens.values()}

    def run(self, seconds: float, seed: int) -> None:
        """Write and read for a time, then read everything once more."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(WRITERS + READERS) as pool:
            seeds = [f"{seed}/{thread}" for thread in range(WRITERS + READERS)]
            parts = [self._write] * WRITERS + [self._read] * READERS
            for done in [
                pool.submit(part, random.Random(own), until)
                for part, own in zip(parts, seeds, strict=True)
            ]:
                done.result()
        self._read_for_the_last_time()
        for kind in KINDS:
            self._verdict.count(kind, 0)

    def _write(self, chance: random.Random, until: float) -> None:
        accounts = list(self._town.citizens)
        while time.monotonic() < until:
            chosen = chance.sample(accounts, chance.randint(1, LINES_MOST))
            lines = [line for account in chosen for line in self._next_line(account)]
            if lines:
                self._send(lines)
            time.sleep(PAUSE_S)

    def _next_line(self, account: str) -> list[dict[str, object]]:
        citizen_id = self._town.citizens[account]
        with self._board.guard:
            number = self._board.next_ride[citizen_id]
            self._board.next_ride[citizen_id] += 1
        return [metro_ride(account, number)] if number < RIDES_MOST else []

    def _send(self, lines: list[dict[str, object]]) -> None:
        try:
            answer = self._client.feed(self._town.source_token, feed_of(lines))
        except Unanswered as why:
            self._verdict.fault(f"a feed was not answered: {why}")
            return
        acknowledged_at = time.monotonic()
        for line, item in zip(lines, answer.body["items"], strict=True):
            if item["verdict"] != "certified":
                self._verdict.fault(f"a ride was not certified: {item}")
                continue
            citizen_id = self._town.citizens[str(line["account_ref"])]
            name = _digits(item["activity_id"])
            with self._board.guard:
                element = Element(acknowledged_at, item["points"])
                self._board.elements[citizen_id][name] = element
            self._verdict.count("acts acknowledged")

    def _read(self, chance: random.Random, until: float) -> None:
        citizens = list(self._town.citizens.values())
        while time.monotonic() < until:
            self._compare(chance.choice(citizens))

    def _read_for_the_last_time(self) -> None:
        for citizen_id in self._town.citizens.values():
            self._compare(citizen_id, is_last=True)

    def _compare(self, citizen_id: UUID, *, is_last: bool = False) -> None:
        began_at = time.monotonic()
        with self._board.guard:
            known = dict(self._board.elements[citizen_id])
        available = self._available(citizen_id)
        seen = self._statement(citizen_id)
        self._verdict.count("reads")
        self._judge_each(known, Counter(seen), began_at, is_last=is_last)
        self._note_seen(known, seen)
        least = sum(each.points for each in known.values() if each.acknowledged_at < began_at)
        if available < least or (is_last and available != least):
            self._verdict.fault(f"{available} points are shown, {least} were acknowledged")

    def _judge_each(
        self, known: dict[str, Element], seen: Counter[str], began_at: float, *, is_last: bool
    ) -> None:
        for name, element in known.items():
            if seen[name] > 1:
                self._count_fault("doubled", name)
            if seen[name]:
                continue
            if is_last:
                self._count_fault("lost" if element.seen_at else "never read", name)
            elif element.seen_at is not None and element.seen_at < began_at:
                self._count_fault("vanished", name)
            elif element.acknowledged_at < began_at:
                self._count_fault("stale", name)
        if is_last and seen.keys() - known.keys():
            self._verdict.fault("a statement has what nobody was told")

    def _note_seen(self, known: dict[str, Element], seen: list[str]) -> None:
        ended_at = time.monotonic()
        with self._board.guard:
            for element in (known[name] for name in seen if name in known):
                element.seen_at = min(element.seen_at or ended_at, ended_at)

    def _count_fault(self, kind: str, name: str) -> None:
        self._verdict.count(kind)
        self._verdict.fault(f"{kind}: {name}")

    def _available(self, citizen_id: UUID) -> int:
        answer = self._client.get("/v1/me/account", self._tokens[citizen_id])
        return int(answer.body["points"]["available"])

    def _statement(self, citizen_id: UUID) -> list[str]:
        """Return what every page of a citizen's statement shows."""
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            path = f"/v1/me/transfers?limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
            answer = self._client.get(path, self._tokens[citizen_id])
            seen += [_digits(item["id"]) for item in answer.body["items"]]
            cursor = answer.body["next"]
        return seen


def _digits(public: str) -> str:
    """An issue's transfer has its activity's id, behind another prefix."""
    return public.partition("_")[2]


if __name__ == "__main__":
    sys.exit(main())
