"""The rules version under which a whole past month can still be reported."""

from datetime import date, timedelta

from service import clock
from service.activities.rules.rulebook import SchemeRules, read_rulebook
from service.activities.rules.versions import add_rules
from service.identity.staff import add_staff
from service.runtime import Runtime

LATENESS_DAYS = 40
SOURCE = "Demonstration: records of a whole past month may come at once."


def allow_a_month(runtime: Runtime, first_day: date, run: int) -> SchemeRules:
    """Put rules in force that accept records of `LATENESS_DAYS`, unless they are; return them.

    As `carbon rules add` does it: one operator proposes, another one approves.
    """
    days = (clock.today() - first_day).days
    present = (_rules_on(runtime, first_day + timedelta(days=n)) for n in range(days + 1))
    if any(rules.lateness_days < LATENESS_DAYS for rules in present):
        two = [f"sim-demo-operator-{letter}-{run}" for letter in "ab"]
        with runtime.database.transaction() as session:
            for name in two:
                add_staff(session, runtime.keys, name, "operator")
            add_rules(
                session,
                first_day,
                {"lateness_days": LATENESS_DAYS},
                source=SOURCE,
                proposed_by=two[0],
                approved_by=two[1],
            )
    return _rules_on(runtime, first_day)


def _rules_on(runtime: Runtime, day: date) -> SchemeRules:
    with runtime.database.raw_transaction() as connection:
        terms = read_rulebook(connection).terms_of(day)
    assert terms is not None  # noqa: S101  the founding rules are older than any month played
    return terms.rules
