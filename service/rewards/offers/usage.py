"""How much of an offer is taken: counted anew from redemptions, beside what the counter says."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.rewards.offers.counters import Counter

HOLDS: Final = "redemption.closed_at IS NULL"
"""SQL: the redemption has not given back what it took of quota, budget and caps.

What ends without a benefit gives it back; an expired one when its grace is over, a reversed one
never."""

SUBSIDY_HELD: Final = """
CASE WHEN redemption.state IN ('reserved', 'submitted', 'unknown', 'expired')
THEN redemption.subsidy_minor ELSE redemption.captured_subsidy_minor END
"""
"""SQL: what it holds of the budget; a partial capture has given back the rest."""

# One statement, so that all of it is of one moment.
READ_USAGE: Final = f"""
SELECT quota, taken, budget_minor, budget_taken_minor,
       coalesce(counted.redemptions, 0), coalesce(counted.subsidy_minor, 0), counted.by_state,
       (SELECT coalesce(max(seq), 0) FROM partner_event
        WHERE partner_event.partner_id = offer.partner_id),
       clock_timestamp()
FROM offer_counter JOIN offer ON offer.id = offer_counter.offer_id
CROSS JOIN LATERAL (
    SELECT sum(redemptions)::bigint AS redemptions,
           sum(subsidy_minor)::bigint AS subsidy_minor,
           jsonb_object_agg(state, of_state) AS by_state
    FROM (
        SELECT state, count(*) AS of_state,
               count(*) FILTER (WHERE {HOLDS}) AS redemptions,
               sum({SUBSIDY_HELD}) FILTER (WHERE {HOLDS}) AS subsidy_minor
        FROM redemption WHERE redemption.offer_id = offer.id GROUP BY state) AS one_state
) AS counted
WHERE offer_counter.offer_id = %s
"""


class Usage(NamedTuple):
    """How much of an offer is taken at one moment."""

    counter: Counter
    taken: int
    """Redemptions that hold a place, counted one by one."""
    budget_taken_minor: int
    """What those hold of the budget, in fen."""
    by_state: dict[str, int]
    as_of_seq: int
    """The partner's newest event at that moment."""
    as_of: datetime

    @property
    def agrees(self) -> bool:
        """Whether the counter says what the redemptions say."""
        counted = (self.taken, self.budget_taken_minor)
        return counted == (self.counter.taken, self.counter.budget_taken_minor)


def usage_of(connection: psycopg.Connection[Any], offer_id: UUID) -> Usage:
    """Return how much of an offer is taken; the offer is known to be there."""
    row = connection.execute(READ_USAGE, (offer_id,)).fetchone()
    assert row is not None  # noqa: S101  the counter is made together with the offer
    *counter, taken, budget_taken_minor, by_state, as_of_seq, as_of = row
    return Usage(Counter(*counter), taken, budget_taken_minor, by_state or {}, as_of_seq, as_of)
