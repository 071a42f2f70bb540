"""Redemptions as clients make them: step by step, each sent again until its outcome is known."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from checks.calling import Answer, Client, Unanswered
from checks.market import (
    Ask,
    Customer,
    OnOffer,
    capturing,
    code_of,
    declining,
    quoting,
    reserving,
    stepping,
    voiding,
)
from checks.operations import Misanswered
from checks.verdict import Verdict

THREADS: Final = 8
PAUSE_S: Final = 0.1
KNOWN_WITHIN_S: Final = 60.0
AGAIN_EVERY: Final = 10
"""One in so many acknowledged steps is sent again as well: the answer may not change."""
REFUSALS: Final = {
    "offer-quota-exhausted",
    "campaign-budget-exhausted",
    "person-limit-reached",
    "insufficient-points",
    "not-eligible",
}
"""What offers with limits and customers with few points may be told."""
MADE: Final = 201


@dataclass(slots=True)
class Story:
    """One redemption as its clients know it."""

    customer: Customer
    offered: OnOffer
    id: str = ""
    """None: it was refused."""
    records: list[str] = field(default_factory=list)
    """The kinds of its records, as far as they were acknowledged."""

    @property
    def takes(self) -> bool:
        """Whether it takes one of the offer."""
        return self.records[-1] in {"reservation", "submission", "capture"}

    @property
    def holds(self) -> bool:
        """Whether its points are held."""
        return self.takes and not self.is_burned

    @property
    def is_burned(self) -> bool:
        """Whether its points are gone."""
        return self.records[-1] == "capture" and self.offered.mode == "burn"


class Teller:
    """Tells stories for as long as it is on, from several threads."""

    def __init__(
        self,
        client: Client,
        verdict: Verdict,
        customers: Sequence[Customer],
        offers: Sequence[OnOffer],
        seed: int,
    ) -> None:
        """Tell of these customers and offers."""
        self._client = client
        self._verdict = verdict
        self._customers = customers
        self._offers = offers
        self._seed = seed
        self._phase = 0
        self._stopping = threading.Event()
        self.stories: list[Story] = []
        """Those that led to a redemption."""

    @contextmanager
    def on(self) -> Iterator[None]:
        """Tell for the length of the block; every story is told to its end."""
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

    def tell(self, chance: random.Random) -> Story:
        """Tell one story."""
        story = Story(chance.choice(self._customers), chance.choice(self._offers))
        quoted = self._known(quoting(story.customer, story.offered), chance)
        if quoted is None:
            return story
        submits = chance.random() < 0.5
        ask = reserving(story.customer, quoted.body["id"], submit=submits)
        reserved = self._known(ask, chance)
        if reserved is not None:
            story.id = reserved.body["id"]
            story.records += ["reservation", "submission"] if submits else ["reservation"]
            self.stories.append(story)
            self._go_on(story, chance)
        return story

    def _work(self, seed: str) -> None:
        chance = random.Random(seed)
        while not self._stopping.is_set():
            try:
                self.tell(chance)
            except Exception as error:  # noqa: BLE001  whatever reaches a caller is what is judged
                self._verdict.fault(f"{type(error).__name__}: {error}")
                return

    def _go_on(self, story: Story, chance: random.Random) -> None:
        """Submit what is only reserved, or void it; then let the partner end it, mostly."""
        if story.records == ["reservation"]:
            step, kind = chance.choice([("submissions", "submission"), ("voids", "void")])
            self._step(story, kind, stepping(story.customer.token, story.id, step, {}), chance)
        if story.records[-1] != "submission" or chance.random() < 0.1:
            return
        ends: dict[str, Callable[[OnOffer, str], Ask]] = {
            "capture": capturing,
            "decline": declining,
            "void": voiding,
        }
        [kind] = chance.choices(list(ends), [6, 1, 1])
        self._step(story, kind, ends[kind](story.offered, story.id), chance)

    def _step(self, story: Story, kind: str, ask: Ask, chance: random.Random) -> None:
        if self._known(ask, chance) is None:
            raise Misanswered(f"{ask.path} was refused")
        story.records.append(kind)

    def _known(self, ask: Ask, chance: random.Random) -> Answer | None:
        """Send until there is an answer; None: refused for a reason that is allowed."""
        answer = self._insisted(ask)
        if answer.status != MADE and code_of(answer) in REFUSALS:
            self._verdict.count(f"refused: {code_of(answer)}")
            return None
        if answer.status != MADE:
            raise Misanswered(f"{ask.path}: {answer.status} {answer.body}")
        self._verdict.count("acknowledged")
        if chance.randrange(AGAIN_EVERY) == 0:
            self._verdict.count("acknowledged, sent again")
            again = self._insisted(ask)
            self._verdict.require(
                again.body == answer.body, f"{ask.path}: {answer.body}, then {again.body}"
            )
        return answer

    def _insisted(self, ask: Ask) -> Answer:
        answer, was_unknown = until_known(lambda: ask.send(self._client))
        self._verdict.count("unknown, sent again", int(was_unknown))
        return answer


def until_known(send: Callable[[], Answer]) -> tuple[Answer, bool]:
    """Send until there is an answer; return it, and whether it was unknown for a while.

    Raises:
        Unanswered: there is none for a minute.
    """
    until = time.monotonic() + KNOWN_WITHIN_S
    was_unknown = False
    while True:
        try:
            return send(), was_unknown
        except Unanswered:
            if time.monotonic() > until:
                raise
            was_unknown = True
            time.sleep(PAUSE_S)


def counts(stories: Sequence[Story]) -> Counter[str]:
    """Count the stories by how they stand."""
    return Counter(f"redemptions at their {story.records[-1]}" for story in stories)
