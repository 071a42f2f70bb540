"""What a methodology version is: its formula, its conditions, and the limits that come with it."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Literal

import msgspec

from service.methodologies.reasons import Reason

Factors = Mapping[str, Fraction]
"""Values by the role they play in a formula, exactly; an optional role may be absent."""

Quantify = Callable[[Any], int]
"""From activity data to whole g CO2e, never negative."""

Check = Callable[[Any], Reason | None]
"""From activity data to why it gives nothing, or None."""

Reach = Literal["place", "place-or-nation", "province", "nation"]
"""Whose value counts for a place. `place`: the city's own or its province's. `place-or-nation`: the
same, and where neither has one, the national default that the methodology itself publishes.
`province`: the province's only, as for the grid. Nothing else is ever asked."""


class ActivityData(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Measured quantities of one act; a field that is not declared is refused."""


@dataclass(frozen=True, slots=True)
class FactorNeed:
    """A factor's part in a formula."""

    role: str
    key: str
    reach: Reach
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Cap:
    """How many activities of one citizen count in a day or month (Asia/Shanghai)."""

    period: Literal["day", "month"]
    source: str
    limit: int


@dataclass(frozen=True, slots=True)
class Plausibility:
    """Limits beyond which a record is not believed; None where no limit is set."""

    source: str
    max_speed_kmh: int | None = None
    max_distance_m: int | None = None
    max_duration_s: int | None = None
    max_power_w: int | None = None
    """Mean power over the reading's time."""


@dataclass(frozen=True, slots=True)
class OncePer:
    """What may count once only: the named field's content, in each month or for ever."""

    field: str
    period: Literal["month", "ever"]
    source: str
    numbered_by: Literal["world", "source"] = "world"
    """Who gives the number: every platform counts its own orders, and the same number of another
    platform is another order; an invoice is the same whoever reports it."""


def no_check(_factors: Factors) -> Check:
    """Every readable record of the methodology counts."""
    return lambda _data: None


@dataclass(frozen=True, slots=True)
class Methodology:
    """One published version of a rule; it is never edited, a new version is written beside it.

    Attributes:
        quantifier: given the factors, returns the function from activity data to grams.
        checker: given the factors, returns the function that says why data gives nothing.
        needs_one_of: optional roles of which at least one must have a value.
        certifies: False for what is recorded with zero grams; `weakness` then says why, in English
            and in Chinese.
        evidence: `signed` needs the operator's own record; `self_recorded` accepts the citizen's,
            certified by batch only.
        is_trip: takes part in the check that no two trips of a citizen overlap.
        excluded_by: behaviors of the same citizen that put her outside this methodology.
        uncertainty: as the sources state it, or "not stated".
    """

    code: str
    version: int
    behavior: str
    title_en: str
    title_zh: str
    formula: str
    conditions: tuple[str, ...]
    exclusions: tuple[str, ...]
    sources: tuple[str, ...]
    in_force_from: date
    data_type: type[ActivityData]
    quantifier: Callable[[Factors], Quantify]
    needs: tuple[FactorNeed, ...] = ()
    needs_one_of: tuple[str, ...] = ()
    checker: Callable[[Factors], Check] = no_check
    certifies: bool = True
    weakness: tuple[str, str] | None = None
    evidence: Literal["signed", "self_recorded"] = "signed"
    is_trip: bool = False
    plausibility: Plausibility | None = None
    caps: tuple[Cap, ...] = ()
    once: OncePer | None = None
    excluded_by: frozenset[str] = frozenset()
    uncertainty: str = "not stated"
    in_force_to: date | None = None
    replaces: str | None = None

    @property
    def name(self) -> str:
        """Code and version, as `metro_ride_v1`."""
        return f"{self.code}_v{self.version}"

    @property
    def once_period(self) -> Literal["month", "ever"] | None:
        """For how long a once-only item counts once."""
        return self.once.period if self.once else None

    def is_in_force(self, day: date) -> bool:
        """Whether acts of the day fall under this version."""
        return self.in_force_from <= day and (self.in_force_to is None or day < self.in_force_to)

    def once_key(self, data: ActivityData) -> str | None:
        """Return what may count only once per `once_period`; None where nothing is limited so."""
        if self.once is None:
            return None
        item = getattr(data, self.once.field)
        return None if item is None else f"{self.behavior}:{item}"


_EXCLUSION_CODES: Mapping[str, str] = {"household_pv": "pv-home-excluded"}


def exclusion_for(methodology: Methodology, citizen_behaviors: AbstractSet[str]) -> Reason | None:
    """Return why a citizen who also does `citizen_behaviors` is outside a methodology, or None."""
    for other in sorted(methodology.excluded_by & citizen_behaviors):
        return Reason(_EXCLUSION_CODES[other], {"behavior": methodology.behavior})
    return None
