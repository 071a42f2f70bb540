"""Emission factors as dated, sourced data: shipped with the library or entered by an authority."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

from service.methodologies.errors import FactorEntryInvalid, printable
from service.methodologies.regions import regions
from service.units import exact_ratio

Status = Literal["in-force", "superseded", "not-yet-in-force", "awaiting-authority"]

_DECIMAL = re.compile(r"(0|[1-9]\d{0,8})(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class FactorVersion:
    """One number, for one place, from one day on.

    Attributes:
        key: which factor.
        region: code of the place the source speaks about.
        unit: of the value, as the source gives it.
        value: decimal text exactly as published.
        in_force_from: first day, Asia/Shanghai.
        sources: full text of each source, with its grade.
        grade: A law or standard, B report, C copy, D lifted from public code; two where they mix.
        mark: `derived` is arithmetic on sourced numbers; `weak` certifies nothing.
        uncertainty: as the source states it, or "not stated".
        entered: the entry's id where an authority entered the number; None for a shipped one.
    """

    key: str
    region: str
    unit: str
    value: str
    in_force_from: date
    sources: tuple[str, ...]
    grade: str
    mark: Literal["derived", "weak"] | None
    uncertainty: str
    year: int | None = None
    note: str | None = None
    entered: str | None = None

    @property
    def version_id(self) -> str:
        """Name of this version, stable for ever."""
        suffix = "" if self.entered is None else f"/{self.entered}"
        return f"{self.key}/{self.region}/{self.in_force_from.isoformat()}{suffix}"

    @property
    def ratio(self) -> Fraction:
        """The value, exactly."""
        return exact_ratio(self.value)


@dataclass(frozen=True, slots=True)
class EnteredFactor:
    """A number an authority enters, with its source, for a factor this library declares.

    Args:
        entry_id: name of the entry in the caller's books.
        key: a declared factor.
        region: code of the place it holds for; `CN` for the nation.
        unit: must be the declared unit, said again so that nobody mistakes it.
        value: decimal text, greater than zero.
        in_force_from: first day, Asia/Shanghai.
        source: document, edition, table.
        grade: as in FactorVersion.
        uncertainty: as the source states it.
    """

    entry_id: str
    key: str
    region: str
    unit: str
    value: str
    in_force_from: date
    source: str
    grade: str = "A"
    uncertainty: str = "not stated"


@dataclass(frozen=True, slots=True)
class Factor:
    """A declared factor and its values, each place's in order of date.

    Attributes:
        awaiting: why no source gives a number; None where one does.
    """

    key: str
    description: str
    unit: str
    uncertainty: str
    awaiting: str | None
    values: Mapping[str, tuple[FactorVersion, ...]]

    def in_force(self, region: str, day: date) -> FactorVersion | None:
        """Return the place's own value on the day; no other place is asked."""
        versions = self.values.get(region, ())
        position = bisect_right(versions, day, key=lambda version: version.in_force_from)
        return versions[position - 1] if position else None

    def versions(self) -> Iterator[tuple[FactorVersion, date | None]]:
        """Every value with the day on which the next one replaces it."""
        for versions in self.values.values():
            ends = [version.in_force_from for version in versions[1:]]
            yield from zip(versions, [*ends, None], strict=True)

    def with_versions(self, more: Iterable[FactorVersion]) -> "Factor":
        """Return this factor with further values, in order of date."""
        values = {region: list(versions) for region, versions in self.values.items()}
        for version in more:
            values.setdefault(version.region, []).append(version)
        return Factor(
            self.key,
            self.description,
            self.unit,
            self.uncertainty,
            self.awaiting,
            {region: _in_order(versions) for region, versions in values.items()},
        )


@cache
def source_texts() -> Mapping[str, str]:
    """What each source tag of the factor files stands for."""
    folder = resources.files(__package__) / "factors"
    texts: dict[str, str] = yaml.safe_load((folder / "sources.yaml").read_text(encoding="utf-8"))
    return texts


