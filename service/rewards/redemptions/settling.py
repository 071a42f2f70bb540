"""A capture that both sides have in their books is settled: nothing moves, and it is final."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import psycopg

from service.rewards.redemptions.steps import COLUMNS, Actor, Record, Redemption, take

AT_ONCE: Final = 1000
"""Redemptions whose statements are sent together."""

LOCK: Final = f"SELECT {COLUMNS} FROM redemption WHERE id = ANY(%s) ORDER BY id FOR UPDATE"


def settle(connection: psycopg.Connection[Any], captures: Mapping[UUID, UUID], batch: str) -> None:
    """Settle redemptions; what was reversed in the meantime keeps its state.

    Args:
        connection: inside the transaction that accepts their batch.
        captures: from each redemption to the record of its capture.
        batch: the batch's public id; also the step's request number, so that no redemption is
            settled twice by it.

    Raises:
        psycopg.errors.UniqueViolation: one was settled by this batch before.
    """
    actor = Actor("service", request_no=batch)
    for redemption in _locked(connection, sorted(captures)):
        redemption.require_step("settlement")
        state = "settled" if redemption.state == "captured" else redemption.state
        record = Record(
            "settlement", actor, of_id=captures[redemption.id], body={"batch_id": batch}
        )
        take(connection, redemption._replace(state=state), record)


def _locked(connection: psycopg.Connection[Any], ids: list[UUID]) -> Iterator[Redemption]:
    """Yield redemptions under their locks, in order of ids, with statements sent together."""
    for start in range(0, len(ids), AT_ONCE):
        rows = connection.execute(LOCK, [ids[start : start + AT_ONCE]]).fetchall()
        with connection.pipeline():
            yield from map(Redemption._make, rows)
