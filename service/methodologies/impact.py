"""Who gains and who loses when a number is entered: the same acts counted before and after."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import msgspec

from service.methodologies.library import Library

SampledAct = tuple[str, str, date, Mapping[str, Any]]
"""Behavior, region code, day, activity data as plain JSON values."""


@dataclass(slots=True)
class BehaviorImpact:
    """What changes for the sampled acts of one behavior.

    Attributes:
        activities: sampled; of them `gained` get more grams afterwards, `lost` get fewer.
        before_g, after_g: sums of whole grams.
        methodologies: versions that apply to any of them, before or after.
    """

    behavior: str
    activities: int = 0
    gained: int = 0
    lost: int = 0
    before_g: int = 0
    after_g: int = 0
    methodologies: set[str] = field(default_factory=set)

    def add(self, before_g: int, after_g: int, methodologies: Iterable[str]) -> None:
        """Count one act."""
        self.activities += 1
        self.gained += after_g > before_g
        self.lost += after_g < before_g
        self.before_g += before_g
        self.after_g += after_g
        self.methodologies.update(methodologies)


@dataclass(frozen=True, slots=True)
class ImpactReport:
    """The impact on every sampled behavior, by name."""

    behaviors: tuple[BehaviorImpact, ...]

    @property
    def changed(self) -> tuple[BehaviorImpact, ...]:
        """Only those of which an act gets other grams than before."""
        return tuple(impact for impact in self.behaviors if impact.gained or impact.lost)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "behaviors": [
                {**asdict(impact), "methodologies": sorted(impact.methodologies)}
                for impact in self.behaviors
            ]
        }


def impact_of(before: Library, after: Library, sample: Iterable[SampledAct]) -> ImpactReport:
    """Count a sample of recorded acts under two libraries.

    Args:
        before: the library in use.
        after: the same with the entry under review.
        sample: acts as recorded.
    """
    impacts: dict[str, BehaviorImpact] = {}
    for behavior, region, day, data in sample:
        old, new = before.bind(behavior, region, day), after.bind(behavior, region, day)
        impact = impacts.setdefault(behavior, BehaviorImpact(behavior))
        impact.add(
            old.quantify(msgspec.convert(dict(data), old.data_type)),
            new.quantify(msgspec.convert(dict(data), new.data_type)),
            (old.methodology.name, new.methodology.name),
        )
    return ImpactReport(tuple(impacts[behavior] for behavior in sorted(impacts)))
