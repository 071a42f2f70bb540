"""The days of the simulated city: everybody reports, and gets a verdict on every record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.demo.citizens import Citizen
from service.demo.client import Service
from service.demo.month import CITIZEN, Act
from service.demo.sources import SOURCES, Source


@dataclass(frozen=True, slots=True)
class Judged:
    """A record and the verdict on it."""

    act: Act
    verdict: str
    code: str | None
    points: int

    @property
    def outcome(self) -> str:
        """The verdict, or the code of a refusal."""
        return self.code or self.verdict if self.verdict == "refused" else self.verdict

    @property
    def is_as_expected(self) -> bool:
        """Whether the service decided as it should."""
        return self.outcome == self.act.expected


def play_day(
    service: Service,
    sources: dict[str, Source],
    people: Sequence[Citizen],
    acts: Sequence[Act],
) -> list[Judged]:
    """Report what happened on a day, source by source and then the citizens themselves."""
    judged: list[Judged] = []
    for role in SOURCES:
        reported = [act for act in acts if act.reporter == role]
        if reported:
            answer = sources[role].send(service, [act.line for act in reported])
            judged += _judged(reported, answer["items"])
    own = [act for act in acts if act.reporter == CITIZEN]
    return judged + [_one(act, people[act.citizen].record(service, act.record)) for act in own]


def _judged(acts: Sequence[Act], items: Sequence[dict[str, Any]]) -> Iterator[Judged]:
    """Put each item of a feed's answer beside the line that it is about."""
    for item in items:
        yield _one(acts[item["line"] - 1], item)


def _one(act: Act, item: dict[str, Any]) -> Judged:
    return Judged(act, item["verdict"], item.get("code"), item.get("points") or 0)
