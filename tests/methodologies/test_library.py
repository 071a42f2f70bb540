"""Finding the rule for an act, a place and a day, and what surrounds it."""

import re
from datetime import date

import msgspec
import pytest

from service.methodologies import (
    REASONS,
    BasisUnreadable,
    BehaviorUnknown,
    Library,
    MethodologyNotFound,
    Reason,
    RegionUnknown,
    exclusion_for,
    factor_views,
    impact_of,
    methodology_views,
    recompute,
)
from service.methodologies.factors import EnteredFactor

LIBRARY = Library.load()
TODAY = date(2026, 11, 2)
USABLE = {
    "metro_ride",
    "bus_ride",
    "shared_bike_ride",
    "shared_ebike_ride",
    "ev_drive",
    "ev_ride",
    "household_electricity",
    "household_pv",
    "waste_recycling",
    "no_cutlery_order",
    "hotel_no_disposables",
    "e_invoice",
    "e_statement",
    "e_bill",
    "online_ticket",
}


class TestBinding:
    def test_is_remembered(self) -> None:
        one = LIBRARY.bind("metro_ride", "440300", TODAY)

        assert LIBRARY.bind("metro_ride", "440300", TODAY) is one

    def test_rests_on_the_same_basis_until_a_number_changes(self) -> None:
        first = LIBRARY.bind("household_pv", "370000", date(2024, 12, 18)).basis
        second = LIBRARY.bind("household_pv", "370000", date(2024, 12, 19)).basis
        third = LIBRARY.bind("household_pv", "370000", date(2024, 12, 20)).basis

        assert first.digest == second.digest
        assert second.digest != third.digest

    def test_an_unknown_behavior_is_refused(self) -> None:
        with pytest.raises(BehaviorUnknown, match="metro_ride"):
            LIBRARY.bind("teleport", "440300", TODAY)

    def test_an_unknown_region_is_refused(self) -> None:
        with pytest.raises(RegionUnknown):
            LIBRARY.bind("metro_ride", "atlantis", TODAY)

    def test_a_behavior_has_one_data_type_everywhere(self) -> None:
        for behavior in LIBRARY.behaviors:
            types = {m.data_type for m in LIBRARY.methodologies if m.behavior == behavior}

            assert types == {LIBRARY.data_type_of(behavior)}

    def test_knows_every_behavior_that_the_scheme_calls_usable(self) -> None:
        certifying = {m.behavior for m in LIBRARY.methodologies if m.certifies}

        assert certifying >= USABLE

    @pytest.mark.parametrize("line", [b"{}", b'{"distance_m":0}', b'{"distance_m":200001}'])
    def test_data_out_of_bounds_is_refused(self, line: bytes) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(line, type=LIBRARY.data_type_of("metro_ride"))

    @pytest.mark.parametrize(
        "line",
        [
            b'{"distance_m":1,"speed":3}',
            b'{"distance_m":1.5}',
            b'{"distance_m":true}',
            b'{"distance_m":"1"}',
            b'{"distance_m":1,"entry_station":"\\u0000"}',
            b'{"distance_m":1,"entry_station":"a\\n"}',
        ],
    )
    def test_data_of_another_shape_is_refused(self, line: bytes) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(line, type=LIBRARY.data_type_of("metro_ride"))


class TestWhatCertifiesNothing:
    @pytest.mark.parametrize(
        "behavior", sorted({m.behavior for m in LIBRARY.methodologies if not m.certifies})
    )
    def test_a_weak_behavior_says_so_everywhere(self, behavior: str) -> None:
        for region in ("440300", "420100", "310000", "CN"):
            refusal = LIBRARY.bind(behavior, region, TODAY).refusal

            assert refusal is not None
            assert refusal.code == "methodology-weak"

    @pytest.mark.parametrize("behavior", ["ev_drive", "household_electricity"])
    def test_a_formula_without_its_parameter_says_which(self, behavior: str) -> None:
        refusal = LIBRARY.bind(behavior, "440300", TODAY).refusal

        assert refusal is not None
        assert refusal.code == "parameter-missing"
        assert refusal.params["parameter"]

    @pytest.mark.parametrize("material", ["paper", "textile", "metal", "glass", "other"])
    def test_a_material_without_a_strong_number_gives_nothing(self, material: str) -> None:
        binding = LIBRARY.bind("waste_recycling", "310000", TODAY)
        load = binding.data_type(mass_g=1_000_000, material=material)

        assert binding.quantify(load) == 0
        assert binding.refusal_for(load) is not None


