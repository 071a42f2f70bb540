"""The methodology library: which rule and which numbers hold for an act, a place and a day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from service.methodologies.basis import Basis, FactorRef
from service.methodologies.errors import BehaviorUnknown, MethodologyNotFound, printable
from service.methodologies.factors import (
    EnteredFactor,
    Factor,
    FactorVersion,
    shipped_factors,
    with_entries,
)
from service.methodologies.methodology import (
    ActivityData,
    Check,
    FactorNeed,
    Methodology,
    Quantify,
)
from service.methodologies.reasons import Reason
from service.methodologies.regions import NATION, Region, region_of
from service.methodologies.registry import METHODOLOGIES

BINDINGS_KEPT = 16_384
"""Bindings remembered: behaviors × places × the few days that late records reach back."""

_MOST_TELLING_FIRST = (
    "parameter-missing",
    "factor-not-in-force",
    "methodology-weak",
    "region-not-covered",
)


@dataclass(frozen=True, slots=True)
class Binding:
    """A methodology made ready for one place and day.

    Attributes:
        refusal: why nothing of this class is certified here and now, or None.
        quantify: from activity data to whole g CO2e; 0 wherever `refusal_for` gives a reason.
        refusal_for: from activity data to why this record gives nothing, or None.
    """

    methodology: Methodology
    basis: Basis
    refusal: Reason | None
    data_type: type[ActivityData]
    quantify: Quantify
    refusal_for: Check


@dataclass(frozen=True, slots=True)
class Resolution:
    """A methodology with the numbers found for it, or why they were not."""

    methodology: Methodology
    found: Mapping[FactorNeed, FactorVersion]
    refusal: Reason | None


class Library:
    """Shipped and entered knowledge together; never changes once loaded."""

    def __init__(self, factors: Mapping[str, Factor]) -> None:
        self.factors = factors
        self._of_behavior: dict[str, list[Methodology]] = {}
        for methodology in METHODOLOGIES:
            self._of_behavior.setdefault(methodology.behavior, []).append(methodology)
        self._remembered = lru_cache(maxsize=BINDINGS_KEPT)(self._bind)

    @classmethod
    def load(cls, entered: Iterable[EnteredFactor] = ()) -> "Library":
        """Read the shipped library and add what authorities entered.

        Raises:
            FactorEntryInvalid: an entry does not fit; see `with_entries`.
        """
        return cls(with_entries(shipped_factors(), entered))

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Every behavior that can be recorded."""
        return tuple(self._of_behavior)

    @property
    def methodologies(self) -> tuple[Methodology, ...]:
        """Every published version."""
        return METHODOLOGIES

    def methodology(self, code: str, version: int) -> Methodology:
        """Return one published version.

        Raises:
            MethodologyNotFound: there is no such code or version.
        """
        for methodology in METHODOLOGIES:
            if (methodology.code, methodology.version) == (code, version):
                return methodology
        raise MethodologyNotFound(
            "There is no methodology {code} version {version}.",
            code=printable(code),
            version=version,
        )

    def data_type_of(self, behavior: str) -> type[ActivityData]:
        """Return what the activity data of a behavior looks like, in every place and version.

        Raises:
            BehaviorUnknown: the library has no such behavior.
        """
        return self._candidates(behavior)[0].data_type

    def bind(self, behavior: str, region_code: str, day: date) -> Binding:
        """Return the methodology for an act of this behavior, in this place, on this day.

        A behavior that gives nothing there is bound too: its binding says why.

        Args:
            behavior: a name of `behaviors`.
            region_code: the exact code of a region; see `regions.region_named` for other names.
            day: Asia/Shanghai.

        Raises:
            BehaviorUnknown: the library has no such behavior.
            RegionUnknown: no region has the code.
        """
        return self._remembered(behavior, region_code, day)

    def resolve(self, methodology: Methodology, region: Region, day: date) -> Resolution:
        """Find the numbers of one methodology for a place and day."""
        if not methodology.is_in_force(day):
            return Resolution(methodology, {}, _not_in_force(methodology, day))
        if not methodology.certifies:
            return Resolution(methodology, {}, _weak(methodology))
        found: dict[FactorNeed, FactorVersion] = {}
        for need in methodology.needs:
            version = self._value(need, region, day)
            if version is not None:
                found[need] = version
            elif not need.optional:
                return Resolution(methodology, {}, self._gap(methodology, need, region, day))
        return Resolution(methodology, found, _none_of_several(methodology, found))

    def _bind(self, behavior: str, region_code: str, day: date) -> Binding:
        region = region_of(region_code)
        candidates = self._candidates(behavior)
        in_force = [m for m in candidates if m.is_in_force(day)] or candidates[:1]
        resolutions = [self.resolve(methodology, region, day) for methodology in in_force]
        return _binding(_best(resolutions), region)

    def _candidates(self, behavior: str) -> list[Methodology]:
        candidates = self._of_behavior.get(behavior)
        if candidates is None:
            raise BehaviorUnknown(
                "No behavior is called {behavior}; known are {known}.",
                behavior=printable(behavior),
                known=", ".join(self._of_behavior),
            )
        return candidates

    def _value(self, need: FactorNeed, region: Region, day: date) -> FactorVersion | None:
        factor = self.factors[need.key]
        for place in places_asked(need, region):
            version = factor.in_force(place, day)
            if version is not None and version.mark != "weak":
                return version
        return None

    def _gap(self, methodology: Methodology, need: FactorNeed, region: Region, day: date) -> Reason:
        factor = self.factors[need.key]
        if any(factor.values.get(place) for place in places_asked(need, region)):
            return Reason(
                "factor-not-in-force",
                {"factor": need.key, "region": region.code, "day": day.isoformat()},
            )
        if factor.awaiting is not None:
            return Reason(
                "parameter-missing", {"methodology": methodology.name, "parameter": need.key}
            )
        return Reason(
            "region-not-covered", {"behavior": methodology.behavior, "region": region.code}
        )


