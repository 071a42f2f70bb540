"""Electricity from a home's own photovoltaic panels, in place of electricity from the grid."""

from datetime import date

from service.methodologies.activity_data import Energy
from service.methodologies.factors import cited
from service.methodologies.methodology import (
    ActivityData,
    FactorNeed,
    Factors,
    Methodology,
    Plausibility,
    Quantify,
)


class PvGeneration(ActivityData, frozen=True):
    """What the panels of one home generated in the time of the record.

    Attributes:
        energy_wh: at the settlement meter, 1 to 1,000,000,000.
    """

    energy_wh: Energy


def household_pv_v1(factors: Factors) -> Quantify:
    """Reduction from generating with a home's own panels, by a city's own published number.

    reduction_g = energy_kWh × reduction per kWh × 1000 g/kg, rounded down once.
    """
    # kg per kWh and g per Wh are the same number.
    numerator, denominator = factors["reduction"].as_integer_ratio()

    def reduction_g(generation: PvGeneration) -> int:
        return generation.energy_wh * numerator // denominator

    return reduction_g


def household_pv_grid_v1(factors: Factors) -> Quantify:
    """Reduction from generating with a home's own panels, by the province's average grid factor.

    reduction_g = energy_kWh × grid average × 1000 g/kg, rounded down once.
    """
    # kg per kWh and g per Wh are the same number.
    numerator, denominator = factors["grid"].as_integer_ratio()

    def reduction_g(generation: PvGeneration) -> int:
        return generation.energy_wh * numerator // denominator

    return reduction_g


AT_MOST_ONE_MEGAWATT = Plausibility(
    source="Shanghai's methodology admits plants of at most 1 MW: "
    + "; ".join(cited("S12", "S80")),
    max_power_w=1_000_000,
)
"""More energy than such a plant gives in the time of the reading is not believed."""

HOUSEHOLD_PV_V1 = Methodology(
    code="household_pv",
    version=1,
    behavior="household_pv",
    title_en="Home photovoltaics, by the city's methodology",
    title_zh="户用光伏（本市方法学）",
    formula="reduction_g = floor(energy_wh × household_pv_reduction)",
    conditions=(
        (
            "Readings of the settlement meter; the owner's own report is accepted, as Guangdong's "
            "officials answered for photovoltaics, and certified by batch."
        ),
        "At most 1 MW, and at most 25 years since connection to the grid.",
        "The owner is not a firm of the emissions trading system.",
        "Never registered in another voluntary scheme or for green certificates.",
    ),
    exclusions=("The grid average is not used where the city has published its own number.",),
    sources=cited("S12", "S80", "S81"),
    in_force_from=date(2024, 9, 2),
    data_type=PvGeneration,
    quantifier=household_pv_v1,
    needs=(FactorNeed("reduction", "household_pv_reduction", "place"),),
    evidence="self_recorded",
    plausibility=AT_MOST_ONE_MEGAWATT,
)

HOUSEHOLD_PV_GRID_V1 = Methodology(
    code="household_pv_grid",
    version=1,
    behavior="household_pv",
    title_en="Home photovoltaics, by the province's grid average",
    title_zh="户用光伏（省级电网平均因子）",
    formula="reduction_g = floor(energy_wh × grid_average of the province)",
    conditions=(
        (
            "Readings of the settlement meter; the owner's own report is accepted, as Guangdong's "
            "officials answered for photovoltaics, and certified by batch."
        ),
        "At most 1 MW, and at most 25 years since connection to the grid.",
        "The owner is not a firm of the emissions trading system.",
        "Never registered in another voluntary scheme or for green certificates.",
        "The province has a published average factor in force on the day.",
    ),
    exclusions=(
        "Neither a regional nor the national grid factor stands in for a missing provincial one.",
    ),
    sources=cited("S81", "S80", "S24"),
    in_force_from=date(2024, 4, 12),
    data_type=PvGeneration,
    quantifier=household_pv_grid_v1,
    needs=(FactorNeed("grid", "grid_average", "province"),),
    evidence="self_recorded",
    plausibility=AT_MOST_ONE_MEGAWATT,
)
