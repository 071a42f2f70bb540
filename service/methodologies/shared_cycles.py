"""Riding a shared bicycle or a shared electric bicycle, by the operator's trip record."""

from datetime import date

from service.methodologies.activity_data import TripDistance
from service.methodologies.factors import cited
from service.methodologies.limits import TWELVE_A_DAY, believable_trip
from service.methodologies.methodology import (
    ActivityData,
    FactorNeed,
    Factors,
    Methodology,
    Quantify,
)

M_PER_KM = 1000


class SharedCycleRide(ActivityData, frozen=True):
    """One ride on a shared bicycle or shared electric bicycle.

    Attributes:
        distance_m: between unlocking and locking, 1 to 200,000.
    """

    distance_m: TripDistance


def shared_bike_ride_v1(factors: Factors) -> Quantify:
    """Reduction from riding a shared bicycle.

    reduction_g = distance_km × reduction per km, rounded down once.
    """
    numerator, denominator = (factors["reduction"] / M_PER_KM).as_integer_ratio()

    def reduction_g(ride: SharedCycleRide) -> int:
        return ride.distance_m * numerator // denominator

    return reduction_g


def shared_ebike_ride_v1(factors: Factors) -> Quantify:
    """Reduction from riding a shared electric bicycle, its charging already deducted.

    reduction_g = distance_km × net reduction per km, rounded down once.
    """
    numerator, denominator = (factors["reduction"] / M_PER_KM).as_integer_ratio()

    def reduction_g(ride: SharedCycleRide) -> int:
        return ride.distance_m * numerator // denominator

    return reduction_g


SHARED_BIKE_RIDE_V1 = Methodology(
    code="shared_bike_ride",
    version=1,
    behavior="shared_bike_ride",
    title_en="Riding a shared bicycle",
    title_zh="骑行共享单车",
    formula="reduction_g = floor(distance_m / 1000 × shared_bike_reduction)",
    conditions=(
        "The operator's own trip record.",
        "The rider has authorised the operator to hand over the trip and to file for her.",
        "The city's published number counts; elsewhere the operator's reviewed national default.",
    ),
    exclusions=("The 2017 claim that every ride replaces a car (220.8 g/km) is not used.",),
    sources=cited("S22", "S67", "S73", "S29"),
    in_force_from=date(2022, 7, 21),
    data_type=SharedCycleRide,
    quantifier=shared_bike_ride_v1,
    needs=(FactorNeed("reduction", "shared_bike_reduction", "place-or-nation"),),
    is_trip=True,
    plausibility=believable_trip(max_speed_kmh=25),
    caps=TWELVE_A_DAY,
)

SHARED_EBIKE_RIDE_V1 = Methodology(
    code="shared_ebike_ride",
    version=1,
    behavior="shared_ebike_ride",
    title_en="Riding a shared electric bicycle",
    title_zh="骑行共享电单车",
    formula="reduction_g = floor(distance_m / 1000 × shared_ebike_reduction)",
    conditions=(
        "The operator's own trip record.",
        "The rider has authorised the operator to hand over the trip and to file for her.",
        "The city's published number counts; elsewhere the operator's reviewed national default.",
    ),
    exclusions=(),
    sources=cited("S70", "S67", "S29"),
    in_force_from=date(2022, 7, 21),
    data_type=SharedCycleRide,
    quantifier=shared_ebike_ride_v1,
    needs=(FactorNeed("reduction", "shared_ebike_reduction", "place-or-nation"),),
    is_trip=True,
    plausibility=believable_trip(max_speed_kmh=28),
    caps=TWELVE_A_DAY,
)
