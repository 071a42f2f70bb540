"""Redemptions that people have to look at: unknown ones, and disputed ones."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.ids import OFFER, PARTNER, REDEMPTION, public_id
from service.pipelining import Connection
from service.rewards.offers.catalogue import terms_of
from service.rewards.redemptions.disputing import dispute_of
from service.rewards.redemptions.forcing import proposals_of
from service.rewards.redemptions.reading import records_of, redemption_of, redemption_view

LIST: Final = """
SELECT id, state, needs_human, asked, partner_id, offer_id, points, recorded_at FROM redemption
WHERE state IN ('unknown', 'disputed')
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(needs_human)s::boolean IS NULL OR needs_human = %(needs_human)s)
  AND (recorded_at, id) > (%(recorded_at)s::timestamptz, %(last)s::uuid)
ORDER BY recorded_at, id LIMIT %(rows)s
"""

READ_INQUIRIES: Final = """
SELECT no, answer, body, recorded_at FROM inquiry WHERE redemption_id = %s ORDER BY no
"""

FIRST: Final = ("-infinity", UUID(int=0))


class Case(NamedTuple):
    """One of them, in a list."""

    id: UUID
    state: str
    needs_human: bool
    asked: int
    partner_id: UUID
    offer_id: UUID
    points: int
    recorded_at: datetime

    def view(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return self._asdict() | {
            "id": public_id(REDEMPTION, self.id),
            "partner_id": public_id(PARTNER, self.partner_id),
            "offer_id": public_id(OFFER, self.offer_id),
            "recorded_at": self.recorded_at.isoformat(),
        }


def cases(
    connection: Connection,
    *,
    state: str | None,
    needs_human: bool | None,
    rows: int,
    after: tuple[datetime, UUID] | None,
) -> list[Case]:
    """Return cases, the oldest redemption first.

    Args:
        connection: inside the caller's transaction.
        state: only those in it; None: both.
        needs_human: only those that nobody knows of for too long, or only the others.
        rows: at most so many.
        after: `recorded_at` and `id` of the last one seen; None: from the oldest.
    """
    recorded_at, last = after or FIRST
    asked = {
        "state": state,
        "needs_human": needs_human,
        "rows": rows,
        "recorded_at": recorded_at,
        "last": last,
    }
    return [Case._make(row) for row in connection.execute(LIST, asked)]


def case_view(connection: Connection, redemption_id: UUID) -> dict[str, Any]:
    """Return all that staff decide by, whatever state it is in; who she is stays unsaid.

    Raises:
        RedemptionUnknown: there is none.
    """
    redemption = redemption_of(connection, redemption_id)
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    return {
        **redemption_view(redemption, terms),
        "needs_human": redemption.needs_human,
        "records": records_of(connection, redemption_id),
        "inquiries": _inquiries(connection, redemption_id),
        "dispute": [step.view() for step in dispute_of(connection, redemption)],
        "forced_resolutions": [each.view() for each in proposals_of(connection, redemption_id)],
    }


def _inquiries(connection: Connection, redemption_id: UUID) -> list[dict[str, Any]]:
    rows = connection.execute(READ_INQUIRIES, (redemption_id,))
    return [
        {"no": no, "answer": answer, "details": body, "recorded_at": recorded_at.isoformat()}
        for no, answer, body, recorded_at in rows
    ]
