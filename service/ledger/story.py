"""The story of a hold: its lot lines, and every later transfer that names one of them.

So what a partner confirms, and what is undone months later, concerns exactly the points and grams
that were set aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from service.ledger.apportioning import Line, Part
from service.ledger.carrying import movements_on
from service.ledger.errors import HoldUnknown
from service.ledger.postings import Movement
from service.pipelining import Connection, Rows

READ: Final = """
SELECT kind, posting_id, of_id, hold_line, expires_on, points, reduction_g, party FROM transfer
WHERE citizen_id = %s AND hold_id = %s ORDER BY recorded_at, line
"""


def ask_story(connection: Connection, citizen_id: UUID, hold_id: UUID) -> Rows:
    """Ask for the story of a hold, to be read by `Story.read`."""
    return connection.execute(READ, (citizen_id, hold_id))


@dataclass(slots=True)
class _Entry:
    kind: str
    posting_id: UUID
    of_id: UUID | None
    hold_line: int
    expires_on: date
    points: int
    reduction_g: int
    party: UUID | None


class Story:
    """Every transfer of one hold, in order."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = entries

    @classmethod
    def read(cls, asked: Rows) -> "Story":
        """Return the story that was asked for.

        Raises:
            HoldUnknown: there is none.
        """
        entries = [_Entry(*row) for row in asked.fetchall()]
        if not entries:
            raise HoldUnknown("There is no such hold.")
        return cls(entries)

    def held_lines(self) -> list[Line]:
        """Return the hold's lines and what is still held of each."""
        lines = [entry for entry in self._entries if entry.kind == "hold"]
        gone = [entry for entry in self._entries if entry.kind in {"release", "capture"}]
        return _lines_left(lines, gone)

    def captured_lines(self, capture_id: UUID) -> list[Line]:
        """Return a capture's lines and what is neither restored nor pooled of each."""
        lines = [entry for entry in self._entries if entry.posting_id == capture_id]
        gone = [entry for entry in self._entries if entry.of_id == capture_id]
        return _lines_left(lines, gone)

    def party_of(self, capture_id: UUID) -> UUID | None:
        """Return the partner that a capture was for."""
        return next(each.party for each in self._entries if each.posting_id == capture_id)


def _lines_left(lines: Sequence[_Entry], gone: Sequence[_Entry]) -> list[Line]:
    left = {line.hold_line: (line.points, line.reduction_g) for line in lines}
    for entry in gone:
        points, grams = left[entry.hold_line]
        left[entry.hold_line] = points - entry.points, grams - entry.reduction_g
    return [
        Line(each.hold_line, each.expires_on, each.points, each.reduction_g, *left[each.hold_line])
        for each in lines
    ]


def movements_of(kind: str, parts: Sequence[Part]) -> list[Movement]:
    """Return parts of lines as the next movements of their story."""
    return [
        Movement(kind, part.line.expires_on, part.points, part.reduction_g, part.line.number)
        for part in parts
    ]


def movements_back(kind: str, parts: Sequence[Part], carry_to: date | None) -> list[Movement]:
    """Return parts to the lots they came from, and carry on at once what comes back lapsed."""
    back = movements_of(kind, parts)
    return [*back, *(step for each in back for step in movements_on(each, carry_to))]
