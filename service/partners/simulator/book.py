"""What a simulated partner remembers: the benefits it gave, and which events it has heard."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from service.clock import day_of

BenefitState = Literal["pending", "captured", "declined", "voided"]


@dataclass(frozen=True, slots=True)
class Benefit:
    """What the partner has decided about one redemption."""

    redemption_id: str
    state: BenefitState
    partner_reference: str
    capture: Mapping[str, Any] | None = None
    """What was sent, or would have been."""
    reason: str | None = None

    def view(self) -> dict[str, Any]:
        """Return the answer to the question what became of a redemption."""
        shown: dict[str, Any] = {
            "redemption_id": self.redemption_id,
            "state": self.state,
            "partner_reference": self.partner_reference,
        }
        if self.state == "captured":
            shown |= dict(self.capture or {})
        if self.reason is not None:
            shown["reason"] = self.reason
        return shown


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the partner's settlement file."""

    record_type: Literal["CAPTURE", "REVERSAL"]
    redemption_id: str
    partner_reference: str
    state: str
    points: int
    benefit_value: str
    effective_from: str
    effective_to: str
    occurred_at: datetime

    @property
    def business_date(self) -> date:
        """The day on which it is settled."""
        return day_of(self.occurred_at)


class Book:
    """Everything the partner knows; read by several threads."""

    def __init__(self) -> None:
        self._benefits: dict[str, Benefit] = {}
        self._entries: dict[str, Entry] = {}
        """By the partner's own reference."""
        self._versions: dict[str, int] = {}
        self._heard: set[str] = set()
        self._looking = threading.Lock()

    def is_news(self, event: Mapping[str, Any]) -> bool:
        """Take an event in and say whether it is new, and no older than what is known already.

        Webhooks come twice and out of order; an object's version says which word is the last.
        """
        about = event["data"]
        with self._looking:
            if event["id"] in self._heard:
                return False
            self._heard.add(event["id"])
            if about["version"] <= self._versions.get(about["id"], 0):
                return False
            self._versions[about["id"]] = about["version"]
            return True

    def note(self, benefit: Benefit) -> None:
        """Write down what was decided, in the place of what stood there."""
        with self._looking:
            self._benefits[benefit.redemption_id] = benefit

    def forget(self, redemption_id: str) -> None:
        """Strike out a decision that was not accepted."""
        with self._looking:
            self._benefits.pop(redemption_id, None)

    def about(self, redemption_id: str) -> Benefit | None:
        """Return what was decided about a redemption."""
        with self._looking:
            return self._benefits.get(redemption_id)

    def enter(self, entry: Entry) -> None:
        """Write a line for the settlement file; the same reference twice is one line."""
        with self._looking:
            self._entries.setdefault(entry.partner_reference, entry)

    def entries_of(self, day: date) -> list[Entry]:
        """Return the lines of a day, in the order of references."""
        with self._looking:
            known = [self._entries[reference] for reference in sorted(self._entries)]
        return [entry for entry in known if entry.business_date == day]
