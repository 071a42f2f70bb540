"""The rules in force: the scheme's own, and the methodologies with every approved factor."""

import threading
import time
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from psycopg.rows import class_row

from service.methodologies import Library
from service.methodologies.factors import EnteredFactor
from service.pipelining import Connection
from service.units import exact_ratio

FRESH_FOR_S = 1.0
"""How long a process may work with the rules it has read; what it used is stored with each act."""

DAYS_REMEMBERED = 4_000
"""Ten years of days; a source that asks for more has no business to fill our memory."""

READ_RULES = """
SELECT version, in_force_from, points_per_g, expiry_years, lateness_days, clock_tolerance_s,
       self_recorded_delay_days, source
FROM scheme_rules ORDER BY in_force_from, version
"""

READ_FACTORS = """
SELECT f.id::text AS entry_id, f.key, f.region, f.value, f.unit, f.in_force_from, f.source, f.grade
FROM entered_factor f JOIN factor_approval a ON a.entered_factor_id = f.id
ORDER BY f.in_force_from, a.recorded_at
"""

READ_EDITION = """
SELECT (SELECT count(*) FROM scheme_rules), (SELECT count(*) FROM factor_approval)
"""


@dataclass(frozen=True, slots=True)
class SchemeRules:
    """One version of the scheme's rules, as intake applies it."""

    version: int
    in_force_from: date
    points_per_g: str
    expiry_years: int
    lateness_days: int
    clock_tolerance_s: int
    self_recorded_delay_days: int
    source: str

    @property
    def ratio(self) -> Fraction:
        """Points per gram, exactly."""
        return exact_ratio(self.points_per_g)

    def expiry_of(self, day: date) -> date:
        """Return the last day on which points of an act can be spent: a quarter's last day."""
        month = (day.month - 1) // 3 * 3 + 3
        year = day.year + self.expiry_years
        return date(year, month, monthrange(year, month)[1])


class DayTerms(NamedTuple):
    """What the rules in force say about every act of one day, worked out once."""

    day: date
    rules: SchemeRules
    expires_on: str
    """ISO 8601: the points' last day."""
    points: int
    per_g: int
    """`points / per_g`: points per gram as a ratio of whole numbers."""


class Rulebook:
    """One edition of the rules; immutable, so a feed is judged by one edition from end to end."""

    def __init__(
        self, edition: tuple[int, int], rules: tuple[SchemeRules, ...], library: Library
    ) -> None:
        self.edition = edition
        self.rules = rules
        self.library = library
        self._terms: dict[date, DayTerms] = {}

    def terms_of(self, day: date) -> DayTerms | None:
        """Return the terms for acts of a day, or None before the first rules were in force."""
        found = self._terms.get(day)
        if found is None:
            in_force = [rules for rules in self.rules if rules.in_force_from <= day]
            if not in_force:
                return None
            rules = max(in_force, key=lambda each: (each.in_force_from, each.version))
            ratio = rules.ratio
            if len(self._terms) >= DAYS_REMEMBERED:
                self._terms.clear()
            found = DayTerms(
                day, rules, rules.expiry_of(day).isoformat(), ratio.numerator, ratio.denominator
            )
            self._terms[day] = found
        return found


class Shelf:
    """Keeps the present edition for the threads of a process, and looks for a newer one."""

    def __init__(self) -> None:
        self._rulebook: Rulebook | None = None
        self._fresh_until = 0.0
        self._reading = threading.Lock()

    def rulebook(self, connection: Connection) -> Rulebook:
        """Return the edition in force, at most `FRESH_FOR_S` old."""
        present = self._rulebook
        if present is not None and time.monotonic() < self._fresh_until:
            return present
        with self._reading:
            edition = _edition(connection)
            if self._rulebook is None or self._rulebook.edition != edition:
                self._rulebook = read_rulebook(connection)
            self._fresh_until = time.monotonic() + FRESH_FOR_S
            return self._rulebook


def read_rulebook(connection: Connection) -> Rulebook:
    """Read the rules and every approved factor."""
    edition = _edition(connection)
    with connection.cursor(row_factory=class_row(SchemeRules)) as cursor:
        rules = tuple(cursor.execute(READ_RULES).fetchall())
    return Rulebook(edition, rules, Library.load(entered=approved_factors(connection)))


def approved_factors(connection: Connection) -> tuple[EnteredFactor, ...]:
    """Return what authorities have entered and a second person has approved."""
    with connection.cursor(row_factory=class_row(EnteredFactor)) as cursor:
        return tuple(cursor.execute(READ_FACTORS).fetchall())


def _edition(connection: Connection) -> tuple[int, int]:
    row = connection.execute(READ_EDITION).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return row[0], row[1]
