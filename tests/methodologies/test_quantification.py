"""What holds for every act, whatever its numbers."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.methodologies import EnteredFactor, Library, recompute, regions

DAYS = st.dates(date(2015, 1, 1), date(2030, 12, 31))
PLACES = st.sampled_from(sorted(regions()))
DISTANCES = st.integers(1, 200_000)
TRIPS = (
    ("metro_ride", "440300"),
    ("metro_ride", "420100"),
    ("metro_ride", "440100"),
    ("bus_ride", "440300"),
    ("shared_bike_ride", "420100"),
    ("shared_bike_ride", "310000"),
    ("shared_ebike_ride", "500000"),
    ("ev_ride", "420100"),
)


def entered(key: str, unit: str, value: str) -> EnteredFactor:
    return EnteredFactor(
        entry_id=key,
        key=key,
        region="CN",
        unit=unit,
        value=value,
        in_force_from=date(2020, 1, 1),
        source="invented for the test",
    )


LIBRARY = Library.load(
    [
        entered("petrol_car_fuel_use", "l/km", "0.07"),
        entered("ev_energy_use", "kwh/km", "0.15"),
        entered("bus_default_distance", "m/ride", "2500"),
    ]
)
RECENT = date(2026, 11, 2)


IDENTIFIERS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
STATIONS = st.none() | st.sampled_from(["福田", "Futian", "0755"])
QUANTITIES: dict[str, st.SearchStrategy[Any]] = {
    "distance_m": DISTANCES,
    "energy_wh": st.integers(1, 1_000_000),
    "saved_energy_wh": st.integers(1, 1_000_000_000),
    "mass_g": st.integers(1, 1_000_000),
    "material": st.sampled_from(["takeaway_box", "paper", "textile", "glass", "other"]),
    "fuel": st.sampled_from(["petrol", "diesel"]),
    "days": st.integers(1, 31),
    "steps": st.integers(1, 200_000),
    "count": st.integers(1, 100),
    "entry_station": STATIONS,
    "exit_station": STATIONS,
    "order_id": IDENTIFIERS,
    "document_id": IDENTIFIERS,
    "bill_account": IDENTIFIERS,
}


@st.composite
def acts(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    behavior = draw(st.sampled_from(LIBRARY.behaviors))
    data = {
        field.name: draw(QUANTITIES[field.name])
        for field in msgspec.structs.fields(LIBRARY.data_type_of(behavior))
        if field.required or draw(st.booleans())
    }
    return behavior, data


@given(acts(), PLACES, DAYS)
def test_grams_are_whole_never_negative_and_recomputable(
    act: tuple[str, dict[str, Any]], place: str, day: date
) -> None:
    behavior, data = act

    binding = LIBRARY.bind(behavior, place, day)
    grams = binding.quantify(msgspec.convert(data, binding.data_type))

    assert type(grams) is int
    assert grams >= 0
    assert recompute(binding.basis.as_dict(), data) == grams


@given(acts(), PLACES, DAYS)
def test_an_act_with_a_reason_gives_nothing(
    act: tuple[str, dict[str, Any]], place: str, day: date
) -> None:
    behavior, data = act

    binding = LIBRARY.bind(behavior, place, day)
    converted = msgspec.convert(data, binding.data_type)

    if binding.refusal is not None:
        assert binding.refusal_for(converted) == binding.refusal
    if binding.refusal_for(converted) is not None:
        assert binding.quantify(converted) == 0


@pytest.mark.parametrize(("behavior", "region"), TRIPS)
@given(distances=st.tuples(DISTANCES, DISTANCES))
def test_a_longer_trip_never_gives_less(
    behavior: str, region: str, distances: tuple[int, int]
) -> None:
    binding = LIBRARY.bind(behavior, region, RECENT)
    shorter, longer = sorted(distances)

    assert binding.quantify(binding.data_type(distance_m=shorter)) <= binding.quantify(
        binding.data_type(distance_m=longer)
    )


@given(st.integers(1, 5_000_000), st.integers(1, 5_000_000))
def test_driving_further_on_the_same_energy_never_gives_less(one: int, other: int) -> None:
    binding = LIBRARY.bind("ev_drive", "440300", RECENT)
    shorter, longer = sorted((one, other))

    assert binding.quantify(
        binding.data_type(distance_m=shorter, energy_wh=100_000)
    ) <= binding.quantify(binding.data_type(distance_m=longer, energy_wh=100_000))


@given(DISTANCES, DISTANCES)
def test_cutting_a_ride_in_two_never_gains(first: int, second: int) -> None:
    binding = LIBRARY.bind("shared_bike_ride", "310000", RECENT)

    whole = binding.quantify(binding.data_type(distance_m=first + second))

    assert (
        binding.quantify(binding.data_type(distance_m=first))
        + binding.quantify(binding.data_type(distance_m=second))
        <= whole
    )
