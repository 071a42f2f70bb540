"""Driving a private electric vehicle, and riding a new-energy taxi or ride-hailing car."""

from datetime import date
from fractions import Fraction
from typing import Literal

from service.methodologies.activity_data import DriveDistance, Energy, TripDistance
from service.methodologies.factors import cited
from service.methodologies.limits import SCHEME_RULE, TWELVE_A_DAY, believable_trip
from service.methodologies.methodology import (
    ActivityData,
    Check,
    FactorNeed,
    Factors,
    Methodology,
    Plausibility,
    Quantify,
)
from service.methodologies.reasons import Reason

M_PER_KM = 1000


class EvDrive(ActivityData, frozen=True):
    """Driving one's own electric vehicle, by odometer, by charging session, or by both.

    Attributes:
        distance_m: from odometer or vehicle platform, 1 to 5,000,000.
        energy_wh: taken at the charging point for that driving, 1 to 1,000,000,000.
        fuel: of the car it replaces.
    """

    distance_m: DriveDistance | None = None
    energy_wh: Energy | None = None
    fuel: Literal["petrol", "diesel"] = "petrol"


class EvRide(ActivityData, frozen=True):
    """One ride in a new-energy taxi or ride-hailing car.

    Attributes:
        distance_m: of the order, 1 to 200,000.
    """

    distance_m: TripDistance


def ev_drive_v1(factors: Factors) -> Quantify:
    """Reduction from driving electrically instead of burning fuel.

    baseline = km × l/km × kg CO2/l; project = kWh × grid average; reduction_g = baseline − project,
    in grams, rounded down once, never below zero. A charging session alone gives the kilometres by
    kWh/km, a distance alone gives the kWh. Leakage has no term in the parts of the source read.
    """
    baseline_g_per_m = {
        fuel: factors[f"{fuel}_l_per_km"] * factors[f"{fuel}_kg_per_l"]
        for fuel in ("petrol", "diesel")
        if f"{fuel}_l_per_km" in factors
    }
    wh_per_m = factors.get("kwh_per_km")
    grid_g_per_wh = factors["grid"]

    def reduction_g(drive: EvDrive) -> int:
        saved_per_m = baseline_g_per_m.get(drive.fuel)
        distance_m, energy_wh = drive.distance_m, drive.energy_wh
        if saved_per_m is None or (distance_m is None and energy_wh is None):
            return 0
        if distance_m is not None and energy_wh is not None:
            grams = distance_m * saved_per_m - energy_wh * grid_g_per_wh
        elif wh_per_m is None:
            return 0
        elif distance_m is not None:
            grams = distance_m * (saved_per_m - wh_per_m * grid_g_per_wh)
        else:
            grams = Fraction(energy_wh or 0) * (saved_per_m / wh_per_m - grid_g_per_wh)
        return max(0, grams.numerator // grams.denominator)

    return reduction_g


def ev_drive_check_v1(factors: Factors) -> Check:
    """Name the first parameter or quantity that the record's own case of the formula lacks."""

    def missing_parameter(key: str) -> Reason:
        return Reason("parameter-missing", {"methodology": "ev_drive_v1", "parameter": key})

    missing_quantity = Reason(
        "quantity-missing", {"methodology": "ev_drive_v1", "quantity": "distance_m or energy_wh"}
    )

    def check(drive: EvDrive) -> Reason | None:
        if drive.distance_m is None and drive.energy_wh is None:
            return missing_quantity
        if f"{drive.fuel}_l_per_km" not in factors:
            return missing_parameter(f"{drive.fuel}_car_fuel_use")
        one_is_missing = drive.distance_m is None or drive.energy_wh is None
        if one_is_missing and "kwh_per_km" not in factors:
            return missing_parameter("ev_energy_use")
        return None

    return check


def ev_ride_v1(factors: Factors) -> Quantify:
    """Reduction from riding a new-energy taxi or ride-hailing car.

    reduction_g = distance_km × reduction per km, rounded down once.
    """
    numerator, denominator = (factors["reduction"] / M_PER_KM).as_integer_ratio()

    def reduction_g(ride: EvRide) -> int:
        return ride.distance_m * numerator // denominator

    return reduction_g


EV_DRIVE_V1 = Methodology(
    code="ev_drive",
    version=1,
    behavior="ev_drive",
    title_en="Driving a private electric vehicle",
    title_zh="驾驶私家电动汽车",
    formula=(
        "reduction_g = floor(max(0, (km × fuel_use × combustion − kWh × grid_average) × 1000)); "
        "where one is not measured: kWh = km × ev_energy_use, km = kWh / ev_energy_use"
    ),
    conditions=(
        "Any battery-electric or plug-in hybrid car, private or commercial.",
        (
            "Distance from the odometer or vehicle platform, or energy from a charging session; "
            "charging and driving of the same kilometres are claimed once."
        ),
        (
            "An authority has entered the fuel use of the car replaced and, where only one of "
            "distance and energy is measured, the energy use per kilometre."
        ),
        "The province has a published average grid factor in force on the day.",
    ),
    exclusions=(
        "Leakage: the source names it, the parts read give no term, and none is counted.",
        "Neither a regional nor the national grid factor stands in for a missing provincial one.",
    ),
    sources=cited("S66", "S72", "S99", "S98"),
    in_force_from=date(2024, 4, 12),
    data_type=EvDrive,
    quantifier=ev_drive_v1,
    checker=ev_drive_check_v1,
    needs=(
        FactorNeed("petrol_kg_per_l", "petrol_combustion", "nation"),
        FactorNeed("diesel_kg_per_l", "diesel_combustion", "nation"),
        FactorNeed("grid", "grid_average", "province"),
        FactorNeed("petrol_l_per_km", "petrol_car_fuel_use", "place-or-nation", optional=True),
        FactorNeed("diesel_l_per_km", "diesel_car_fuel_use", "place-or-nation", optional=True),
        FactorNeed("kwh_per_km", "ev_energy_use", "place-or-nation", optional=True),
    ),
    needs_one_of=("petrol_l_per_km", "diesel_l_per_km"),
    evidence="self_recorded",
    plausibility=Plausibility(source=SCHEME_RULE, max_speed_kmh=130),
    caps=TWELVE_A_DAY,
)

EV_RIDE_V1 = Methodology(
    code="ev_ride",
    version=1,
    behavior="ev_ride",
    title_en="Riding a new-energy taxi or ride-hailing car",
    title_zh="乘坐新能源出租车或网约车",
    formula="reduction_g = floor(distance_m / 1000 × ev_ride_reduction)",
    conditions=(
        "The order record of the operator.",
        "The car is a new-energy vehicle.",
        "The city has published a reduction per kilometre.",
    ),
    exclusions=("A city without its own published number is not covered by another city's.",),
    sources=cited("S73"),
    in_force_from=date(2023, 6, 5),
    data_type=EvRide,
    quantifier=ev_ride_v1,
    needs=(FactorNeed("reduction", "ev_ride_reduction", "place"),),
    is_trip=True,
    plausibility=believable_trip(max_speed_kmh=130),
    caps=TWELVE_A_DAY,
)