def places_asked(need: FactorNeed, region: Region) -> tuple[str, ...]:
    """Return whose values count for a place, the nearest first; nobody else is asked."""
    if need.reach == "nation":
        return (NATION,)
    if need.reach == "province":
        return (region.province,) if region.province else ()
    return region.within if need.reach == "place" else (*region.within, NATION)


def _best(resolutions: list[Resolution]) -> Resolution:
    """Prefer the first that certifies; of refusals alone, the one that tells the caller most."""
    for resolution in resolutions:
        if resolution.refusal is None:
            return resolution
    return min(resolutions, key=_telling)


def _telling(resolution: Resolution) -> int:
    code = resolution.refusal.code if resolution.refusal else ""
    return _MOST_TELLING_FIRST.index(code) if code in _MOST_TELLING_FIRST else 0


def _binding(resolution: Resolution, region: Region) -> Binding:
    methodology, refusal = resolution.methodology, resolution.refusal
    values = {need.role: version.ratio for need, version in resolution.found.items()}
    return Binding(
        methodology=methodology,
        basis=_basis(resolution, region),
        refusal=refusal,
        data_type=methodology.data_type,
        quantify=methodology.quantifier(values) if refusal is None else _no_grams,
        refusal_for=methodology.checker(values) if refusal is None else lambda _data: refusal,
    )


def _basis(resolution: Resolution, region: Region) -> Basis:
    return Basis(
        methodology=resolution.methodology.code,
        version=resolution.methodology.version,
        region=region.code,
        factors=tuple(
            FactorRef(
                role=need.role,
                key=version.key,
                region=version.region,
                version_id=version.version_id,
                value=version.value,
                unit=version.unit,
            )
            for need, version in resolution.found.items()
        ),
        refusal=resolution.refusal.code if resolution.refusal else None,
    )


def _no_grams(_data: ActivityData) -> int:
    return 0


def _not_in_force(methodology: Methodology, day: date) -> Reason:
    return Reason(
        "methodology-not-in-force",
        {"behavior": methodology.behavior, "day": day.isoformat()},
    )


def _none_of_several(
    methodology: Methodology, found: Mapping[FactorNeed, FactorVersion]
) -> Reason | None:
    """Refuse a methodology that has no value for any of the roles of which it needs one."""
    wanted = [need for need in methodology.needs if need.role in methodology.needs_one_of]
    if not wanted or any(need in found for need in wanted):
        return None
    parameters = ", ".join(need.key for need in wanted)
    return Reason("parameter-missing", {"methodology": methodology.name, "parameter": parameters})


def _weak(methodology: Methodology) -> Reason:
    why, why_zh = methodology.weakness or ("", "")
    return Reason(
        "methodology-weak", {"behavior": methodology.behavior, "why": why, "why_zh": why_zh}
    )
