"""What an import has come to: every row and every line of it, told as a table or as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from service.activities.feeds import ActivityLine, ReadCounts
from service.activities.intake.outcomes import Outcome

VERDICTS = ("certified", "pending", "duplicate", "conflict", "refused")

Cell = tuple[int, str, str]
"""Depth, what is counted, and how many."""


@dataclass
class BehaviorTotals:
    """What the lines of one behavior came to; grams and points are those certified now."""

    lines: int = 0
    certified: int = 0
    pending: int = 0
    reduction_g: int = 0
    points: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one line."""
        self.lines += 1
        self.pending += outcome.verdict == "pending"
        if outcome.verdict == "certified":
            self.certified += 1
            self.reduction_g += outcome.reduction_g or 0
            self.points += outcome.points or 0


@dataclass
class ImportTotals:
    """The account of one import, complete once every line has its verdict."""

    counts: ReadCounts
    verdicts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    behaviors: dict[str, BehaviorTotals] = field(default_factory=dict)
    citizens_made: int = 0

    @property
    def lines_answered(self) -> int:
        """Lines that have a verdict so far."""
        return self.verdicts.total()

    def add(self, lines: Sequence[ActivityLine], outcomes: Sequence[Outcome]) -> None:
        """Count the verdicts on one feed.

        Args:
            lines: of the feed, as they were handed in.
            outcomes: one for each, which name their lines from 1.
        """
        for outcome in outcomes:
            self.verdicts[outcome.verdict] += 1
            if outcome.verdict == "refused":
                self.refused[outcome.code or ""] += 1
            behavior = lines[outcome.line - 1].behavior
            self.behaviors.setdefault(behavior, BehaviorTotals()).add(outcome)

    def check(self) -> None:
        """Refuse an account in which a row or a line is missing or counted twice.

        Raises:
            RuntimeError: rows are not used, dropped and without account; or lines not verdicts.
        """
        self.counts.check()
        sums = (
            self.lines_answered,
            self.verdicts.total() - self.verdicts["refused"] + self.refused.total(),
            sum(each.lines for each in self.behaviors.values()),
        )
        if set(sums) != {self.counts.lines}:
            raise RuntimeError(f"{self.counts.lines} lines were handed in, {sums} are explained")

    def as_json(self) -> dict[str, Any]:
        """Return the totals for a program."""
        counts = self.counts
        return {
            "rows": {
                "read": counts.rows_read,
                "used": counts.used,
                "dropped": dict(counts.dropped.most_common()),
                "without_account": counts.parsed_without_account,
            },
            "reference_rows": {
                "read": counts.reference.rows_read,
                "dropped": dict(counts.reference.dropped.most_common()),
            },
            "lines": counts.lines,
            "verdicts": {verdict: self.verdicts[verdict] for verdict in VERDICTS},
            "refused": dict(self.refused.most_common()),
            "behaviors": {name: asdict(each) for name, each in sorted(self.behaviors.items())},
            "citizens_made": self.citizens_made,
        }

    def as_table(self) -> str:
        """Return the totals for a person at a terminal."""
        cells = [*self._rows(), *self._lines()]
        width = max(2 * depth + len(what) for depth, what, _ in cells)
        table = [f"{'  ' * depth + what:<{width}}  {number:>12}" for depth, what, number in cells]
        return "\n".join([*table, *self._behaviors()])

    def _rows(self) -> Iterator[Cell]:
        counts = self.counts
        yield 0, "rows read", f"{counts.rows_read:,}"
        yield 1, "used", f"{counts.used:,}"
        yield 1, "dropped", f"{counts.dropped.total():,}"
        yield from _by_reason(counts.dropped)
        yield 1, "without account", f"{counts.parsed_without_account:,}"
        if counts.reference.rows_read:
            yield 0, "rows of look-up tables", f"{counts.reference.rows_read:,}"
            yield from _by_reason(counts.reference.dropped)

    def _lines(self) -> Iterator[Cell]:
        yield 0, "activity lines", f"{self.counts.lines:,}"
        for verdict in VERDICTS:
            if self.verdicts[verdict]:
                yield 1, verdict, f"{self.verdicts[verdict]:,}"
        yield from _by_reason(self.refused)
        if self.citizens_made:
            yield 0, "simulated citizens made", f"{self.citizens_made:,}"

    def _behaviors(self) -> Iterator[str]:
        if not self.behaviors:
            return
        yield ""
        yield (
            f"{'behavior':<22}{'lines':>10}{'certified':>11}{'pending':>9}"
            f"{'g CO2e':>15}{'points':>15}"
        )
        for name, each in sorted(self.behaviors.items()):
            yield (
                f"{name:<22}{each.lines:>10,}{each.certified:>11,}{each.pending:>9,}"
                f"{each.reduction_g:>15,}{each.points:>15,}"
            )


def _by_reason(reasons: Counter[str]) -> Iterator[Cell]:
    for reason, number in reasons.most_common():
        yield 2, reason, f"{number:,}"
