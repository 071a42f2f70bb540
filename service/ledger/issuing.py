"""Certified grams become points: one transfer for each activity, one lot for each expiry date."""

from collections.abc import Sequence
from typing import NamedTuple

from service.ledger.accounts import Accounts
from service.ledger.clawback import recoveries, settle_owed
from service.ledger.transfers import NewTransfer, write_transfers
from service.pipelining import Connection


class Issue(NamedTuple):
    """Points and grams to be issued to one citizen, once."""

    citizen_id: str
    transfer_id: str
    """Chosen by the caller: an activity is issued under its own id, so it is issued once."""
    expires_on: str
    """ISO 8601."""
    points: int
    reduction_g: int


def issue_lots(connection: Connection, accounts: Accounts, issues: Sequence[Issue]) -> None:
    """Issue points and the grams behind them into the citizens' lots, set-wise.

    Who owes a claw-back pays it before anything else. The caller holds the accounts' locks and
    knows under them that the transfer ids are new; one that is not raises a unique violation, and
    nothing of the transaction happens.

    Args:
        connection: inside the caller's transaction.
        accounts: locked by it.
        issues: points ≥ 0, reduction_g ≥ 0, not both zero.
    """
    if not issues:
        return
    issued = [
        NewTransfer(citizen, transfer, "issue", expires_on, points, grams)
        for citizen, transfer, expires_on, points, grams in issues
    ]
    recovered = list(recoveries(accounts, issued))
    write_transfers(connection, accounts, [*issued, *recovered])
    if recovered:
        settle_owed(connection, accounts, recovered)
