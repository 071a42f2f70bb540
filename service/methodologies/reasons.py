"""Why an activity gives no certified grams: the codes, and a sentence for each in two languages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Language = Literal["en", "zh"]

REASONS: Final[dict[str, dict[Language, str]]] = {
    "region-not-covered": {
        "en": "No published methodology for {behavior} covers the region {region}; "
        "the act is recorded with zero grams.",
        "zh": "地区 {region} 没有适用于 {behavior} 的已发布方法学，该行为只作记录，减排量为零。",
    },
    "methodology-weak": {
        "en": "No source for {behavior} is strong enough to certify on: {why}",
        "zh": "{behavior} 的现有依据不足以核证，只作记录，减排量为零。（{why_zh}）",
    },
    "material-not-covered": {
        "en": "No strong enough source gives a reduction for recycled {material}; "
        "the act is recorded with zero grams.",
        "zh": "回收物 {material} 没有足够可靠的减排系数来源，该行为只作记录，减排量为零。",
    },
    "parameter-missing": {
        "en": "The formula of {methodology} needs {parameter}, for which no source gives a number; "
        "it certifies nothing until an authority has entered one.",
        "zh": "方法学 {methodology} 的公式需要参数 {parameter}，而现有来源未给出数值；"
        "在主管机构录入之前不核证减排量。",
    },
    "quantity-missing": {
        "en": "The record does not say {quantity}, which the formula of {methodology} needs.",
        "zh": "记录缺少 {quantity}，方法学 {methodology} 的公式需要该数据。",
    },
    "methodology-not-in-force": {
        "en": "No methodology for {behavior} was in force on {day}.",
        "zh": "{day} 当日没有适用于 {behavior} 的有效方法学。",
    },
    "factor-not-in-force": {
        "en": "The factor {factor} was not yet in force on {day} in the region {region}.",
        "zh": "系数 {factor} 在 {day} 尚未于地区 {region} 生效。",
    },
    "pv-home-excluded": {
        "en": "A home with its own photovoltaic generation is outside the method of {behavior}: "
        "its meter shows less use without any saving.",
        "zh": "安装户用光伏的家庭不适用 {behavior} 方法学：其电表读数下降并不代表节电。",
    },
}
"""Every code this package can give. A code never changes its meaning."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, as a code and what fills its sentence."""

    code: str
    params: Mapping[str, str] = field(default_factory=dict)

    def sentence(self, language: Language = "en") -> str:
        """Say it to a person."""
        return REASONS[self.code][language].format_map(self.params)
