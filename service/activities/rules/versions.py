"""New versions of the scheme's rules: what they do not name stays as it was."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from service.activities.errors import RulesInvalid, SecondPersonNeeded, SourceNotNamed
from service.activities.rules.factor_entries import SOURCE_MIN_LENGTH, require_staff
from service.db import driver_connection
from service.units import exact_ratio

ONE_VERSION_AT_A_TIME: Final = 7_305_808
"""Advisory lock number: versions are counted without gaps."""

READ_VERSIONS = """
SELECT version, in_force_from, points_per_g, expiry_years, lateness_days, clock_tolerance_s,
       self_recorded_delay_days, source, proposed_by, approved_by, recorded_at
FROM scheme_rules
"""

IN_FORCE = (
    READ_VERSIONS + "WHERE in_force_from <= %s ORDER BY in_force_from DESC, version DESC LIMIT 1"
)

STORE_VERSION = """
INSERT INTO scheme_rules (version, in_force_from, points_per_g, expiry_years, lateness_days,
    clock_tolerance_s, self_recorded_delay_days, source, proposed_by, approved_by)
SELECT max(version) + 1, %(in_force_from)s, %(points_per_g)s, %(expiry_years)s,
    %(lateness_days)s, %(clock_tolerance_s)s, %(self_recorded_delay_days)s, %(source)s,
    %(proposed_by)s, %(approved_by)s
FROM scheme_rules
RETURNING version
"""

POINTS_PER_G_MAX = 1_000_000
LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "expiry_years": (1, 9),
    "lateness_days": (0, 366),
    "clock_tolerance_s": (0, 3600),
    "self_recorded_delay_days": (0, 366),
}
"""As the table's constraints have them."""


def add_rules(
    session: Session,
    in_force_from: date,
    changes: Mapping[str, Any],
    *,
    source: str,
    proposed_by: str,
    approved_by: str,
) -> int:
    """Add a version of the rules and return its number.

    Args:
        session: the caller's transaction.
        in_force_from: first day of the acts it applies to; may be past, because an act names the
            version it was judged by.
        changes: columns with new values; the others are copied from the rules of that day.
        source: the decision behind it.
        proposed_by: a staff member's name.
        approved_by: another one's.

    Raises:
        StaffUnknown, SecondPersonNeeded, SourceNotNamed
        RulesInvalid: a value is out of its limits, or no rules are in force on the day.
    """
    for name in (proposed_by, approved_by):
        require_staff(session, name)
    if proposed_by == approved_by:
        raise SecondPersonNeeded("Who proposed it cannot approve it. Please ask a colleague.")
    if len(source.strip()) < SOURCE_MIN_LENGTH:
        raise SourceNotNamed("Please name the decision, its date and who took it.")
    _check(changes)
    connection = driver_connection(session)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_VERSION_AT_A_TIME])
    row = connection.execute(
        STORE_VERSION,
        {
            **_rules_on(connection, in_force_from),
            **changes,
            "in_force_from": in_force_from,
            "source": source,
            "proposed_by": proposed_by,
            "approved_by": approved_by,
        },
    ).fetchone()
    assert row is not None  # noqa: S101  RETURNING
    return int(row[0])


def rule_versions(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Return every version of the rules, the oldest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(READ_VERSIONS + "ORDER BY version").fetchall()


def _rules_on(connection: psycopg.Connection[Any], day: date) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(IN_FORCE, [day]).fetchone()
    if found is None:
        raise RulesInvalid("No rules were in force on {day} to start from.", day=day.isoformat())
    return found


def _check(changes: Mapping[str, Any]) -> None:
    for name, (least, most) in LIMITS.items():
        if name in changes and not least <= changes[name] <= most:
            raise RulesInvalid(
                "{name} must be from {least} to {most}.", name=name, least=least, most=most
            )
    ratio = changes.get("points_per_g")
    if ratio is not None and not _is_decimal(ratio):
        raise RulesInvalid(
            "points_per_g must be a decimal number below {most} with at most 12 places.",
            most=POINTS_PER_G_MAX,
        )


def _is_decimal(text: str) -> bool:
    whole, _, places = text.partition(".")
    digits = whole + places
    if not (digits.isascii() and digits.isdigit() and whole and len(places) <= 12):  # noqa: PLR2004  said in the sentence
        return False
    return not text.endswith(".") and len(whole) <= 6 and exact_ratio(text) < POINTS_PER_G_MAX  # noqa: PLR2004  as the constraint
