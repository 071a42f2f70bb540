"""Every number has a unit, a place, a day, a source and a grade, and none is invented."""

import csv
import os
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest
import yaml

from service.methodologies import EnteredFactor, FactorEntryInvalid, Library, regions
from service.methodologies.factors import FactorVersion, shipped_factors, source_texts

EVERY_VALUE = [version for factor in shipped_factors().values() for version, _ in factor.versions()]
FIRST_PUBLICATION = date(2024, 4, 12)
GRADE = re.compile(r"[ABCD](/[ABCD])?")


def factor_files() -> list[str]:
    folder = resources.files("service.methodologies") / "factors"
    return [
        file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".yaml") and file.name != "sources.yaml"
    ]


@pytest.mark.parametrize("version", EVERY_VALUE, ids=lambda version: version.version_id)
def test_a_number_carries_all_it_needs(version: FactorVersion) -> None:
    assert Decimal(version.value) > 0
    assert version.value == str(Decimal(version.value))
    assert version.unit
    assert version.region in regions()
    assert type(version.in_force_from) is date
    assert version.sources
    assert all(version.sources)
    assert GRADE.fullmatch(version.grade)
    assert version.mark in {None, "derived", "weak"}
    assert version.uncertainty


@pytest.mark.parametrize("text", factor_files(), ids=lambda text: text[2:40])
def test_a_number_is_written_as_a_decimal_string(text: str) -> None:
    for entry in yaml.safe_load(text).values():
        for rows in entry.get("values", {}).values():
            assert all(type(row["value"]) is str for row in rows.values())


def test_a_factor_has_values_or_says_why_not() -> None:
    for factor in shipped_factors().values():
        assert bool(factor.values) != bool(factor.awaiting), factor.key


def test_what_no_source_gives_awaits_an_authority() -> None:
    awaited = {factor.key for factor in shipped_factors().values() if factor.awaiting}

    assert awaited == {
        "bus_default_distance",
        "petrol_car_fuel_use",
        "diesel_car_fuel_use",
        "ev_energy_use",
        "household_electricity_baseline",
    }


def test_no_methodology_may_use_a_weak_number() -> None:
    weak = {version.key for version in EVERY_VALUE if version.mark == "weak"}
    used = {need.key for m in Library.load().methodologies for need in m.needs}

    assert weak
    assert not weak & used


def test_a_weak_value_is_passed_over_even_where_a_methodology_asks_for_it() -> None:
    factors = dict(shipped_factors())
    metro = factors["metro_reduction"]
    shenzhen = replace(metro.values["440300"][0], mark="weak")
    factors["metro_reduction"] = replace(metro, values={"440300": (shenzhen,)})

    binding = Library(factors).bind("metro_ride", "440300", date(2026, 11, 2))

    assert binding.refusal is not None


def test_every_source_is_cited() -> None:
    cited = {text for version in EVERY_VALUE for text in version.sources}
    cited |= {text for m in Library.load().methodologies for text in m.sources}

    assert set(source_texts().values()) == cited


class TestTheGridFactors:
    def test_hold_from_each_publication_to_the_next(self) -> None:
        shanghai = shipped_factors()["grid_average"]
        in_force = [
            shanghai.in_force("310000", day)
            for day in (
                date(2024, 4, 12),
                date(2024, 12, 19),
                date(2024, 12, 20),
                date(2025, 12, 30),
                date(2025, 12, 31),
                date(2029, 1, 1),
            )
        ]

        values = [version.value if version else None for version in in_force]

        assert values == ["0.5834", "0.5834", "0.5849", "0.5849", "0.5737", "0.5737"]

    def test_are_not_in_force_before_the_first_publication(self) -> None:
        grid = shipped_factors()["grid_average"]

        before = [grid.in_force(place, date(2024, 4, 11)) for place in grid.values]

        assert set(before) == {None}
        assert min(v.in_force_from for v, _ in grid.versions()) == FIRST_PUBLICATION

    def test_of_2022_stay_in_force_where_2023_is_not_sourced(self) -> None:
        grid = shipped_factors()["grid_average"]

        shandong = grid.in_force("370000", date(2026, 11, 2))

        assert shandong is not None
        assert (shandong.value, shandong.year) == ("0.6410", 2022)

    @pytest.mark.parametrize("behavior", ["household_pv", "ev_drive", "household_electricity"])
    def test_are_never_taken_from_the_region_or_the_nation(self, behavior: str) -> None:
        library = Library.load(
            [
                entry(key="petrol_car_fuel_use", unit="l/km", value="0.07"),
                entry(
                    key="household_electricity_baseline",
                    unit="kwh/household_day",
                    value="8",
                    region="510000",
                ),
            ]
        )

        binding = library.bind(behavior, "510100", date(2026, 11, 2))

        assert binding.refusal is not None
        assert binding.refusal.code == "region-not-covered"

    def test_agree_with_the_table_of_provinces(self) -> None:
        table = rows_of("province.csv")
        names = {r.name_zh: r for r in regions().values() if r.level == "province"}
        grid = shipped_factors()["grid_average"]

        checked = 0
        for row in table:
            code = next(r.code for name, r in names.items() if name.startswith(row["province"]))
            for version in grid.values.get(code, ()):
                if version.year in {2021, 2022}:
                    assert Decimal(version.value) == Decimal(row[f"factor{version.year}"])
                    checked += 1

        assert checked == 21

    def test_agree_with_the_table_of_regions(self) -> None:
        codes = {r.name_zh: r.code for r in regions().values() if r.level == "grid"}
        grid = shipped_factors()["grid_average"]

        for row in rows_of("region.csv"):
            for version in grid.values[codes[row["region"]]]:
                if version.year in {2021, 2022}:
                    # The table is in t/kWh under the same label: a thousand times smaller.
                    assert Decimal(version.value) == 1000 * Decimal(row[f"factor{version.year}"])


