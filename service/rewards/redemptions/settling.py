"""A capture that both sides have in their books is settled: nothing moves, and it is final."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.bulk import Table, insert_rows
from service.ids import REDEMPTION, public_id
from service.partners.events import NewEvent, record_events
from service.rewards.errors import StateConflict
from service.rewards.redemptions.states import STEPS, allowed_from
from service.rewards.redemptions.steps import record_id

AT_ONCE: Final = 1000
"""Redemptions that are settled by the same statements: a day may have a hundred thousand."""

LOCK: Final = """
SELECT id, partner_id, state, version FROM redemption WHERE id = ANY(%s) ORDER BY id FOR UPDATE
"""

SETTLE: Final = """
UPDATE redemption SET version = version + 1,
    state = CASE state WHEN 'captured' THEN 'settled' ELSE state END
WHERE id = ANY(%s)
"""

RECORDS: Final = Table(
    "redemption_record",
    *("redemption_id", "no", "id", "kind", "state", "request_no", "actor_kind", "partner_id"),
    *("of_id", "body", "business_date", "recorded_at"),
)


class _Settled(NamedTuple):
    """A redemption as it stands from now on."""

    id: UUID
    partner_id: UUID
    state: str
    version: int


def settle(connection: psycopg.Connection[Any], captures: Mapping[UUID, UUID], batch: str) -> None:
    """Settle redemptions; what was reversed in the meantime keeps its state.

    Args:
        connection: inside the transaction that accepts their batch.
        captures: from each redemption to the record of its capture.
        batch: the batch's public id; also the step's request number, so that no redemption is
            settled twice by it.

    Raises:
        StateConflict: one is in a state that cannot be settled, or was settled before.
    """
    ids = sorted(captures)
    for start in range(0, len(ids), AT_ONCE):
        these = ids[start : start + AT_ONCE]
        rows = connection.execute(LOCK, [these]).fetchall()
        settled = [_after(*row) for row in rows]
        connection.execute(SETTLE, [these])
        insert_rows(connection, RECORDS, _records(settled, captures, batch))
        event = STEPS["settlement"].event
        record_events(
            connection,
            (
                NewEvent(
                    each.partner_id,
                    event,
                    public_id(REDEMPTION, each.id),
                    each.state,
                    each.version,
                )
                for each in settled
            ),
        )


def _after(redemption_id: UUID, partner_id: UUID, state: str, version: int) -> _Settled:
    if state not in STEPS["settlement"].from_states:
        raise StateConflict(
            "The redemption is {current_state}, which does not allow this.",
            current_state=state,
            allowed=allowed_from(state),
        )
    after = "settled" if state == "captured" else state
    return _Settled(redemption_id, partner_id, after, version + 1)


def _records(
    settled: Sequence[_Settled], captures: Mapping[UUID, UUID], batch: str
) -> list[tuple[str, ...]]:
    body = json.dumps({"batch_id": batch})
    today, now = clock.today().isoformat(), clock.now().isoformat()
    return [
        (
            each.id.hex,
            str(each.version),
            record_id(each.id, each.version).hex,
            "settlement",
            each.state,
            batch,
            "service",
            each.partner_id.hex,
            captures[each.id].hex,
            body,
            today,
            now,
        )
        for each in settled
    ]
