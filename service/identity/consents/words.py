"""The words a citizen agrees to when she gives a consent: by purpose and version, filled in.

Who receives what, what for, how, and until when (PIPL, articles 17 and 23). A published version
never changes, so that the words of any consent can be shown again as they stood.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from service.clock import SHANGHAI
from service.identity.consent import ConsentText

VERSION: Final = 1
"""Of the words in force."""


class Recipient(NamedTuple):
    """Who receives the data, as she is told."""

    name: str
    contact: str


class Template(NamedTuple):
    """One purpose's words, with places for what differs."""

    chinese: str
    english: str


_CHINESE: Final = (
    "我单独同意本服务向“{recipient}”(个人信息事务联系方式:{contact})提供我的以下信息:{clusters}。"
    "{purpose}提供方式:该机构以专属于它的代号经加密接口查询,每次查询我都可以查看。"
    "不提供行程、地点、电话号码和任何单条记录。有效期至 {until}。"
    "我可以随时撤回;撤回后该机构不能再查询或接受新的申请,此前已提交的兑换照常完成。"
)
_ENGLISH: Final = (
    "I separately agree that this service gives “{recipient}” (contact for personal data:"
    " {contact}) the following of mine: {clusters}. {purpose} How: that organisation asks over an"
    " encrypted interface, by a name of me that is its own, and I can read every time it did. It is"
    " given no trips, places, phone number or single records. Valid until {until}. I can withdraw"
    " at any time; from then on the organisation learns nothing more and takes nothing new, and"
    " what had been submitted before is completed."
)
_ENGLISH_VERIFYING: Final = (
    "I separately agree that “{recipient}” (contact for personal data: {contact}) tells this"
    " service: {clusters}. {purpose} How: it sends the number of my document over an encrypted"
    " interface; this service checks it and keeps only a keyed digest, from which the number"
    " cannot be had, and never the number. Valid until {until}. I can withdraw at any time; what"
    " was verified before stays until I leave."
)
_CHINESE_VERIFYING: Final = (
    "我单独同意由“{recipient}”(个人信息事务联系方式:{contact})向本服务提供:{clusters}。{purpose}"
    "处理方式:该机构经加密接口提交我的证件号码;本服务核对后仅保存加密摘要,无法由此还原号码,"
    "不保存号码本身。有效期至 {until}。我可以随时撤回;此前已完成的核验保留至我注销账户。"
)

_PURPOSES: Final = {
    "benefit": Template(
        "用途:判断我是否符合优惠条件,并办理我申请的权益兑换。",
        "What for: to decide whether I qualify for benefits, and to carry out those I ask for.",
    ),
    "report": Template(
        "用途:核对我出示的个人碳报告。", "What for: to check the carbon report that I show it."
    ),
    "identity_verification": Template(
        "用途:确认我是哪一位自然人,使每人的限额按人计算。",
        "What for: to know which natural person I am, so that limits count for each person.",
    ),
}

_TEMPLATES: Final[Mapping[tuple[int, str], Template]] = {
    (1, "benefit"): Template(_CHINESE, _ENGLISH),
    (1, "report"): Template(_CHINESE, _ENGLISH),
    (1, "identity_verification"): Template(_CHINESE_VERIFYING, _ENGLISH_VERIFYING),
}
"""All that were ever published."""

_CLUSTERS: Final = {
    "tier": Template("减排等级", "the grade"),
    "total_certified": Template("核证减排总量", "the certified total"),
    "category_totals": Template("各类行为的减排量", "totals by kind of behaviour"),
    "streaks": Template("连续参与天数", "days in a row"),
    "report": Template("个人碳报告", "the carbon report"),
    "redemption": Template("权益兑换的状态", "the state of redemptions"),
    "identity": Template("经核验的自然人身份", "the verified natural person"),
}


def words(
    purpose: str,
    recipient: Recipient,
    data_clusters: Sequence[str],
    valid_to: datetime,
    *,
    version: int = VERSION,
) -> ConsentText:
    """Return what a citizen reads before she agrees.

    Args:
        purpose: one of `purposes.PURPOSES`.
        recipient: who receives the data.
        data_clusters: kinds of data, in the order in which they are shown.
        valid_to: until when; shown as Asia/Shanghai has it.
        version: of the words; each that was ever published can be shown again.
    """
    template, what_for = _TEMPLATES[version, purpose], _PURPOSES[purpose]
    kinds = [_CLUSTERS[cluster] for cluster in data_clusters]
    until = valid_to.astimezone(SHANGHAI).isoformat(timespec="seconds")
    filled = {"recipient": recipient.name, "contact": recipient.contact, "until": until}
    return ConsentText(
        purpose=purpose,
        version=version,
        chinese=template.chinese.format(
            **filled, purpose=what_for.chinese, clusters="、".join(kind.chinese for kind in kinds)
        ),
        english=template.english.format(
            **filled, purpose=what_for.english, clusters=", ".join(kind.english for kind in kinds)
        ),
    )
