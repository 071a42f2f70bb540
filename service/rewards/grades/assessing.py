"""A citizen's grade on a day: asked of the tables, decided by `judging`."""

from datetime import date, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from service.activities.totals import ask_certified_totals, totals_from
from service.clock import start_of
from service.pipelining import Connection, Rows
from service.rewards.grades.judging import Assessment, Raised, Rules, judge, window_of
from service.rewards.grades.versions import ask_rules, not_in_force, rules_from

# The last word of a human that still holds; it was spoken before, or on, the day asked about.
READ_RAISED: Final = """
SELECT d.review_id, d.grade, d.holds_until
FROM grade_review r
JOIN grade_review_decision d ON d.citizen_id = r.citizen_id AND d.review_id = r.id
WHERE r.citizen_id = %s AND r.rules_name = %s AND d.decision = 'changed' AND d.holds_until >= %s
  AND d.recorded_at < %s
ORDER BY d.recorded_at DESC LIMIT 1
"""


ONE_DAY: Final = timedelta(days=1)
"""Shanghai has no summer time."""


class Asked(NamedTuple):
    """What has been asked about a grade and waits to be read."""

    citizen_id: UUID
    rules_name: str
    on: date
    rules: Rows
    raised: Rows


def ask_grade(connection: Connection, citizen_id: UUID, rules_name: str, on: date) -> Asked:
    """Ask what does not depend on an answer; `assessed` reads it and asks for the facts."""
    return Asked(
        citizen_id,
        rules_name,
        on,
        ask_rules(connection, rules_name, on),
        connection.execute(READ_RAISED, (citizen_id, rules_name, on, start_of(on) + ONE_DAY)),
    )


def assessed(connection: Connection, asked: Asked) -> Assessment | None:
    """Return the assessment that was asked for; None: no such rules are in force."""
    rules = rules_from(asked.rules)
    if rules is None:
        return None
    return _judged(connection, asked, rules)


def assess(connection: Connection, citizen_id: UUID, rules_name: str, on: date) -> Assessment:
    """Return a citizen's grade on a day, with its reasons.

    The same facts give the same answer, and the same `facts_digest`.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        rules_name: by which rules; the version in force on the day counts.
        on: Asia/Shanghai; the window's last day.

    Raises:
        GradeRulesNotInForce: nobody has put rules of this name in force.
    """
    found = assessed(connection, ask_grade(connection, citizen_id, rules_name, on))
    if found is None:
        raise not_in_force(rules_name)
    return found


def _judged(connection: Connection, asked: Asked, rules: Rules) -> Assessment:
    window = window_of(rules.window_months, asked.on)
    until = start_of(window.last) + ONE_DAY
    rows = ask_certified_totals(connection, asked.citizen_id, start_of(window.first), until)
    row = asked.raised.fetchone()
    return judge(rules, asked.on, totals_from(rows), None if row is None else Raised(*row))