def cited(*tags: str) -> tuple[str, ...]:
    """Return the full text of sources, with their grades."""
    return tuple(source_texts()[tag] for tag in tags)


@cache
def shipped_factors() -> Mapping[str, Factor]:
    """Read the factors that come with the library."""
    folder = resources.files(__package__) / "factors"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".yaml"))
    declared: dict[str, Factor] = {}
    for name in files:
        if name != "sources.yaml":
            table = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
            declared.update((key, _factor(key, entry)) for key, entry in table.items())
    return declared


def with_entries(
    factors: Mapping[str, Factor], entered: Iterable[EnteredFactor]
) -> Mapping[str, Factor]:
    """Return the factors together with what authorities entered.

    Raises:
        FactorEntryInvalid: an entry names no declared factor or region, another unit, no positive
            decimal number, no source, or a day on which the place already has a value.
    """
    grown = dict(factors)
    for entry in entered:
        version = _entered_version(factors, entry)
        factor = grown[entry.key]
        _refuse_second_value(factor, version)
        grown[entry.key] = factor.with_versions([version])
    return grown


def _factor(key: str, entry: Mapping[str, Any]) -> Factor:
    return Factor(
        key=key,
        description=entry["description"],
        unit=entry["unit"],
        uncertainty=entry["uncertainty"],
        awaiting=entry.get("awaiting"),
        values={
            region: _in_order(
                _shipped_version(key, entry, region, day, row) for day, row in rows.items()
            )
            for region, rows in entry.get("values", {}).items()
        },
    )


def _shipped_version(
    key: str, entry: Mapping[str, Any], region: str, day: date, row: Mapping[str, Any]
) -> FactorVersion:
    return FactorVersion(
        key=key,
        region=region,
        unit=entry["unit"],
        value=row["value"],
        in_force_from=day,
        sources=cited(*row["sources"]),
        grade=row["grade"],
        mark=row.get("mark"),
        uncertainty=entry["uncertainty"],
        year=row.get("year"),
        note=row.get("note"),
    )


def _in_order(versions: Iterable[FactorVersion]) -> tuple[FactorVersion, ...]:
    return tuple(sorted(versions, key=lambda version: version.in_force_from))


def _entered_version(factors: Mapping[str, Factor], entry: EnteredFactor) -> FactorVersion:
    factor = factors.get(entry.key)
    if factor is None:
        raise FactorEntryInvalid("No factor is called {key}.", key=printable(entry.key))
    if entry.region not in regions():
        raise FactorEntryInvalid("No region has the code {region}.", region=printable(entry.region))
    if entry.unit != factor.unit:
        raise FactorEntryInvalid(
            "The unit of {key} is {unit}, not {given}.",
            key=entry.key,
            unit=factor.unit,
            given=printable(entry.unit),
        )
    if not _DECIMAL.fullmatch(entry.value) or exact_ratio(entry.value) <= 0:
        raise FactorEntryInvalid(
            "The value {value} is not a plain decimal number greater than zero.",
            value=printable(entry.value),
        )
    if not entry.source.strip():
        raise FactorEntryInvalid("A factor needs the document it is taken from.")
    return FactorVersion(
        key=entry.key,
        region=entry.region,
        unit=entry.unit,
        value=entry.value,
        in_force_from=entry.in_force_from,
        sources=(entry.source,),
        grade=entry.grade,
        mark=None,
        uncertainty=entry.uncertainty,
        entered=entry.entry_id,
    )


def _refuse_second_value(factor: Factor, version: FactorVersion) -> None:
    taken = {known.in_force_from for known in factor.values.get(version.region, ())}
    if version.in_force_from in taken:
        raise FactorEntryInvalid(
            "{key} already has a value for {region} from {day}; it is never replaced.",
            key=version.key,
            region=version.region,
            day=version.in_force_from.isoformat(),
        )
