"""What a partner answers when it is asked how a redemption stands in its books.

Pure. Whatever it sends comes to one of a few answers; what cannot be so is `contradictory`, and
nothing is done on its word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from marshmallow import EXCLUDE, ValidationError, fields, validate

from service.errors import DomainError
from service.rewards.redemptions.capturing import CaptureWish
from service.rewards.redemptions.schemas import DECLINE_REASONS, ID, REFERENCE, CaptureRequest
from service.web.json_bodies import read_json

Verdict = Literal["none", "captured", "declined", "voided", "pending", "contradictory", "no_answer"]

STATES: Final[tuple[Verdict, ...]] = ("none", "captured", "declined", "voided", "pending")
"""What a partner may say of a redemption."""

HTTP_OK: Final = 200
OTHER: Final = "other"


class StatusAnswer(CaptureRequest):
    """What a partner's status address answers; members that we do not know are passed over."""

    class Meta:
        """A partner's own additions are its own affair."""

        unknown = EXCLUDE

    redemption_id = fields.String(required=True, validate=ID)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    partner_reference = fields.String(load_default=None, allow_none=True, validate=REFERENCE)
    terms_hash = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(equal=64)
    )
    reason = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=500))


@dataclass(frozen=True, slots=True)
class PartnerAnswer:
    """What an answer comes to."""

    verdict: Verdict
    body: Mapping[str, Any] = field(default_factory=dict)
    """What is kept of it for ever: only what we asked for, and no free words about her."""
    wish: CaptureWish | None = None
    """What it says that it has captured."""

    @property
    def reason(self) -> str:
        """Why it has declined, in one of our words."""
        return str(self.body.get("reason", OTHER))


def no_answer(reason: str) -> PartnerAnswer:
    """Return what silence comes to; the reason is one word."""
    return PartnerAnswer("no_answer", {"reason": reason})


def contradictory(body: Mapping[str, Any], reason: str) -> PartnerAnswer:
    """Return what an answer comes to that cannot be so."""
    return PartnerAnswer("contradictory", {**body, "contradiction": reason})


def answer_from(redemption_id: str, status: int, body: bytes) -> PartnerAnswer:
    """Return what a partner's answer comes to.

    Args:
        redemption_id: the public id that it was asked about.
        status: of HTTP; only 200 is an answer.
        body: as it came.
    """
    if status != HTTP_OK:
        return no_answer(f"status-{status}")
    try:
        document = read_json(body)
        said = StatusAnswer().load(document)
    except DomainError as error:
        return contradictory({}, error.code)
    except ValidationError as error:
        return contradictory({"fields": sorted(map(str, error.messages_dict))}, "answer-malformed")
    kept = {name: document[name] for name in said if document.get(name) is not None}
    if "reason" in kept and kept["reason"] not in DECLINE_REASONS:
        kept["reason"] = OTHER
    if said["redemption_id"] != redemption_id:
        return contradictory(kept, "another-redemption")
    if said["state"] != "captured":
        return PartnerAnswer(said["state"], kept)
    wish = _wish(said)
    return PartnerAnswer("captured", kept, wish) if wish else contradictory(kept, "not-complete")


def _wish(said: Mapping[str, Any]) -> CaptureWish | None:
    """Return what is confirmed; None: no capture can be written down without more."""
    if said["partner_reference"] is None or said["terms_hash"] is None:
        return None
    return CaptureWish(
        partner_reference=said["partner_reference"],
        terms_hash=said["terms_hash"],
        points=said["points"],
        effective_from=said["effective_from"],
        effective_to=said["effective_to"],
        benefit_actual=said["benefit_actual"],
    )
