"""The ledger once more, in plain Python and as slowly as it likes, to compare the real one with.

Written from the chart of accounts and the rules below it in the design, one paragraph after the
other, and from nothing else. Its day is told to it; it knows no database.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from uuid import UUID

Line = tuple[str, date, int, int]
"""Kind, lot, points, grams."""

Lots = dict[date, dict[str, tuple[int, int]]]

AMOUNT_MOST = 2**53 - 1
LIFE_LONGEST = timedelta(days=3652)


class Wrong(Exception):
    """What leaves no trace."""

    def __init__(self, code: str, *fields: str) -> None:
        super().__init__(code)
        self.code = code
        self.fields = set(fields)


@dataclass(frozen=True)
class Answer:
    """Lines, or the code of a refusal."""

    lines: tuple[Line, ...] = ()
    refusal: str | None = None


@dataclass
class Reserved:
    """One lot line of a hold or a capture."""

    number: int
    day: date
    points: int
    grams: int
    points_left: int
    grams_left: int

    def take(self, points: int) -> int:
        """Take points and return the grams that go with them; the last ones take the rest."""
        last = points == self.points_left
        grams = self.grams_left if last else share(self.grams, points, self.points)
        self.points_left -= points
        self.grams_left -= grams
        return grams


@dataclass
class ModelCitizen:
    """What one citizen has, and what was answered to her."""

    lots: dict[date, dict[str, list[int]]] = field(default_factory=dict)
    owed_points: int = 0
    owed_grams: int = 0
    issues: dict[UUID, tuple[date, int, int]] = field(default_factory=dict)
    holds: dict[UUID, list[Reserved]] = field(default_factory=dict)
    captures: dict[UUID, list[Reserved]] = field(default_factory=dict)
    invalidated: dict[UUID, tuple[Line, ...]] = field(default_factory=dict)
    answers: dict[UUID, tuple[dict[str, Any], Answer]] = field(default_factory=dict)

    # --- what is seen from outside ---

    def places(self) -> Lots:
        """Return where everything is, leaving out places where nothing is."""
        return {
            day: {place: (each[0], each[1]) for place, each in lot.items() if each != [0, 0]}
            for day, lot in self.lots.items()
        }

    def live_holds(self) -> dict[tuple[UUID, int], tuple[int, int]]:
        """Return points and grams that are still held, by hold and line."""
        return {
            (hold_id, line.number): (line.points_left, line.grams_left)
            for hold_id, lines in self.holds.items()
            for line in lines
            if line.points_left
        }

    def available(self, today: date) -> int:
        """Return how many points can be spent."""
        return sum(lot[1] for lot in self._available(today))

    # --- ids ---

    def post(self, today: date, posting_id: UUID, kind: str, **terms: Any) -> tuple[Answer, bool]:
        """Answer a posting, and say whether it is a repeat.

        Raises:
            Wrong: it leaves no trace.
        """
        for name in ("points", "reduction_g"):
            amount = terms.get(name)
            if amount is not None and not 1 <= amount <= AMOUNT_MOST:
                raise Wrong("amount-invalid")
        asked = {"kind": kind, **terms}
        if posting_id in self.answers:
            first, answer = self.answers[posting_id]
            if first == asked:
                return answer, True
            raise Wrong("posting-conflict", *different(first, asked))
        if posting_id in self.issues:
            raise Wrong("posting-conflict", "kind")
        answer = getattr(self, f"_{kind}")(today, posting_id, **terms)
        self.answers[posting_id] = asked, answer
        return answer, False

    # --- moving ---

    def _move(self, day: date, source: str, target: str, points: int, grams: int) -> None:
        lot = self.lots.setdefault(day, {})
        for place, sign in ((source, -1), (target, 1)):
            before = lot.setdefault(place, [0, 0])
            way_in = place in {"issued", "carried_in"}
            before[0] += points if way_in else sign * points
            before[1] += grams if way_in else sign * grams
            assert min(before) >= 0, "nothing is ever negative"

    def _available(self, today: date) -> Iterator[tuple[date, int, int]]:
        """Yield what can be spent, the soonest to expire first; a lapsed lot is not seen."""
        for day in sorted(self.lots):
            points, grams = self.lots[day].get("available", (0, 0))
            if day >= today:
                yield day, points, grams

    def _spend(self, today: date, kind: str, target: str, points: int) -> Answer:
        lots = list(self._available(today))
        if self.available(today) < points:
            return Answer(refusal="insufficient-points")
        lines: list[Line] = []
        for day, there, grams in lots:
            part = min(points, there)
            if part:
                lines.append((kind, day, part, share(grams, part, there)))
                points -= part
        for _, day, part, grams in lines:
            self._move(day, "available", target, part, grams)
        return Answer(tuple(lines))

    # --- the chart, row by row ---

    def issue(self, transfer_id: UUID, day: date, points: int, grams: int) -> None:
        """Issue, and recover what is owed before anything else."""
        self.issues[transfer_id] = day, points, grams
        self._move(day, "issued", "available", points, grams)
        back = min(points, self.owed_points), min(grams, self.owed_grams)
        self._move(day, "available", "invalidated", *back)
        self.owed_points -= back[0]
        self.owed_grams -= back[1]

    def _hold(self, today: date, posting_id: UUID, points: int) -> Answer:
        answer = self._spend(today, "hold", "held", points)
        if answer.refusal is None:
            self.holds[posting_id] = [
                Reserved(number, day, points, grams, points, grams)
                for number, (_, day, points, grams) in enumerate(answer.lines)
            ]
        return answer

    def _release(
        self, today: date, _: UUID, hold_id: UUID, points: int | None, carry_to: date | None
    ) -> Answer:
        self._require_grace(today, carry_to)
        if hold_id not in self.holds:
            raise Wrong("hold-unknown")
        lines = self.holds[hold_id][::-1]
        wanted = points or sum(line.points_left for line in lines)
        if not 0 < wanted <= sum(line.points_left for line in lines):
            return Answer(refusal="hold-exceeded")
        moved = self._go_on("release", "held", "available", lines, wanted)
        return Answer((*moved, *self._carried(today, moved, carry_to)))

    def _capture(
        self, _: date, posting_id: UUID, hold_id: UUID, points: int, **_party: UUID
    ) -> Answer:
        if hold_id not in self.holds:
            raise Wrong("hold-unknown")
        lines = self.holds[hold_id]
        if points > sum(line.points_left for line in lines):
            return Answer(refusal="hold-exceeded")
        before = {line.number: (line.points_left, line.grams_left) for line in lines}
        moved = self._go_on("capture", "held", "redeemed", lines, points)
        self.captures[posting_id] = []
        for line in lines:
            gone = (
                before[line.number][0] - line.points_left,
                before[line.number][1] - line.grams_left,
            )
            if gone[0]:
                self.captures[posting_id].append(Reserved(line.number, line.day, *gone, *gone))
        return Answer(tuple(moved))

    def _restore(
        self, today: date, _: UUID, of_id: UUID, points: int | None, carry_to: date | None
    ) -> Answer:
        self._require_grace(today, carry_to)
        lines = self._captured(of_id)[::-1]
        wanted = points or sum(line.points_left for line in lines)
        if not 0 < wanted <= sum(line.points_left for line in lines):
            return Answer(refusal="capture-exceeded")
        moved = self._go_on("restore", "redeemed", "available", lines, wanted)
        return Answer((*moved, *self._carried(today, moved, carry_to)))

    def _pool(
        self, _today: date, _: UUID, of_id: UUID, points: int | None, **_party: UUID
    ) -> Answer:
        lines = self._captured(of_id)
        wanted = points or sum(line.points_left for line in lines)
        if not 0 < wanted <= sum(line.points_left for line in lines):
            return Answer(refusal="capture-exceeded")
        redeemed = sum(lot.get("redeemed", (0, 0))[1] for lot in self.lots.values())
        if grams_of(lines, wanted) > redeemed - self.owed_grams:
            return Answer(refusal="grams-owed")
        return Answer(tuple(self._go_on("pool", "redeemed", "pooled", lines, wanted)))

    def _retire(self, today: date, _: UUID, points: int | None, reduction_g: int | None) -> Answer:
        if points is not None:
            return self._spend(today, "retire", "retired", points)
        assert reduction_g is not None
        lots = list(self._available(today))
        if sum(lot[2] for lot in lots) < reduction_g:
            return Answer(refusal="insufficient-grams")
        lines: list[Line] = []
        for day, there, grams in lots:
            if there == 0 and 0 < reduction_g < grams:
                lines.append(("retire", day, 0, reduction_g))
                reduction_g = 0
            if reduction_g > 0 and grams > 0:
                fewest = next(
                    (p for p in range(1, there + 1) if share(grams, p, there) >= reduction_g),
                    there,
                )
                taken = grams if fewest == there else share(grams, fewest, there)
                lines.append(("retire", day, fewest, taken))
                reduction_g -= taken
        for _kind, day, part, taken in lines:
            self._move(day, "available", "retired", part, taken)
        return Answer(tuple(lines))

    def _donate(self, today: date, _: UUID, points: int, **_party: UUID) -> Answer:
        lots = list(self._available(today))
        if self.available(today) < points:
            return Answer(refusal="insufficient-points")
        given, rest = 0, points
        for _day, there, grams in lots:
            part = min(rest, there)
            given += share(grams, part, there) if part else 0
            rest -= part
        if given > sum(lot[2] for lot in lots) - self.owed_grams:
            return Answer(refusal="grams-owed")
        return self._spend(today, "donate", "pooled", points)

    def _extend(self, today: date, _: UUID, expires_on: date, carry_to: date) -> Answer:
        self._require_grace(today, carry_to)
        if carry_to <= expires_on:
            raise Wrong("carry-date-invalid")
        points, grams = self.lots.get(expires_on, {}).get("available", (0, 0))
        if expires_on < today or not (points or grams):
            return Answer(refusal="nothing-to-carry")
        return Answer(self._carry(expires_on, carry_to, points, grams))

    def extend_by_the_scheme(self, expires_on: date, carry_to: date) -> None:
        """Move what is available in a lot to another day."""
        points, grams = self.lots.get(expires_on, {}).get("available", (0, 0))
        if points or grams:
            self._carry(expires_on, carry_to, points, grams)

    def expire(self, today: date) -> None:
        """Book what lapsed."""
        for day, lot in self.lots.items():
            if day < today:
                self._move(day, "available", "expired", *lot.get("available", (0, 0)))

    def invalidate(self, today: date, issue_id: UUID) -> tuple[tuple[Line, ...], bool]:
        """Take an issue back, once; say what was taken and whether it was before."""
        if issue_id in self.invalidated:
            return self.invalidated[issue_id], True
        own, points, grams = self.issues[issue_id]
        lines: list[Line] = []
        for day, there, grams_there in sorted(
            self._available(today), key=lambda lot: (lot[0] != own, lot[0])
        ):
            part = min(points, there), min(grams, grams_there)
            if part != (0, 0):
                lines.append(("invalidate", day, *part))
                self._move(day, "available", "invalidated", *part)
                points, grams = points - part[0], grams - part[1]
        self.owed_points += points
        self.owed_grams += grams
        self.invalidated[issue_id] = tuple(lines)
        return tuple(lines), False

    # --- what several rows share ---

    def _captured(self, capture_id: UUID) -> list[Reserved]:
        if capture_id not in self.captures:
            raise Wrong("capture-unknown")
        return self.captures[capture_id]

    def _go_on(
        self, kind: str, source: str, target: str, lines: list[Reserved], points: int
    ) -> list[Line]:
        moved: list[Line] = []
        for line in lines:
            part = min(points, line.points_left)
            if part:
                grams = line.take(part)
                self._move(line.day, source, target, part, grams)
                moved.append((kind, line.day, part, grams))
                points -= part
        return moved

    def _require_grace(self, today: date, carry_to: date | None) -> None:
        if carry_to is not None and not today <= carry_to <= today + LIFE_LONGEST:
            raise Wrong("carry-date-invalid")

    def _carried(self, today: date, moved: list[Line], carry_to: date | None) -> Iterator[Line]:
        for _, day, points, grams in moved:
            if carry_to is not None and day < today:
                yield from self._carry(day, carry_to, points, grams)

    def _carry(self, day: date, carry_to: date, points: int, grams: int) -> tuple[Line, ...]:
        self._move(day, "available", "carried_out", points, grams)
        self._move(carry_to, "carried_in", "available", points, grams)
        return ("carry_out", day, points, grams), ("carry_in", carry_to, points, grams)


def grams_of(lines: list[Reserved], points: int) -> int:
    """Return the grams that would go with points of lines, without taking them."""
    grams = 0
    for line in (replace(each) for each in lines):
        part = min(points, line.points_left)
        grams += line.take(part) if part else 0
        points -= part
    return grams


def share(grams: int, part: int, points: int) -> int:
    """Return floor(g·p/P), which is everything when the last point goes."""
    return floor(Fraction(grams) * part / points)


def different(first: dict[str, Any], second: dict[str, Any]) -> set[str]:
    """Return the fields in which terms differ."""
    return {name for name in first | second if first.get(name) != second.get(name)}
