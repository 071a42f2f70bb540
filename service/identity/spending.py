"""Whether a citizen may spend now: asked in the transaction that spends."""

from typing import Any
from uuid import UUID

import psycopg

from service import clock
from service.identity.errors import AccountFrozen, CitizenUnknown, SpendingHeld

# Shared, so that a freeze or an erasure that is under way comes before or after, never between.
READ = "SELECT state, spending_held_until FROM citizen WHERE citizen_id = %s FOR SHARE"


def require_may_spend(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Refuse whoever cannot spend points now.

    Raises:
        CitizenUnknown: there is no such account, or it has been erased.
        AccountFrozen
        SpendingHeld: her number or a device changed within the last 72 hours.
    """
    state, held_until = connection.execute(READ, (citizen_id,)).fetchone() or ("erased", None)
    if state == "erased":
        raise CitizenUnknown("There is no such account.")
    if state == "frozen":
        raise AccountFrozen("Your account is frozen. Please contact the service.")
    if held_until is not None and held_until > clock.now():
        raise SpendingHeld(
            "Your number or a device has changed: points can be spent again from {held_until}.",
            held_until=held_until.isoformat(),
        )
