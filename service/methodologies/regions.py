"""Places and the names people give them: GB/T 2260 codes, with each city's province and grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

from service.methodologies.errors import RegionUnknown, printable

Level = Literal["nation", "grid", "province", "city"]
NATION = "CN"


@dataclass(frozen=True, slots=True)
class Region:
    """A place that a factor or a citizen may belong to.

    Attributes:
        code: six digits of GB/T 2260; `CN` for the nation; `GRID-…` for a grid region.
        province: the province's code, of a province itself too; None above it.
        grid: the grid region, where its grouping is known.
        aliases: further names, accepted without regard to case.
    """

    code: str
    level: Level
    name_zh: str
    name_en: str
    province: str | None
    grid: str | None
    aliases: tuple[str, ...] = ()

    @property
    def within(self) -> tuple[str, ...]:
        """Its own code, then its province's: the places whose own values hold here."""
        if self.province is None or self.province == self.code:
            return (self.code,)
        return (self.code, self.province)


@cache
def regions() -> dict[str, Region]:
    """Every known region by its code."""
    text = (resources.files(__package__) / "regions.yaml").read_text(encoding="utf-8")
    return {region.code: region for region in _read(yaml.safe_load(text))}


def region_of(code: str) -> Region:
    """Return the region with exactly this code.

    Raises:
        RegionUnknown: no region has it.
    """
    found = regions().get(code)
    if found is None:
        raise _unknown(code)
    return found


def region_named(text: str) -> Region:
    """Return the region that a person means by a code, an ISO 3166-2 code, pinyin or Chinese.

    Raises:
        RegionUnknown: nothing of that name; the sentence lists what is accepted.
    """
    found = _by_name().get(_folded(text))
    if found is None:
        raise _unknown(text)
    return found


def _read(table: dict[str, Any]) -> Iterator[Region]:
    yield Region(NATION, "nation", "全国", "China", None, None, ("china", "全国"))
    for code, row in table["grids"].items():
        yield Region(code, "grid", row["zh"], row["en"], None, code)
    for code, row in table["provinces"].items():
        yield _place(code, "province", row, code, row.get("grid"))
    for code, row in table["cities"].items():
        province = f"{code[:2]}0000"
        yield _place(code, "city", row, province, table["provinces"][province].get("grid"))


def _place(code: str, level: Level, row: dict[str, Any], province: str, grid: str | None) -> Region:
    return Region(code, level, row["zh"], row["en"], province, grid, tuple(row["aliases"]))


@cache
def _by_name() -> dict[str, Region]:
    return {
        _folded(name): region
        for region in regions().values()
        if region.level != "grid"
        for name in (region.code, region.name_zh, region.name_en, *region.aliases)
    }


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " '’_")


def _unknown(text: str) -> RegionUnknown:
    provinces_and_cities = [r for r in regions().values() if r.level in {"province", "city"}]
    return RegionUnknown(
        "No region is called {region}. Accepted are GB/T 2260 codes, ISO 3166-2 codes such as "
        "CN-SH, pinyin and Chinese names of: {accepted}.",
        region=printable(text),
        accepted=", ".join(f"{r.code} {r.name_en} {r.name_zh}" for r in provinces_and_cities),
    )
