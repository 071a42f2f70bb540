"""Riding a pure-electric city bus, by the distance recorded or the default an authority entered."""

from datetime import date

from service.methodologies.activity_data import Station, TripDistance
from service.methodologies.factors import cited
from service.methodologies.limits import TWELVE_A_DAY, believable_trip
from service.methodologies.methodology import (
    ActivityData,
    Check,
    FactorNeed,
    Factors,
    Methodology,
    Quantify,
)
from service.methodologies.reasons import Reason

M_PER_KM = 1000


class BusRide(ActivityData, frozen=True):
    """One bus ride.

    Attributes:
        distance_m: between boarding and alighting, 1 to 200,000; None where alighting is not
            recorded.
        entry_station: code or name of the stop of boarding.
        exit_station: code or name of the stop of alighting.
    """

    distance_m: TripDistance | None = None
    entry_station: Station | None = None
    exit_station: Station | None = None


def bus_ride_v1(factors: Factors) -> Quantify:
    """Reduction from riding a pure-electric bus.

    reduction_g = distance_km × reduction per passenger-km, rounded down once. A ride without a
    recorded distance counts the entered default, or nothing where none is entered.
    """
    per_m = factors["reduction"] / M_PER_KM
    numerator, denominator = per_m.as_integer_ratio()
    default_g = int(per_m * factors["default_distance_m"]) if "default_distance_m" in factors else 0

    def reduction_g(ride: BusRide) -> int:
        if ride.distance_m is None:
            return default_g
        return ride.distance_m * numerator // denominator

    return reduction_g


def bus_ride_check_v1(factors: Factors) -> Check:
    """A ride without a distance needs the default distance."""
    has_default = "default_distance_m" in factors
    missing = Reason(
        "parameter-missing", {"methodology": "bus_ride_v1", "parameter": "bus_default_distance"}
    )

    def check(ride: BusRide) -> Reason | None:
        return None if has_default or ride.distance_m is not None else missing

    return check


BUS_RIDE_V1 = Methodology(
    code="bus_ride",
    version=1,
    behavior="bus_ride",
    title_en="Riding a pure-electric city bus",
    title_zh="乘坐纯电动公交车",
    formula="reduction_g = floor((distance_m or bus_default_distance) / 1000 × bus_reduction)",
    conditions=(
        "Boarding is recorded by the operator (QR code or card), with the rider's consent.",
        "The bus is purely electric.",
        "The city has published a reduction per passenger-kilometre.",
    ),
    exclusions=(
        (
            "A ride without a recorded distance gives nothing until an authority has entered "
            "bus_default_distance."
        ),
        "A city without its own published number is not covered by another city's.",
    ),
    sources=cited("S6", "S63"),
    in_force_from=date(2021, 12, 17),
    data_type=BusRide,
    quantifier=bus_ride_v1,
    checker=bus_ride_check_v1,
    needs=(
        FactorNeed("reduction", "bus_reduction", "place"),
        FactorNeed("default_distance_m", "bus_default_distance", "place-or-nation", optional=True),
    ),
    is_trip=True,
    plausibility=believable_trip(max_speed_kmh=90),
    caps=TWELVE_A_DAY,
)
