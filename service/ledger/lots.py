"""A citizen's lots as far as they can be spent."""

from datetime import date
from typing import Final
from uuid import UUID

from service import clock
from service.ledger.apportioning import LiveLot
from service.pipelining import Connection, Rows

LIVE_LOTS: Final = """
SELECT expires_on, available_points, available_g FROM lot
WHERE citizen_id = %s AND expires_on >= %s AND (available_points > 0 OR available_g > 0)
ORDER BY expires_on
"""


def ask_live_lots(connection: Connection, citizen_id: UUID) -> Rows:
    """Ask for the lots that have not lapsed and have something left, the soonest first."""
    return connection.execute(LIVE_LOTS, (citizen_id, clock.today()))


def live_lots(asked: Rows) -> list[LiveLot]:
    """Return the answer."""
    return [LiveLot._make(row) for row in asked.fetchall()]


def has_lapsed(expires_on: date) -> bool:
    """Whether a lot's last day is over."""
    return expires_on < clock.today()