class TestExclusion:
    @pytest.mark.parametrize("code", ["household_electricity", "household_demand_response"])
    def test_a_home_with_panels_is_outside_the_saving_methods(self, code: str) -> None:
        methodology = LIBRARY.methodology(code, 1)

        reason = exclusion_for(methodology, {"metro_ride", "household_pv"})

        assert reason is not None
        assert reason.code == "pv-home-excluded"

    def test_a_home_without_panels_is_not(self) -> None:
        methodology = LIBRARY.methodology("household_electricity", 1)

        assert exclusion_for(methodology, {"metro_ride"}) is None

    def test_panels_themselves_are_not(self) -> None:
        methodology = LIBRARY.methodology("household_pv", 1)

        assert exclusion_for(methodology, {"household_pv"}) is None


class TestLimits:
    def test_every_cap_limits_something_and_names_its_source(self) -> None:
        for methodology in LIBRARY.methodologies:
            for cap in methodology.caps:
                assert cap.limit > 0
                assert cap.source

    def test_every_trip_has_believable_limits(self) -> None:
        for methodology in LIBRARY.methodologies:
            if methodology.is_trip:
                assert methodology.plausibility is not None
                assert (methodology.plausibility.max_speed_kmh or 0) > 0
                assert methodology.plausibility.source

    @pytest.mark.parametrize(
        ("code", "data", "period"),
        [
            ("e_bill", {"bill_account": "77"}, "month"),
            ("e_invoice", {"document_id": "77"}, "ever"),
            ("no_cutlery_order", {"order_id": "77"}, "ever"),
        ],
    )
    def test_an_item_that_counts_once_has_a_key(
        self, code: str, data: dict[str, str], period: str
    ) -> None:
        methodology = LIBRARY.methodology(code, 1)

        assert methodology.once_key(methodology.data_type(**data)) == f"{code}:77"
        assert methodology.once_period == period

    def test_a_trip_has_none(self) -> None:
        methodology = LIBRARY.methodology("metro_ride", 1)

        assert methodology.once_key(methodology.data_type(distance_m=1)) is None
        assert methodology.once_period is None


class TestRecomputing:
    BASIS = LIBRARY.bind("metro_ride", "440300", TODAY).basis.as_dict()

    def test_uses_the_pinned_values(self) -> None:
        factors = [{**self.BASIS["factors"][0], "value": "10"}]

        assert recompute({**self.BASIS, "factors": factors}, {"distance_m": 8200}) == 82

    @pytest.mark.parametrize(
        ("change", "data"),
        [
            ({"methodology": "teleport"}, {"distance_m": 1}),
            ({"version": 99}, {"distance_m": 1}),
            ({"factors": []}, {"distance_m": 1}),
            ({"factors": [{"role": "reduction", "value": "NaN"}]}, {"distance_m": 1}),
            ({"factors": [{"role": "reduction", "value": "x"}]}, {"distance_m": 1}),
            ({"factors": None}, {"distance_m": 1}),
            ({}, {"distance_m": -1}),
            ({}, {}),
        ],
    )
    def test_refuses_what_does_not_fit(
        self, change: dict[str, object], data: dict[str, int]
    ) -> None:
        with pytest.raises(BasisUnreadable):
            recompute({**self.BASIS, **change}, data)


