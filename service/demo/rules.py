"""The rules version under which a whole past month can still be reported."""

from datetime import date, timedelta

from service import clock
from service.activities.rulebook import SchemeRules, read_rulebook
from service.runtime import Runtime

LATENESS_DAYS = 40

ADD_VERSION = """
INSERT INTO scheme_rules (version, in_force_from, points_per_g, expiry_years, lateness_days,
    clock_tolerance_s, self_recorded_delay_days, source, proposed_by, approved_by)
SELECT (SELECT max(version) + 1 FROM scheme_rules), %s, points_per_g, expiry_years, %s,
    clock_tolerance_s, self_recorded_delay_days, %s, 'demonstration, drafted',
    'demonstration, approved'
FROM scheme_rules WHERE version = %s
"""

SOURCE = "Demonstration: version {version}, but a whole month may be reported at once."


def allow_a_month(runtime: Runtime, first_day: date) -> SchemeRules:
    """Put rules in force that accept records of `LATENESS_DAYS`, unless they are; return them."""
    rules = _rules_on(runtime, first_day)
    days = (clock.today() - first_day).days
    present = {_rules_on(runtime, first_day + timedelta(days=n)) for n in range(days + 1)}
    if any(each.lateness_days < LATENESS_DAYS for each in present):
        terms = (first_day, LATENESS_DAYS, SOURCE.format(version=rules.version), rules.version)
        with runtime.database.raw_transaction() as connection:
            connection.execute(ADD_VERSION, terms)
    return _rules_on(runtime, first_day)


def _rules_on(runtime: Runtime, day: date) -> SchemeRules:
    with runtime.database.raw_transaction() as connection:
        terms = read_rulebook(connection).terms_of(day)
    assert terms is not None  # noqa: S101  the founding rules are older than any month played
    return terms.rules
