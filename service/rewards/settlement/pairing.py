"""Which line of a partner's file is about which of ours."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.ids import REDEMPTION, REDEMPTION_RECORD, public_id
from service.rewards.settlement.partner_files import TheirLine

TYPE_OF_STATE: Final = {
    "captured": "CAPTURE",
    "settled": "CAPTURE",
    "disputed": "CAPTURE",
    "partially_reversed": "REVERSAL",
    "reversed": "REVERSAL",
}
"""What a line without a record type is about; other states are about no record of ours."""


class OurLine(NamedTuple):
    """A line of a batch, as far as it is compared."""

    line_no: int
    record_type: str
    redemption_id: UUID
    record_id: UUID
    state: str
    state_now: str
    partner_reference: str
    subject: str
    points: int
    benefit_value: str
    subsidy_minor: int
    effective_from: str
    effective_to: str
    occurred_at: datetime
    business_date: date
    terms_hash: str

    def told(self) -> dict[str, Any]:
        """Return what the line says, as JSON members in the words of a partner's file."""
        return {
            "line": self.line_no,
            "record_type": self.record_type,
            "redemption_id": public_id(REDEMPTION, self.redemption_id),
            "record_id": public_id(REDEMPTION_RECORD, self.record_id),
            "partner_reference": self.partner_reference,
            "state": self.state_now,
            "points": self.points,
            "benefit_value": self.benefit_value,
            "effective_from": self.effective_from,
            "effective_to": self.effective_to,
            "occurred_at": self.occurred_at.isoformat(),
            "terms_hash": self.terms_hash,
            "pairwise_subject": self.subject,
        }


Pair = tuple[OurLine, TheirLine]


class Pairing(NamedTuple):
    """What belongs together, and what is left over."""

    theirs: Sequence[TheirLine]
    """All of them."""
    pairs: Sequence[Pair]
    repeated: Sequence[Pair]
    """Lines of theirs about a line of ours that has its pair already."""
    ours_alone: Sequence[OurLine]
    theirs_alone: Sequence[TheirLine]


def type_of(theirs: TheirLine) -> str:
    """Return the record type that a line is about; empty: none that has one."""
    return theirs.record_type or TYPE_OF_STATE.get(theirs.state, "")


def is_one_of_several(theirs: TheirLine) -> bool:
    """Say whether a line is about one of maybe several: a reversal, and called by a name."""
    return theirs.record_type == "REVERSAL" and bool(theirs.partner_reference)


def paired(ours: Sequence[OurLine], theirs: Sequence[TheirLine]) -> Pairing:
    """Find the pairs: by redemption and record type first, by the partner's reference last."""
    desk = _Desk(ours)
    left: Iterable[TheirLine] = theirs
    # An exact line goes before one that only resembles it, wherever in the file it stands.
    ways = (
        desk.by_everything,
        desk.by_name,
        desk.by_key,
        desk.by_redemption,
        desk.by_reference,
    )
    for way in ways:
        left = [each for each in left if not way(each)]
    strangers = list(left)
    alone = [line for line in ours if line.record_id not in desk.taken]
    return Pairing(theirs, desk.pairs, desk.repeated, alone, strangers)


class _Desk:
    """Our lines, from which pairs are taken."""

    def __init__(self, ours: Iterable[OurLine]) -> None:
        self.pairs: list[Pair] = []
        self.repeated: list[Pair] = []
        self.taken: dict[UUID, TheirLine] = {}
        self._of_redemption: dict[UUID, list[OurLine]] = defaultdict(list)
        self._of_reference: dict[str, list[OurLine]] = defaultdict(list)
        for line in ours:
            self._of_redemption[line.redemption_id].append(line)
            if line.partner_reference:
                self._of_reference[line.partner_reference].append(line)

    def by_everything(self, theirs: TheirLine) -> bool:
        """Pair by redemption, record type, reference and points.

        A redemption may be reversed in parts, and parts may have no reference.
        """
        exact = [line for line in self._of_name(theirs) if line.points == theirs.points]
        return self._take(exact, theirs)

    def by_name(self, theirs: TheirLine) -> bool:
        """Pair by redemption, record type and reference."""
        return self._take_or_repeat(self._of_name(theirs), theirs)

    def by_key(self, theirs: TheirLine) -> bool:
        """Pair by redemption and record type."""
        same = self._of_type(self._named(theirs), theirs)
        if is_one_of_several(theirs) and not self._is_told_of(same, theirs.partner_reference):
            return self._take(same, theirs)
        return self._take_or_repeat(same, theirs)

    def by_redemption(self, theirs: TheirLine) -> bool:
        """Pair by redemption alone: the two sides think differently of what was done."""
        return self._take(self._named(theirs), theirs)

    def by_reference(self, theirs: TheirLine) -> bool:
        """Pair by the partner's reference where it names no redemption of the batch."""
        if self._named(theirs) or not theirs.partner_reference:
            return False
        same = self._of_reference.get(theirs.partner_reference, [])
        return self._take_or_repeat(self._of_type(same, theirs), theirs) or self._take(same, theirs)

    def _of_name(self, theirs: TheirLine) -> list[OurLine]:
        return [
            line
            for line in self._of_type(self._named(theirs), theirs)
            if line.partner_reference == theirs.partner_reference
        ]

    def _named(self, theirs: TheirLine) -> list[OurLine]:
        redemption = theirs.redemption
        return self._of_redemption.get(redemption, []) if redemption else []

    @staticmethod
    def _of_type(lines: Iterable[OurLine], theirs: TheirLine) -> list[OurLine]:
        return [line for line in lines if line.record_type == type_of(theirs)]

    def _is_told_of(self, lines: Iterable[OurLine], reference: str) -> bool:
        told = (self.taken.get(line.record_id) for line in lines)
        return any(each is not None and each.partner_reference == reference for each in told)

    def _take_or_repeat(self, lines: Sequence[OurLine], theirs: TheirLine) -> bool:
        """Pair with a line that is free; where all of them are taken, it is there twice."""
        if self._take(lines, theirs):
            return True
        if lines:
            self.repeated.append((lines[0], theirs))
        return bool(lines)

    def _take(self, lines: Iterable[OurLine], theirs: TheirLine) -> bool:
        for line in lines:
            if line.record_id not in self.taken:
                self.taken[line.record_id] = theirs
                self.pairs.append((line, theirs))
                return True
        return False
