"""Handing sorted waste to a recycler, by weight and material."""

from datetime import date
from typing import Literal

from service.methodologies.activity_data import Mass
from service.methodologies.factors import cited
from service.methodologies.limits import TWELVE_A_DAY
from service.methodologies.methodology import (
    ActivityData,
    Check,
    FactorNeed,
    Factors,
    Methodology,
    Quantify,
)
from service.methodologies.reasons import Reason

CERTIFIED_MATERIAL = "takeaway_box"
WEAK_MATERIALS = {
    "paper": ("no primary source was found.", "未找到原始来源"),
    "textile": ("the only number is a second-hand study of 2008.", "仅有一项2008年研究的转引数据"),
}


class WasteRecycling(ActivityData, frozen=True):
    """One weighed handing over of one material.

    Attributes:
        mass_g: as the recycler weighed it, 1 to 1,000,000.
        material: what it was.
    """

    mass_g: Mass
    material: Literal[
        "takeaway_box", "paper", "textile", "metal", "glass", "plastic", "organic", "mixed", "other"
    ]


def waste_recycling_v1(factors: Factors) -> Quantify:
    """Reduction from recycling take-away boxes; every other material gives nothing.

    reduction_g = mass_kg × reduction per kg × 1000 g/kg = mass_g × kg/kg, rounded down once.
    """
    numerator, denominator = factors["takeaway_box"].as_integer_ratio()

    def reduction_g(load: WasteRecycling) -> int:
        if load.material != CERTIFIED_MATERIAL:
            return 0
        return load.mass_g * numerator // denominator

    return reduction_g


def waste_recycling_check_v1(_factors: Factors) -> Check:
    """Only take-away boxes have a number that is strong enough."""

    def check(load: WasteRecycling) -> Reason | None:
        if load.material == CERTIFIED_MATERIAL:
            return None
        weakness = WEAK_MATERIALS.get(load.material)
        if weakness is None:
            return Reason("material-not-covered", {"material": load.material})
        why, why_zh = weakness
        behavior = f"waste_recycling of {load.material}"
        return Reason("methodology-weak", {"behavior": behavior, "why": why, "why_zh": why_zh})

    return check


WASTE_RECYCLING_V1 = Methodology(
    code="waste_recycling",
    version=1,
    behavior="waste_recycling",
    title_en="Handing sorted waste to a recycler",
    title_zh="分类回收废弃物",
    formula="reduction_g = floor(mass_g × takeaway_box_recycling) for take-away boxes, else 0",
    conditions=("The recycler weighed the load and identified the material.",),
    exclusions=(
        "Paper and textiles: their numbers are weak and certify nothing.",
        "Metal, glass, plastic and all else: no number was found.",
    ),
    sources=cited("S83"),
    in_force_from=date(2024, 9, 1),
    data_type=WasteRecycling,
    quantifier=waste_recycling_v1,
    checker=waste_recycling_check_v1,
    needs=(FactorNeed("takeaway_box", "takeaway_box_recycling", "nation"),),
    caps=TWELVE_A_DAY,
)
