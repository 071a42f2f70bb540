"""What the log takes: from a commit to the signed head that has it, and to prove one transfer."""

import random
import time
from collections.abc import Sequence
from datetime import date
from uuid import UUID, uuid4

from benchmarks.load import Load
from service.db import Database
from service.ledger.accounts import lock_account
from service.ledger.issuing import Issue, issue_lots
from service.transparency.errors import LogEmpty, TransferNotSealed
from service.transparency.proving import proof_of

PROBE_EVERY_S = 0.1
LOOK_EVERY_S = 0.02
GIVE_UP_AFTER_S = 600.0
LAST_DAY = date(2028, 12, 31).isoformat()


def time_to_head(database: Database, seconds: float) -> Load:
    """Commit a transfer again and again, and wait each time for the head that has it."""
    load, began_at = Load(), time.perf_counter()
    while time.perf_counter() - began_at < seconds:
        citizen_id, transfer_id = uuid4(), uuid4()
        with database.raw_transaction() as connection:
            issue = Issue(citizen_id.hex, transfer_id.hex, LAST_DAY, 1, 1)
            issue_lots(connection, lock_account(connection, citizen_id), [issue])
        committed_at = time.perf_counter()
        while not _is_sealed(database, citizen_id, transfer_id):
            if time.perf_counter() - committed_at > GIVE_UP_AFTER_S:
                raise SystemExit("No head came; is the sealer running?")
            time.sleep(LOOK_EVERY_S)
        load.answered += 1
        load.latencies_ms.append((time.perf_counter() - committed_at) * 1000)
        time.sleep(PROBE_EVERY_S)
    load.seconds = time.perf_counter() - began_at
    return load


def time_to_prove(database: Database, transfers: Sequence[tuple[UUID, UUID]], most: int) -> Load:
    """Build the proof file of sealed transfers, one after another."""
    load, began_at = Load(), time.perf_counter()
    for citizen_id, transfer_id in random.Random(1).sample(list(transfers), most):
        asked_at = time.perf_counter()
        with database.raw_transaction() as connection:
            proof_of(connection, citizen_id, transfer_id)
        load.answered += 1
        load.latencies_ms.append((time.perf_counter() - asked_at) * 1000)
    load.seconds = time.perf_counter() - began_at
    return load


def _is_sealed(database: Database, citizen_id: UUID, transfer_id: UUID) -> bool:
    try:
        with database.raw_transaction() as connection:
            proof_of(connection, citizen_id, transfer_id)
    except (LogEmpty, TransferNotSealed):
        return False
    return True
