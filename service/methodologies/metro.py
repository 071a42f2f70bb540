"""Riding the metro: per passenger-kilometre where a city published that, per trip in Guangzhou."""

from datetime import date

from service.methodologies.activity_data import Station, TripDistance
from service.methodologies.factors import cited
from service.methodologies.limits import believable_trip
from service.methodologies.methodology import (
    ActivityData,
    Cap,
    FactorNeed,
    Factors,
    Methodology,
    Quantify,
)

M_PER_KM = 1000
FIVE_A_DAY = (Cap(period="day", limit=5, source="; ".join(cited("S2", "S3"))),)
MAX_SPEED_KMH = 130


class MetroRide(ActivityData, frozen=True):
    """One metro ride.

    Attributes:
        distance_m: between entry and exit station, 1 to 200,000.
        entry_station: code or name of the station of entry.
        exit_station: code or name of the station of exit.
    """

    distance_m: TripDistance
    entry_station: Station | None = None
    exit_station: Station | None = None


def metro_ride_v1(factors: Factors) -> Quantify:
    """Reduction from riding the metro.

    reduction_g = distance_km × reduction per passenger-km, rounded down once.
    """
    numerator, denominator = (factors["reduction"] / M_PER_KM).as_integer_ratio()

    def reduction_g(ride: MetroRide) -> int:
        return ride.distance_m * numerator // denominator

    return reduction_g


def metro_trip_v1(factors: Factors) -> Quantify:
    """Reduction from one metro trip of any length: the published mean per trip, rounded down."""
    grams_per_trip = int(factors["reduction"])

    def reduction_g(_ride: MetroRide) -> int:
        return grams_per_trip

    return reduction_g


METRO_RIDE_V1 = Methodology(
    code="metro_ride",
    version=1,
    behavior="metro_ride",
    title_en="Riding the metro, by distance",
    title_zh="乘坐地铁（按里程）",
    formula="reduction_g = floor(distance_m / 1000 × metro_reduction)",
    conditions=(
        "Entry and exit are recorded by the operator (QR code or card), with the rider's consent.",
        "The city has published a reduction per passenger-kilometre.",
    ),
    exclusions=("A city without its own published number is not covered by another city's.",),
    sources=cited("S22", "S6", "S64"),
    in_force_from=date(2021, 12, 17),
    data_type=MetroRide,
    quantifier=metro_ride_v1,
    needs=(FactorNeed("reduction", "metro_reduction", "place"),),
    is_trip=True,
    plausibility=believable_trip(MAX_SPEED_KMH),
    caps=FIVE_A_DAY,
)

METRO_TRIP_V1 = Methodology(
    code="metro_trip",
    version=1,
    behavior="metro_ride",
    title_en="Riding the metro, by trip",
    title_zh="乘坐地铁（按次）",
    formula="reduction_g = floor(metro_trip_reduction), for each trip",
    conditions=(
        "Entry and exit are recorded by the operator (QR code or card), with the rider's consent.",
        "The city's number is a mean per trip; the distance serves the plausibility check only.",
    ),
    exclusions=(
        (
            "The substitution method of the same source (0.5419 kg per trip) is not used: "
            "its authors prefer the average method, which is also the lower."
        ),
    ),
    sources=cited("S69", "S64"),
    in_force_from=date(2018, 1, 1),
    data_type=MetroRide,
    quantifier=metro_trip_v1,
    needs=(FactorNeed("reduction", "metro_trip_reduction", "place"),),
    is_trip=True,
    plausibility=believable_trip(MAX_SPEED_KMH),
    caps=FIVE_A_DAY,
)
