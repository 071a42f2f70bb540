"""What an offer promises, as one document that two parties can hash and get the same."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self
from uuid import UUID

import rfc8785

from service import ids

Mode = Literal["burn", "lock", "attest"]
Period = Literal["total", "day", "week", "month", "quarter", "year"]
Payer = Literal["PLATFORM", "PARTNER", "GOV"]
GradeName = Literal["light_green", "medium_green", "deep_green"]


class Title(NamedTuple):
    """What citizens read."""

    zh: str
    en: str


class Eligibility(NamedTuple):
    """Who may redeem an offer."""

    grade_rules: str | None
    grade_at_least: GradeName | None
    reduction_g_at_least: int | None
    """Certified and not invalidated, in the grade rules' window, or of all time without rules."""
    person_required: bool


class Cap(NamedTuple):
    """How often somebody may redeem an offer in one period."""

    period: Period
    most: int


class Caps(NamedTuple):
    """Caps by account, and by natural person over all her accounts."""

    per_citizen: Cap | None
    per_person: Cap | None


class Timers(NamedTuple):
    """How long each step of a redemption may take; exactly one of the two for `submit`."""

    quote_s: int
    reserve_s: int
    submit_business_days: int | None
    submit_s: int | None
    unknown_business_days: int
    grace_s: int


class Maturity(NamedTuple):
    """When locked points are decided about, and how."""

    days: int
    at_maturity: Literal["burn", "release"]


class Reversal(NamedTuple):
    """How long a capture can be reversed, and how long restored points of a lapsed lot live."""

    window_days: int
    grace_days: int


@dataclass(frozen=True)
class Terms:
    """One version of an offer's terms; immutable."""

    offer_id: UUID
    version: int
    partner: str
    """The partner's slug."""
    mode: Mode
    points: int
    subsidy_minor: int
    """Fen that one redemption takes from the budget."""
    payer: Payer
    currency: str
    benefit: Mapping[str, Any]
    """Its `kind` and that kind's numbers, as in the document."""
    eligibility: Eligibility
    caps: Caps
    timers: Timers
    maturity: Maturity | None
    reversal: Reversal
    title: Title
    valid_from: datetime
    valid_to: datetime

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read terms that were checked when they were entered."""
        members = dict(document)
        caps, maturity = members["caps"], members["maturity"]
        return cls(
            **members
            | {
                "offer_id": ids.uuid_of(ids.OFFER, members["offer_id"]),
                "eligibility": Eligibility(**members["eligibility"]),
                "caps": Caps(**{who: cap and Cap(**cap) for who, cap in caps.items()}),
                "timers": Timers(**members["timers"]),
                "maturity": maturity and Maturity(**maturity),
                "reversal": Reversal(**members["reversal"]),
                "title": Title(**members["title"]),
                "valid_from": datetime.fromisoformat(members["valid_from"]),
                "valid_to": datetime.fromisoformat(members["valid_to"]),
            }
        )

    @cached_property
    def document(self) -> dict[str, Any]:
        """The terms as JSON members; what `from_document` reads."""
        return {
            "offer_id": ids.public_id(ids.OFFER, self.offer_id),
            "version": self.version,
            "partner": self.partner,
            "title": self.title._asdict(),
            "mode": self.mode,
            "points": self.points,
            "benefit": dict(self.benefit),
            "subsidy_minor": self.subsidy_minor,
            "payer": self.payer,
            "currency": self.currency,
            "eligibility": self.eligibility._asdict(),
            "caps": {who: cap and cap._asdict() for who, cap in self.caps._asdict().items()},
            "timers": self.timers._asdict(),
            "maturity": self.maturity and self.maturity._asdict(),
            "reversal": self.reversal._asdict(),
            "valid_from": self.valid_from.isoformat(),
            "valid_to": self.valid_to.isoformat(),
        }

    @cached_property
    def canonical(self) -> bytes:
        """The document by RFC 8785 (JSON Canonicalization Scheme)."""
        return rfc8785.dumps(self.document)

    @cached_property
    def terms_hash(self) -> str:
        """SHA-256 of the canonical document, in hex."""
        return hashlib.sha256(self.canonical).hexdigest()
