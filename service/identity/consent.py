"""The words a citizen agrees to when she links an account, by version."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsentText:
    """What is asked, for which purpose; a published version never changes."""

    purpose: str
    version: int
    chinese: str
    english: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of both languages, stored with each consent given to these words."""
        return hashlib.sha256(f"{self.chinese}\n{self.english}".encode()).digest()


CONSENT = ConsentText(
    purpose="activity_records",
    version=1,
    chinese=(
        "我同意所选的数据来源把该账户的行为记录(时间、地点编码和数量)提供给本服务,"
        "仅用于计算减排量和积分、核查和申诉。我可以随时撤回;撤回不影响此前已核证的记录。"
    ),
    english=(
        "I agree that the chosen source gives this service the records of this account (times,"
        " place codes and quantities), only to compute reductions and points, for checks and"
        " appeals. I can withdraw at any time; what was certified before stays."
    ),
)
"""The words in force."""

TEXTS = {text.version: text for text in (CONSENT,)}
"""All that were ever published, by version."""
