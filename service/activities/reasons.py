"""Why a line or an act does not count: every code, and its sentence in two languages.

The codes of the methodologies stand in `service/methodologies/reasons.py`; here are those of
reading a feed and of the checks. What is stored is the code and what fills its sentence.
"""

from collections.abc import Mapping
from typing import Any, Final

from service.messages import Language
from service.methodologies.reasons import REASONS as METHODOLOGY_REASONS

UNREADABLE: Final[dict[str, dict[Language, str]]] = {
    "line-too-long": {
        "en": "The line is longer than {limit} bytes; an act needs far less.",
        "zh": "该行超过 {limit} 字节；一条行为记录远不需要这么长。",
    },
    "feed-too-large": {
        "en": "The feed is larger than {limit} bytes; from this line on nothing was read. "
        "Please send the rest as another feed.",
        "zh": "数据超过 {limit} 字节，自该行起未读取；请将其余部分另行提交。",
    },
    "line-cut": {
        "en": "The line ends in its middle. Please send it again.",
        "zh": "该行内容不完整，请重新发送该行。",
    },
    "gzip-broken": {
        "en": "From here on the compressed feed cannot be unpacked. Please send the rest again.",
        "zh": "自此处起压缩数据无法解压，请重新发送其余部分。",
    },
    "utf8-invalid": {"en": "The line is not valid UTF-8.", "zh": "该行不是有效的 UTF-8 编码。"},
    "json-malformed": {
        "en": "The line is not a JSON object: {problem}.",
        "zh": "该行不是有效的 JSON 对象：{problem}。",
    },
    "json-too-deep": {"en": "The line is nested too deeply.", "zh": "该行嵌套层数过深。"},
    "duplicate-key": {
        "en": "The name {name} is given twice in one object.",
        "zh": "同一对象中重复出现名称 {name}。",
    },
    "text-invalid": {
        "en": "The text of {name} holds control characters or is no text at all.",
        "zh": "{name} 的文本含有控制字符或无效字符。",
    },
    "field-missing": {"en": "{problem}.", "zh": "缺少必填字段（{problem}）。"},
    "unknown-field": {"en": "{problem}.", "zh": "包含未知字段（{problem}）。"},
    "type-wrong": {
        "en": "{problem} at {pointer}.",
        "zh": "{pointer} 处的类型不正确（{problem}）。",
    },
    "number-out-of-range": {
        "en": "{problem} at {pointer}.",
        "zh": "{pointer} 处的数值超出范围（{problem}）。",
    },
    "text-length": {
        "en": "{problem} at {pointer}.",
        "zh": "{pointer} 处的文本长度不符合要求（{problem}）。",
    },
    "time-malformed": {
        "en": "The time at {pointer} is not an RFC 3339 moment within reach.",
        "zh": "{pointer} 处的时间不是有效的 RFC 3339 时间。",
    },
    "time-without-offset": {
        "en": "The time at {pointer} has no offset; write for example +08:00.",
        "zh": "{pointer} 处的时间缺少时区偏移，请写明例如 +08:00。",
    },
    "behavior-unknown": {
        "en": "No behavior is called {behavior}; GET /v1/methodologies lists them.",
        "zh": "没有名为 {behavior} 的行为；可用行为见 GET /v1/methodologies。",
    },
    "behavior-differs": {
        "en": "A correction cannot change the behavior. Please withdraw the record and report the "
        "other act under an external_id of its own.",
        "zh": "更正不能更改行为类型；请撤回该记录，并以新的 external_id 报送另一行为。",
    },
    "source-link-missing": {
        "en": "No active link of a citizen covers this account at the time of the act. "
        "The record is not kept; it may be sent again once she has linked it.",
        "zh": "行为发生时没有市民以有效授权关联此账户。该记录未保存，关联后可重新发送。",
    },
    "conflict": {
        "en": "This external_id was recorded before with other content. To change a record, "
        "send a correction.",
        "zh": "该 external_id 已以不同内容记录过；如需更改，请提交更正。",
    },
}
"""Of lines that are answered and not stored."""

