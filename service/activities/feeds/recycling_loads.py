"""Weighed recycling of whole districts: Austin's truck loads, New York's monthly tonnage.

Nobody's account stands on a truck, so these rows become no activity line. They are read as
weighed loads, counted, and left for community projects, which own sites and not accounts.
"""

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from service.activities.feeds import fields
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts
from service.activities.feeds.tables import Row, Table, UnusableRowError, recognised, rows_of

LOADS = Table("truck loads", ("load_id", "report_date", "load_type", "load_weight"))
TONNAGE = Table(
    "monthly tonnage",
    (
        "month",
        "borough",
        "communitydistrict",
        "papertonscollected",
        "mgptonscollected",
        "resorganicstons",
    ),
)
MATERIALS = ("paper", "metal-glass-plastic", "household-organics")

POUND_G = Fraction("453.59237")
"""Exact by definition: international yard and pound agreement, 1959."""
SHORT_TON_G = 2000 * POUND_G
HEAVIEST_LOAD_LB = 80_000
"""Gross weight of a truck on US interstates (23 U.S.C. 127): no load weighs more."""
HEAVIEST_MONTH_TONS = 100_000
"""For one district; a plausibility bound, some thirty times New York's largest."""

MONTH = re.compile(r"([0-9]{4}) / (0[1-9]|1[0-2])")


class WeighedLoad(NamedTuple):
    """A mass of one material; `record` is its ticket, or month and district."""

    record: str
    when: str
    material: str
    mass_g: int


def read(paths: Sequence[Path], counts: ReadCounts) -> Iterator[ActivityLine]:
    """Read and count all loads; no row has an account, so no line comes of them."""
    for _ in weighed_loads(paths, counts):
        pass
    yield from ()


def weighed_loads(paths: Sequence[Path], counts: ReadCounts) -> Iterator[WeighedLoad]:
    """Yield the loads of every usable row; a month's row has one for each material collected."""
    found = recognised(paths, (LOADS, TONNAGE))
    seen: dict[str, list[WeighedLoad]] = {}
    for table, loads_of in ((LOADS, _truck_load), (TONNAGE, _month)):
        for row in rows_of(found[table], table, counts):
            try:
                loads = loads_of(row)
                _refuse_repeated(loads, seen)
            except UnusableRowError as unusable:
                counts.drop(unusable.reason)
            else:
                counts.parsed_without_account += 1
                yield from loads


def _refuse_repeated(loads: list[WeighedLoad], seen: dict[str, list[WeighedLoad]]) -> None:
    """Let a record count once; the same one with other weights is a restatement, not a new load."""
    first = seen.setdefault(loads[0].record, loads)
    if first is loads:
        return
    raise UnusableRowError("duplicate-row" if first == loads else "restated-row")


def _truck_load(row: Row) -> list[WeighedLoad]:
    ticket, day, material, pounds = row
    mass_g = math.floor(fields.amount(pounds, "weight", HEAVIEST_LOAD_LB) * POUND_G)
    if mass_g == 0:
        raise UnusableRowError("weight-zero")
    record = fields.identifier(ticket, "record")
    return [WeighedLoad(record, fields.day(day), fields.identifier(material, "material"), mass_g)]


def _month(row: Row) -> list[WeighedLoad]:
    month, borough, district, *tons = row
    match = MONTH.fullmatch(month)
    if match is None:
        raise UnusableRowError("time-broken")
    when = f"{match[1]}-{match[2]}"
    place = f"{fields.identifier(borough, 'district')} {fields.identifier(district, 'district')}"
    collected = [(what, text) for what, text in zip(MATERIALS, tons, strict=True) if text]
    if not collected:  # blank means no service, not zero
        raise UnusableRowError("weight-missing")
    return [
        WeighedLoad(f"{when} {place}", when, what, _short_tons_g(text)) for what, text in collected
    ]


def _short_tons_g(text: str) -> int:
    return math.floor(fields.amount(text, "weight", HEAVIEST_MONTH_TONS) * SHORT_TON_G)


FEED = Feed(
    name="recycling-loads",
    description="Weighed loads of whole districts (Austin, New York): counted, of no account",
    behaviors=(),
    files=(LOADS, TONNAGE),
    read=read,
)
