"""Whether a citizen may spend now: asked in the transaction that spends."""

from typing import Final
from uuid import UUID

from service import clock
from service.identity.errors import AccountFrozen, CitizenUnknown, SpendingHeld
from service.pipelining import Connection, Rows

# Shared, so that a freeze or an erasure that is under way comes before or after, never between.
READ: Final = "SELECT state, spending_held_until FROM citizen WHERE citizen_id = %s FOR SHARE"


def require_may_spend(connection: Connection, citizen_id: UUID) -> None:
    """Refuse whoever cannot spend points now.

    Raises:
        CitizenUnknown: there is no such account, or it has been erased.
        AccountFrozen
        SpendingHeld: her number or a device changed within the last 72 hours.
    """
    refuse_unless_may_spend(ask_may_spend(connection, citizen_id))


def ask_may_spend(connection: Connection, citizen_id: UUID) -> Rows:
    """Ask whether a citizen may spend; `refuse_unless_may_spend` reads the answer."""
    return connection.execute(READ, (citizen_id,))


def refuse_unless_may_spend(asked: Rows) -> None:
    """Refuse as `require_may_spend`, by what was asked for."""
    state, held_until = asked.fetchone() or ("erased", None)
    if state == "erased":
        raise CitizenUnknown("There is no such account.")
    if state == "frozen":
        raise AccountFrozen("Your account is frozen. Please contact the service.")
    if held_until is not None and held_until > clock.now():
        raise SpendingHeld(
            "Your number or a device has changed: points can be spent again from {held_until}.",
            held_until=held_until.isoformat(),
        )
