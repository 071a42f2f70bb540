"""Accepting a batch: each redemption that was captured in it is settled, once."""

from typing import Any, Final
from uuid import UUID

import psycopg

from service.rewards.redemptions.settling import settle
from service.rewards.redemptions.steps import Actor
from service.rewards.settlement.batches import Batch, batch_by_id, be_patient, move
from service.rewards.settlement.errors import SettlementExceptionsOpen

OPEN: Final = """
SELECT count(*) FROM reconciliation_exception WHERE batch_id = %s AND state IN ('open', 'proposed')
"""

CAPTURES: Final = """
SELECT redemption_id, record_id FROM settlement_line
WHERE batch_id = %s AND record_type = 'CAPTURE' ORDER BY redemption_id
"""


def accept_batch(connection: psycopg.Connection[Any], batch_id: UUID, actor: Actor) -> Batch:
    """Accept a batch whose exceptions are all resolved; again, it stays accepted.

    Args:
        connection: inside the caller's transaction.
        batch_id: which.
        actor: who accepts it.

    Raises:
        SettlementBatchUnknown: there is none.
        SettlementExceptionsOpen: something is not resolved.
        SettlementBatchClosed: it was not matched, or counts no more.
    """
    be_patient(connection)
    batch = batch_by_id(connection, batch_id, locked=True)
    if batch.state == "accepted":
        return batch
    row = connection.execute(OPEN, [batch_id]).fetchone()
    if row is not None and row[0]:
        raise SettlementExceptionsOpen(
            "{open} exceptions of the batch have to be resolved first.", open=row[0]
        )
    return settle_batch(connection, batch, actor)


def settle_batch(connection: psycopg.Connection[Any], batch: Batch, actor: Actor) -> Batch:
    """Lead a batch that the caller has locked into its last state, and settle what is in it.

    Raises:
        SettlementBatchClosed: it was not matched, or counts no more.
    """
    accepted = move(connection, batch, "accepted", actor)
    captures = dict(connection.execute(CAPTURES, [batch.id]).fetchall())
    settle(connection, captures, batch.public_id)
    return accepted
