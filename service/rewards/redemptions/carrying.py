"""Points that come back into a lot that lapsed meanwhile live on for the grace that is promised."""

from datetime import date, timedelta

from service import clock
from service.rewards.offers.terms import Terms


def grace_day(terms: Terms) -> date | None:
    """Return the last day of a grace lot; None where the terms promise none."""
    days = terms.reversal.grace_days
    return clock.today() + timedelta(days=days) if days else None