REFUSED: Final[dict[str, dict[Language, str]]] = {
    "ends-before-start": {
        "en": "The act ends before it begins.",
        "zh": "行为的结束时间早于开始时间。",
    },
    "rules-not-in-force": {
        "en": "No scheme rules were in force on the day of the act.",
        "zh": "行为发生当日没有生效的平台规则。",
    },
    "in-the-future": {
        "en": "The act ends in the future. Please check the clock of the source.",
        "zh": "行为的结束时间在未来，请检查数据来源的时钟。",
    },
    "too-late": {
        "en": "The record came more than {days} days after the act.",
        "zh": "该记录在行为发生 {days} 天之后才提交。",
    },
    "duration-impossible": {
        "en": "The act lasted longer than the {limit_s} seconds that are believed.",
        "zh": "行为持续时间超过可信上限 {limit_s} 秒。",
    },
    "distance-impossible": {
        "en": "The distance is longer than the {limit_m} metres that are believed.",
        "zh": "行程距离超过可信上限 {limit_m} 米。",
    },
    "speed-impossible": {
        "en": "The trip would have been faster than {limit_kmh} km/h.",
        "zh": "按该记录计算的速度超过 {limit_kmh} 公里/小时。",
    },
    "power-impossible": {
        "en": "The reading would take a plant stronger than {limit_w} watts.",
        "zh": "该读数对应的功率超过上限 {limit_w} 瓦。",
    },
    "evidence-tier-too-low": {
        "en": "Acts of the kind {behavior} count only when their operator reports them.",
        "zh": "{behavior} 类行为须由运营机构上报才能计入。",
    },
    "reduction-zero": {
        "en": "The act gives less than one gram.",
        "zh": "该行为的减排量不足一克。",
    },
    "overlap": {
        "en": "Another trip of yours was under way at the same time.",
        "zh": "同一时间您已有另一段行程。",
    },
    "reading-overlap": {
        "en": "Another reading of yours covers a part of the same time, so its energy is counted.",
        "zh": "您的另一条读数已涵盖同一时段的一部分，该部分电量已计入。",
    },
    "daily-cap-reached": {
        "en": "At most {limit} acts of the kind {behavior} count on one day.",
        "zh": "{behavior} 每日最多计入 {limit} 次。",
    },
    "monthly-cap-reached": {
        "en": "At most {limit} acts of the kind {behavior} count in one month.",
        "zh": "{behavior} 每月最多计入 {limit} 次。",
    },
    "counted-before": {
        "en": "This bill, document or order has been counted before.",
        "zh": "该账单、单据或订单已计入过。",
    },
    "account-frozen": {
        "en": "Your account is being looked into; the act waits until that is done.",
        "zh": "您的账户正在核查中，该行为将待核查结束后处理。",
    },
    "superseded": {
        "en": "The operator's own record of the same time took the place of this one.",
        "zh": "运营机构在同一时间的记录已取代该记录。",
    },
    "source-link-ended": {
        "en": "You ended the link to this source before the act was certified.",
        "zh": "在核证之前您已解除与该数据来源的关联。",
    },
    "batch-rejected": {
        "en": "The verifier did not approve the day's batch: {statement}",
        "zh": "核证机构未批准当日批次：{statement}",
    },
    "appeal-dismissed": {
        "en": "A human looked again and the refusal stands; the words are with your appeal.",
        "zh": "经人工复核，维持原决定；具体说明见您的申诉。",
    },
    "appeal-upheld": {
        "en": "A human looked again and the act counts; the words are with your appeal.",
        "zh": "经人工复核，该行为予以计入；具体说明见您的申诉。",
    },
    "corrected": {
        "en": "The source has corrected this record; another revision took its place.",
        "zh": "数据来源已更正该记录，由更正后的记录取代。",
    },
    "withdrawn-by-source": {
        "en": "The source has withdrawn this record: there was no such act.",
        "zh": "数据来源已撤回该记录：并无此行为。",
    },
    "found-false": {
        "en": "Two of the scheme's staff found that this act was not as it was recorded.",
        "zh": "经平台两名工作人员核实，该行为与记录不符。",
    },
    "double-record": {
        "en": "The source had reported the same act for somebody else before.",
        "zh": "数据来源此前已为他人报送过同一行为。",
    },
    "erased": {"en": "The person has been erased.", "zh": "该用户的信息已删除。"},
}
"""Of acts that are stored, with their reason."""

REASONS: Final[dict[str, Mapping[Language, str]]] = {**METHODOLOGY_REASONS, **UNREADABLE, **REFUSED}


def sentence(code: str, params: Mapping[str, Any] | None, language: Language) -> str:
    """Say a reason to a person."""
    told = {name: value for name, value in (params or {}).items() if value != ""}
    return REASONS[code][language].format_map(_Filled(told))


class _Filled(dict[str, Any]):
    """What fills a sentence; the place of a flaw in the whole of a line has no name."""

    def __missing__(self, name: str) -> str:
        return "/"
