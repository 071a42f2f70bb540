"""The library as plain data, for everyone to read: every rule, every number and its source."""

from dataclasses import asdict
from datetime import date
from inspect import cleandoc
from typing import Any

import msgspec

from service.methodologies.factors import Factor, FactorVersion, Status
from service.methodologies.library import Library
from service.methodologies.methodology import ActivityData, Methodology
from service.methodologies.regions import regions


def methodology_views(library: Library, on: date) -> list[dict[str, Any]]:
    """Return every published version as it stands on a day."""
    return [methodology_view(library, methodology, on) for methodology in library.methodologies]


def methodology_view(library: Library, methodology: Methodology, on: date) -> dict[str, Any]:
    """Return one published version with everything that a reader needs to apply it."""
    regions_covered = _regions_covered(library, methodology, on)
    awaited = [
        need.key
        for need in methodology.needs
        if library.factors[need.key].awaiting and not library.factors[need.key].values
    ]
    return {
        "code": methodology.code,
        "version": methodology.version,
        "behavior": methodology.behavior,
        "title": {"en": methodology.title_en, "zh": methodology.title_zh},
        "status": _methodology_status(methodology, on, certifying=bool(regions_covered)),
        "formula": methodology.formula,
        "conditions": list(methodology.conditions),
        "exclusions": list(methodology.exclusions),
        "excluded_by": sorted(methodology.excluded_by),
        "evidence": methodology.evidence,
        "is_trip": methodology.is_trip,
        "plausibility": asdict(methodology.plausibility) if methodology.plausibility else None,
        "caps": [asdict(cap) for cap in methodology.caps],
        "once_per": asdict(methodology.once) if methodology.once else None,
        "rounding": "whole grams, rounded down once per activity",
        "uncertainty": methodology.uncertainty,
        "regions": regions_covered,
        "factors": [asdict(need) for need in methodology.needs],
        "parameters_awaited": awaited,
        "activity_data": activity_data_schema(methodology.data_type),
        "sources": list(methodology.sources),
        "in_force_from": methodology.in_force_from.isoformat(),
        "in_force_to": methodology.in_force_to.isoformat() if methodology.in_force_to else None,
        "replaces": methodology.replaces,
    }


def factor_views(library: Library, on: date) -> list[dict[str, Any]]:
    """Return every factor value, and a line for each factor that no source gives a number for."""
    return [view for factor in library.factors.values() for view in _factor_lines(factor, on)]


def _factor_lines(factor: Factor, on: date) -> list[dict[str, Any]]:
    if not factor.values:
        return [_awaited_line(factor)]
    return [_value_line(factor, version, until, on) for version, until in factor.versions()]


def _value_line(
    factor: Factor, version: FactorVersion, until: date | None, on: date
) -> dict[str, Any]:
    return {
        "version_id": version.version_id,
        "key": factor.key,
        "description": factor.description,
        "unit": version.unit,
        "region": version.region,
        "value": version.value,
        "year": version.year,
        "in_force_from": version.in_force_from.isoformat(),
        "in_force_to": until.isoformat() if until else None,
        "status": _factor_status(version, until, on),
        "sources": list(version.sources),
        "grade": version.grade,
        "mark": version.mark,
        "uncertainty": version.uncertainty,
        "note": version.note,
        "entered": version.entered,
    }


def _awaited_line(factor: Factor) -> dict[str, Any]:
    return {
        "version_id": None,
        "key": factor.key,
        "description": factor.description,
        "unit": factor.unit,
        "region": None,
        "value": None,
        "year": None,
        "in_force_from": None,
        "in_force_to": None,
        "status": "awaiting-authority",
        "sources": [],
        "grade": None,
        "mark": None,
        "uncertainty": factor.uncertainty,
        "note": factor.awaiting,
        "entered": None,
    }


def _factor_status(version: FactorVersion, until: date | None, on: date) -> Status:
    if on < version.in_force_from:
        return "not-yet-in-force"
    return "superseded" if until is not None and until <= on else "in-force"


def activity_data_schema(data_type: type[ActivityData]) -> dict[str, Any]:
    """Return the JSON Schema of activity data, its description without the margin of the source."""
    schema: dict[str, Any] = msgspec.json.schema(data_type)["$defs"][data_type.__name__]
    return {**schema, "description": cleandoc(data_type.__doc__ or "")}


def _methodology_status(methodology: Methodology, on: date, *, certifying: bool) -> str:
    if not methodology.is_in_force(on):
        return "not-in-force"
    if not methodology.certifies:
        return "recorded-only"
    return "certifying" if certifying else "awaiting-authority"


def _regions_covered(library: Library, methodology: Methodology, on: date) -> list[str]:
    """The provinces and cities where an act of the day could certify."""
    return [
        region.code
        for region in regions().values()
        if region.level in {"province", "city"}
        and library.resolve(methodology, region, on).refusal is None
    ]