class TestEnteringAFactor:
    def test_lets_the_methodology_certify(self) -> None:
        day, data = date(2026, 11, 2), {"distance_m": 20_000, "energy_wh": 3000}
        before = Library.load().bind("ev_drive", "440300", day)
        after = Library.load([entry()]).bind("ev_drive", "440300", day)

        assert before.quantify(before.data_type(**data)) == 0
        assert after.quantify(after.data_type(**data)) > 0
        assert "petrol_car_fuel_use/CN/2026-01-01/e1" in {f.version_id for f in after.basis.factors}

    def test_leaves_other_libraries_alone(self) -> None:
        Library.load([entry()])

        binding = Library.load().bind("ev_drive", "440300", date(2026, 11, 2))

        assert binding.refusal is not None

    def test_counts_from_its_day_only(self) -> None:
        library = Library.load([entry()])

        binding = library.bind("ev_drive", "440300", date(2025, 12, 31))

        assert binding.refusal is not None
        assert binding.refusal.code == "parameter-missing"

    def test_a_city_counts_before_its_province_and_the_province_before_the_nation(self) -> None:
        used = []
        for places in (("CN",), ("CN", "440000"), ("CN", "440000", "440300")):
            library = Library.load(
                [entry(entry_id=f"e{n}", region=place) for n, place in enumerate(places)]
            )
            basis = library.bind("ev_drive", "440300", date(2026, 11, 2)).basis
            used += [f.region for f in basis.factors if f.key == "petrol_car_fuel_use"]

        assert used == ["CN", "440000", "440300"]

    @pytest.mark.parametrize(
        "change",
        [
            {"key": "no_such_factor"},
            {"region": "990000"},
            {"region": "shenzhen"},
            {"unit": "l/100km"},
            {"value": "0"},
            {"value": "-1"},
            {"value": "NaN"},
            {"value": "Infinity"},
            {"value": "1e3"},
            {"value": "seven"},
            {"value": "٧"},
            {"value": "0.07\ud800"},
            {"source": "  "},
        ],
        ids=str,
    )
    def test_is_refused_when_it_does_not_fit(self, change: dict[str, str]) -> None:
        with pytest.raises(FactorEntryInvalid) as refusal:
            Library.load([replace(entry(), **change)])  # type: ignore[arg-type]  # texts only

        assert str(refusal.value).encode()

    def test_is_refused_on_a_day_that_already_has_a_value(self) -> None:
        shipped = entry(
            key="metro_reduction",
            region="440300",
            unit="g_co2e/passenger_km",
            value="50",
            in_force_from=date(2021, 12, 17),
        )

        for entries in ([shipped], [entry(), entry(entry_id="e2", value="0.08")]):
            with pytest.raises(FactorEntryInvalid):
                Library.load(entries)


def entry(
    *,
    entry_id: str = "e1",
    key: str = "petrol_car_fuel_use",
    region: str = "CN",
    unit: str = "l/km",
    value: str = "0.07",
    in_force_from: date = date(2026, 1, 1),
    source: str = "invented for the test",
) -> EnteredFactor:
    return EnteredFactor(
        entry_id=entry_id,
        key=key,
        region=region,
        unit=unit,
        value=value,
        in_force_from=in_force_from,
        source=source,
    )


def rows_of(name: str) -> list[dict[str, str]]:
    beside = Path(__file__).resolve().parents[3] / "shared"
    file = Path(os.environ.get("CARBON_SHARED", beside)) / "data" / "factors_cn_grid" / name
    if not file.exists():
        pytest.skip(f"the records beside the repository are absent: {file.name}")
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