class TestTheImpactOfAnEntry:
    def test_names_who_gains_and_who_loses(self) -> None:
        lower_metro = EnteredFactor(
            entry_id="e1",
            key="metro_reduction",
            region="440300",
            unit="g_co2e/passenger_km",
            value="40",
            in_force_from=date(2026, 10, 1),
            source="invented for the test",
        )
        fuel_use = EnteredFactor(
            entry_id="e2",
            key="petrol_car_fuel_use",
            region="CN",
            unit="l/km",
            value="0.07",
            in_force_from=date(2026, 10, 1),
            source="invented for the test",
        )
        sample = [
            ("metro_ride", "440300", TODAY, {"distance_m": 10_000}),
            ("metro_ride", "440300", date(2026, 9, 30), {"distance_m": 10_000}),
            ("metro_ride", "420100", TODAY, {"distance_m": 10_000}),
            ("ev_drive", "440300", TODAY, {"distance_m": 20_000, "energy_wh": 3000}),
            ("shared_bike_ride", "440300", TODAY, {"distance_m": 1000}),
        ]

        report = impact_of(LIBRARY, Library.load([lower_metro, fuel_use]), sample)

        ev, metro, bike = report.behaviors
        assert (ev.gained, ev.lost, ev.before_g, ev.after_g) == (1, 0, 0, 1997)
        assert (metro.activities, metro.gained, metro.lost) == (3, 0, 1)
        assert (metro.before_g, metro.after_g) == (1720, 1652)
        assert (bike.before_g, bike.after_g) == (33, 33)
        assert report.changed == (ev, metro)
        assert msgspec.json.encode(report.as_dict())


class TestTheLibraryToRead:
    def test_shows_every_version_with_all_it_needs(self) -> None:
        views = methodology_views(LIBRARY, TODAY)

        assert [(v["code"], v["version"]) for v in views] == [
            (m.code, m.version) for m in LIBRARY.methodologies
        ]
        for view in views:
            assert view["formula"]
            assert view["title"]["zh"]
            assert view["sources"]
            assert view["conditions"]
            assert view["uncertainty"]
            assert view["activity_data"]["additionalProperties"] is False
        assert msgspec.json.encode(views)

    def test_shows_the_parameters_that_are_awaited(self) -> None:
        views = {v["code"]: v for v in methodology_views(LIBRARY, TODAY)}

        assert views["ev_drive"]["status"] == "awaiting-authority"
        assert "petrol_car_fuel_use" in views["ev_drive"]["parameters_awaited"]
        assert views["metro_ride"]["status"] == "certifying"
        assert views["metro_ride"]["regions"] == ["420100", "440300"]
        assert views["walk"]["status"] == "recorded-only"

    def test_shows_every_number_with_its_dates(self) -> None:
        views = factor_views(LIBRARY, TODAY)
        shandong = [
            (v["value"], v["in_force_from"], v["in_force_to"], v["status"])
            for v in views
            if v["key"] == "grid_average" and v["region"] == "370000"
        ]

        assert shandong == [
            ("0.6838", "2024-04-12", "2024-12-20", "superseded"),
            ("0.6410", "2024-12-20", None, "in-force"),
        ]
        assert sum(v["status"] == "awaiting-authority" for v in views) == 5
        assert msgspec.json.encode(views)

    def test_an_unknown_version_is_refused(self) -> None:
        with pytest.raises(MethodologyNotFound):
            LIBRARY.methodology("metro_ride", 2)

    def test_codes_and_versions_are_unique(self) -> None:
        names = [m.name for m in LIBRARY.methodologies]

        assert len(names) == len(set(names))


class TestReasons:
    @pytest.mark.parametrize("code", REASONS)
    def test_a_reason_has_a_sentence_in_both_languages(self, code: str) -> None:
        english, chinese = REASONS[code]["en"], REASONS[code]["zh"]

        assert english.endswith((".", "}"))
        assert re.search("[\u4e00-\u9fff]", chinese)

    def test_the_sentence_is_filled(self) -> None:
        for behavior in LIBRARY.behaviors:
            refusal = LIBRARY.bind(behavior, "630100", TODAY).refusal
            if refusal is not None:
                assert "{" not in refusal.sentence("en") + refusal.sentence("zh")

    def test_only_known_codes_are_given(self) -> None:
        reason = Reason("region-not-covered", {"behavior": "metro_ride", "region": "CN"})

        assert reason.sentence("en").startswith("No published methodology for metro_ride")
