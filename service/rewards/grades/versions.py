"""Versions of grade rules: one person enters them with their source, another one approves.

In force on a day is the newest approved version whose first day has come. A first day may lie in
the past: what was decided by an earlier version keeps its number.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service.pipelining import Connection, Rows
from service.rewards.errors import same_person_approval
from service.rewards.grades.errors import (
    GradeRulesInvalid,
    GradeRulesNotInForce,
    GradeRulesUnknown,
)
from service.rewards.grades.judging import Rules, Threshold, rank

ONE_VERSION_AT_A_TIME: Final = 7_305_813
"""Advisory lock number: versions are counted without gaps."""

SOURCE_MIN_LENGTH: Final = 10

STORE: Final = """
INSERT INTO grade_rules
    (name, version, effective_from, window_months, thresholds, source, entered_by)
SELECT %(name)s, coalesce(max(version), 0) + 1, %(effective_from)s, %(window_months)s,
    %(thresholds)s, %(source)s, %(entered_by)s
FROM grade_rules WHERE name = %(name)s
RETURNING version
"""

APPROVE: Final = """
INSERT INTO grade_rules_approval (name, version, approved_by) VALUES (%s, %s, %s)
ON CONFLICT DO NOTHING
"""

_READ: Final = """
SELECT r.name, r.version, r.effective_from, r.window_months, r.thresholds, r.source, r.entered_by,
       r.recorded_at, a.recorded_at AS approved_at,
       coalesce(r.version = (
           SELECT max(i.version) FROM grade_rules i JOIN grade_rules_approval USING (name, version)
           WHERE i.name = r.name AND i.effective_from <= %(today)s
       ), false) AS is_in_force
FROM grade_rules r
LEFT JOIN grade_rules_approval a ON a.name = r.name AND a.version = r.version
"""

READ_ONE: Final = f"{_READ} WHERE r.name = %(name)s AND r.version = %(version)s"

READ_PAGE: Final = f"""{_READ}
WHERE (%(name)s::text IS NULL OR r.name = %(name)s)
  AND (r.name, r.version) > (%(after_name)s, %(after_version)s)
ORDER BY r.name, r.version LIMIT %(rows)s
"""

IN_FORCE: Final = """
SELECT r.name, r.version, r.window_months, r.thresholds
FROM grade_rules r JOIN grade_rules_approval a ON a.name = r.name AND a.version = r.version
WHERE r.name = %s AND r.effective_from <= %s
ORDER BY r.version DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class NewRules:
    """What somebody proposes, and where it was decided."""

    name: str
    effective_from: date
    window_months: int
    thresholds: tuple[Threshold, ...]
    source: str


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """A version of grade rules, as everybody may see it."""

    name: str
    version: int
    effective_from: date
    window_months: int
    thresholds: list[dict[str, Any]]
    source: str
    entered_by: UUID
    recorded_at: datetime
    approved_at: datetime | None
    is_in_force: bool


def enter_rules(
    connection: psycopg.Connection[Any], rules: NewRules, entered_by: UUID, today: date
) -> RulesVersion:
    """Enter a version; it counts for nothing until somebody else has approved it.

    Raises:
        GradeRulesInvalid: a grade stands twice, a higher one takes less, or no source is named.
    """
    ordered = _checked(rules)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_VERSION_AT_A_TIME])
    terms = {
        "name": rules.name,
        "effective_from": rules.effective_from,
        "window_months": rules.window_months,
        "thresholds": json.dumps([each._asdict() for each in ordered]),
        "source": rules.source.strip(),
        "entered_by": entered_by,
    }
    row = connection.execute(STORE, terms).fetchone()
    assert row is not None  # noqa: S101  RETURNING
    return rules_version(connection, rules.name, row[0], today)


def approve_rules(
    connection: psycopg.Connection[Any], name: str, version: int, approved_by: UUID, today: date
) -> RulesVersion:
    """Approve what a colleague has entered; once more changes nothing.

    Raises:
        GradeRulesUnknown: there is no such version.
        SamePersonApproval: it is one's own.
    """
    found = rules_version(connection, name, version, today)
    if found.entered_by == approved_by:
        raise same_person_approval()
    connection.execute(APPROVE, (name, version, approved_by))
    return rules_version(connection, name, version, today)


def rules_version(
    connection: psycopg.Connection[Any], name: str, version: int, today: date
) -> RulesVersion:
    """Return one version.

    Raises:
        GradeRulesUnknown: there is no such version.
    """
    # What no name can hold is asked for as the empty one, which no rules have.
    asked = {"name": "" if "\0" in name else name, "version": version, "today": today}
    with connection.cursor(row_factory=class_row(RulesVersion)) as cursor:
        found = cursor.execute(READ_ONE, asked).fetchone()
    if found is None:
        raise GradeRulesUnknown(
            "There are no grade rules {name} version {version}.", name=name, version=version
        )
    return found


def rules_versions(
    connection: psycopg.Connection[Any],
    today: date,
    *,
    name: str | None,
    rows: int,
    after: tuple[str, int] = ("", 0),
) -> list[RulesVersion]:
    """Return versions by name and number: of one name, or all."""
    asked = {
        "name": name,
        "today": today,
        "rows": rows,
        "after_name": after[0],
        "after_version": after[1],
    }
    with connection.cursor(row_factory=class_row(RulesVersion)) as cursor:
        return cursor.execute(READ_PAGE, asked).fetchall()


def ask_rules(connection: Connection, name: str, on: date) -> Rows:
    """Ask for the rules in force on a day; `rules_from` reads the answer."""
    return connection.execute(IN_FORCE, (name, on))


def rules_from(rows: Rows) -> Rules | None:
    """Return the rules that were asked for; None: none are in force."""
    row = rows.fetchone()
    if row is None:
        return None
    name, version, window_months, thresholds = row
    return Rules(name, version, window_months, tuple(Threshold(**each) for each in thresholds))


def not_in_force(name: str) -> GradeRulesNotInForce:
    """Return the refusal to judge by rules that nobody has put in force."""
    return GradeRulesNotInForce("No grade rules {name} are in force on this day.", name=name)


def _checked(rules: NewRules) -> Sequence[Threshold]:
    """Return the thresholds, the lowest grade first."""
    if len(rules.source.strip()) < SOURCE_MIN_LENGTH:
        raise GradeRulesInvalid(
            "Please name the source: who decided these thresholds, when, and where it stands."
        )
    ordered = sorted(rules.thresholds, key=lambda each: rank(each.grade))
    if len({each.grade for each in ordered}) < len(ordered):
        raise GradeRulesInvalid("Each grade can have one threshold.")
    for lower, higher in pairwise(ordered):
        if not _takes_more(higher, lower):
            raise GradeRulesInvalid("A higher grade has to take more than a lower one.")
    return ordered


def _takes_more(higher: Threshold, lower: Threshold) -> bool:
    steps = [more - less for more, less in zip(higher[1:], lower[1:], strict=True)]
    return min(steps) >= 0 and max(steps) > 0
