"""Ordering without throw-away things: meals without cutlery, hotel stays without disposables."""

from datetime import date

from service.methodologies.activity_data import Identifier
from service.methodologies.factors import cited
from service.methodologies.limits import SCHEME_RULE, TWELVE_A_DAY
from service.methodologies.methodology import (
    ActivityData,
    FactorNeed,
    Factors,
    Methodology,
    OncePer,
    Quantify,
)


class Order(ActivityData, frozen=True):
    """One completed order.

    Attributes:
        order_id: of the platform or hotel.
    """

    order_id: Identifier


def no_cutlery_order_v1(factors: Factors) -> Quantify:
    """Reduction from one meal order without disposable cutlery, rounded down once."""
    grams_per_order = int(factors["reduction"])

    def reduction_g(_order: Order) -> int:
        return grams_per_order

    return reduction_g


def hotel_no_disposables_v1(factors: Factors) -> Quantify:
    """Reduction from one hotel order without disposable toiletries, rounded down once."""
    grams_per_order = int(factors["reduction"])

    def reduction_g(_order: Order) -> int:
        return grams_per_order

    return reduction_g


NO_CUTLERY_ORDER_V1 = Methodology(
    code="no_cutlery_order",
    version=1,
    behavior="no_cutlery_order",
    title_en="Ordering a meal without disposable cutlery",
    title_zh="外卖不使用一次性餐具",
    formula="reduction_g = floor(no_cutlery_reduction), for each order",
    conditions=("The platform's order carries the option, and the order was delivered.",),
    exclusions=(),
    sources=cited("S85"),
    in_force_from=date(2022, 3, 1),
    data_type=Order,
    quantifier=no_cutlery_order_v1,
    needs=(FactorNeed("reduction", "no_cutlery_reduction", "nation"),),
    caps=TWELVE_A_DAY,
    once=OncePer("order_id", "ever", source=SCHEME_RULE, numbered_by="source"),
)

HOTEL_NO_DISPOSABLES_V1 = Methodology(
    code="hotel_no_disposables",
    version=1,
    behavior="hotel_no_disposables",
    title_en="Staying at a hotel without disposable toiletries",
    title_zh="酒店住宿不使用一次性用品",
    formula="reduction_g = floor(hotel_no_disposables_reduction), for each order",
    conditions=("The hotel's or platform's order record, after the stay.",),
    exclusions=("The number is per order; the nights of a stay do not multiply it.",),
    sources=cited("S83"),
    in_force_from=date(2024, 9, 1),
    data_type=Order,
    quantifier=hotel_no_disposables_v1,
    needs=(FactorNeed("reduction", "hotel_no_disposables_reduction", "nation"),),
    caps=TWELVE_A_DAY,
    once=OncePer("order_id", "ever", source=SCHEME_RULE, numbered_by="source"),
)
