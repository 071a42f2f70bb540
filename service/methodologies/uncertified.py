"""Acts that are recorded but certify nothing, because no source is strong enough."""

from datetime import date
from typing import Annotated

from msgspec import Meta

from service.methodologies.activity_data import Identifier, Steps, TripDistance
from service.methodologies.factors import cited
from service.methodologies.methodology import ActivityData, Factors, Methodology, Quantify

RECORDED_FROM = date(2022, 1, 1)
Count = Annotated[int, Meta(ge=1, le=100, description="How many, 1 to 100.")]


class Walk(ActivityData, frozen=True):
    """One walk, as a phone counted it.

    Attributes:
        distance_m: 1 to 200,000.
        steps: 1 to 200,000.
    """

    distance_m: TripDistance | None = None
    steps: Steps | None = None


class SecondHand(ActivityData, frozen=True):
    """One used thing sold or passed on.

    Attributes:
        order_id: of the platform.
    """

    order_id: Identifier | None = None


class CountedAct(ActivityData, frozen=True):
    """An act that can only be counted.

    Attributes:
        count: 1 to 100.
    """

    count: Count = 1


class OffPeakUse(ActivityData, frozen=True):
    """Electricity moved from peak to off-peak hours.

    Attributes:
        energy_wh: moved, 1 to 1,000,000.
    """

    energy_wh: Annotated[int, Meta(ge=1, le=1_000_000, description="Energy in watt-hours.")]


def nothing_v1(_factors: Factors) -> Quantify:
    """Give no grams, whatever the record says."""
    return lambda _data: 0


def _recorded_only(
    behavior: str,
    titles: tuple[str, str],
    data_type: type[ActivityData],
    weakness: tuple[str, str],
    *sources: str,
) -> Methodology:
    return Methodology(
        code=behavior,
        version=1,
        behavior=behavior,
        title_en=titles[0],
        title_zh=titles[1],
        formula="reduction_g = 0",
        conditions=("Recorded and shown to the citizen; never certified.",),
        exclusions=(),
        sources=cited(*sources),
        in_force_from=RECORDED_FROM,
        data_type=data_type,
        quantifier=nothing_v1,
        certifies=False,
        weakness=weakness,
        evidence="self_recorded",
    )


UNCERTIFIED = (
    _recorded_only(
        "walk",
        ("Walking", "步行"),
        Walk,
        (
            "steps are trivially forged, and the only number is an app's own.",
            "步数极易伪造，且仅有应用自定系数",
        ),
        "S71",
        "S3",
    ),
    _recorded_only(
        "car_free_day",
        ("A day without one's car", "停驶一天"),
        CountedAct,
        ("the only mass per day follows from a news item.", "每日减排量仅由一则新闻推算"),
        "S65",
        "S76",
    ),
    _recorded_only(
        "car_pool",
        ("Sharing a car ride", "合乘出行"),
        CountedAct,
        ("the standard's values were not found.", "未找到标准中的数值"),
        "S74",
    ),
    _recorded_only(
        "off_peak_electricity",
        ("Using electricity off peak", "错峰用电"),
        OffPeakUse,
        ("no grid factor by time of day is published.", "尚无已公布的分时电网因子"),
        "S11",
    ),
    _recorded_only(
        "second_hand",
        ("Selling or passing on a used thing", "闲置交易"),
        SecondHand,
        ("the only number is an expert's 'at least about'.", "仅有专家的约数"),
        "S86",
    ),
    _recorded_only(
        "clean_plate",
        ("Leaving nothing on the plate", "光盘行动"),
        CountedAct,
        (
            "the proof is a photo, and its number two secondary figures.",
            "仅以照片为证，系数由二手数据推算",
        ),
        "S87",
        "S88",
    ),
    _recorded_only(
        "own_bag",
        ("Bringing one's own bag", "自带购物袋"),
        CountedAct,
        ("one city's tariff without a method.", "仅有一城的积分标准，没有方法学"),
        "S73",
    ),
    _recorded_only(
        "own_chopsticks",
        ("Bringing one's own chopsticks", "自带筷子"),
        CountedAct,
        ("a news item without a method.", "仅有新闻报道，没有方法学"),
        "S89",
    ),
)
