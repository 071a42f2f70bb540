"""Using less electricity at home: below the baseline, or when a demand response is called."""

from datetime import date

from service.methodologies.activity_data import Days, Energy, Identifier
from service.methodologies.factors import cited
from service.methodologies.methodology import (
    ActivityData,
    Check,
    FactorNeed,
    Factors,
    Methodology,
    OncePer,
    Quantify,
)
from service.methodologies.reasons import Reason

WH_PER_KWH = 1000


class HouseholdElectricity(ActivityData, frozen=True):
    """The metered use of one household over whole days.

    Attributes:
        energy_wh: used in those days, 1 to 1,000,000,000.
        days: that the reading covers, 1 to 31; nothing is certified without.
        bill_account: the household's account at the utility; nothing is certified without.
    """

    energy_wh: Energy
    days: Days | None = None
    bill_account: Identifier | None = None


class DemandResponse(ActivityData, frozen=True):
    """What one household did not draw when a demand response was called.

    Attributes:
        saved_energy_wh: as the utility settled it, 1 to 1,000,000,000.
        bill_account: the household's account at the utility.
    """

    saved_energy_wh: Energy
    bill_account: Identifier


def household_electricity_v1(factors: Factors) -> Quantify:
    """Reduction from using less electricity than the place's household baseline.

    reduction_g = (baseline_kWh_per_day × days − used_kWh) × grid average × 1000 g/kg, rounded down
    once, never below zero.
    """
    grid_g_per_wh = factors["grid"]
    baseline_g_per_day = factors["baseline_kwh_per_day"] * WH_PER_KWH * grid_g_per_wh

    def reduction_g(use: HouseholdElectricity) -> int:
        if use.days is None or use.bill_account is None:
            return 0
        grams = baseline_g_per_day * use.days - grid_g_per_wh * use.energy_wh
        return max(0, grams.numerator // grams.denominator)

    return reduction_g


def household_electricity_check_v1(_factors: Factors) -> Check:
    """A reading counts with its days, and once a month for an account that it names."""
    missing = {
        quantity: Reason(
            "quantity-missing", {"methodology": "household_electricity_v1", "quantity": quantity}
        )
        for quantity in ("days", "bill_account")
    }

    def check(use: HouseholdElectricity) -> Reason | None:
        if use.days is None:
            return missing["days"]
        return missing["bill_account"] if use.bill_account is None else None

    return check


def household_demand_response_v1(factors: Factors) -> Quantify:
    """Reduction from not drawing electricity when a demand response is called.

    reduction_g = saved_kWh × reduction per kWh × 1000 g/kg, rounded down once.
    """
    # kg per kWh and g per Wh are the same number.
    numerator, denominator = factors["reduction"].as_integer_ratio()

    def reduction_g(response: DemandResponse) -> int:
        return response.saved_energy_wh * numerator // denominator

    return reduction_g


HOUSEHOLD_ELECTRICITY_V1 = Methodology(
    code="household_electricity",
    version=1,
    behavior="household_electricity",
    title_en="Using less electricity at home than the baseline",
    title_zh="居民节约用电",
    formula=(
        "reduction_g = floor(max(0, (household_electricity_baseline × days − energy_wh / 1000) "
        "× grid_average × 1000))"
    ),
    conditions=(
        "The payer is registered in her own name with the utility and has agreed to take part.",
        "An authority has entered the place's household baseline for the season.",
        "The province has a published average grid factor in force on the day.",
    ),
    exclusions=(
        "Homes with their own photovoltaics.",
        "Users who reach the third price tier.",
        (
            "Use above the baseline: the source then compares with the household's own seven-day "
            "mean, which needs daily readings that are not kept; this version certifies nothing."
        ),
        "Neither a regional nor the national grid factor stands in for a missing provincial one.",
    ),
    sources=cited("S9", "S77", "S11"),
    in_force_from=date(2024, 4, 12),
    data_type=HouseholdElectricity,
    quantifier=household_electricity_v1,
    checker=household_electricity_check_v1,
    needs=(
        FactorNeed("baseline_kwh_per_day", "household_electricity_baseline", "place"),
        FactorNeed("grid", "grid_average", "province"),
    ),
    once=OncePer("bill_account", "month", source="; ".join(cited("S3"))),
    excluded_by=frozenset({"household_pv"}),
)

HOUSEHOLD_DEMAND_RESPONSE_V1 = Methodology(
    code="household_demand_response",
    version=1,
    behavior="household_demand_response",
    title_en="Taking part in a household demand response",
    title_zh="居民参与电力需求响应",
    formula="reduction_g = floor(saved_energy_wh × demand_response_reduction)",
    conditions=(
        "The utility called the demand response and settled what the household did not draw.",
        "The city has published a reduction per kWh.",
    ),
    exclusions=(
        "Homes with their own photovoltaics.",
        "A city without its own published number is not covered by another city's.",
    ),
    sources=cited("S78", "S11"),
    in_force_from=date(2026, 1, 1),
    data_type=DemandResponse,
    quantifier=household_demand_response_v1,
    needs=(FactorNeed("reduction", "demand_response_reduction", "place"),),
    excluded_by=frozenset({"household_pv"}),
)
