"""Writing down what a run has found: new exceptions, those of before, and those that are gone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from service import clock
from service.bulk import NULL, Table, insert_rows
from service.rewards.settlement.batches import Batch
from service.rewards.settlement.codes import FIRST_OWNER
from service.rewards.settlement.matching import Difference

READ: Final = """
SELECT id, code, about, state, version, ours, theirs FROM reconciliation_exception
WHERE batch_id = %s FOR UPDATE
"""

EXCEPTIONS: Final = Table(
    "reconciliation_exception",
    *("id", "batch_id", "run_id", "partner_id", "code", "about", "redemption_id", "record_id"),
    *("ours", "theirs", "points", "subsidy_minor", "owner_kind", "opened_at"),
)

STEPS: Final = Table(
    "exception_step", "exception_id", "no", "kind", "state", "actor_kind", "owner_kind"
)

CHANGE: Final = """
UPDATE reconciliation_exception SET run_id = %s, ours = %s, theirs = %s, points = %s,
    subsidy_minor = %s, state = %s, version = %s, ended_at = %s
WHERE id = %s
"""

CLEAR: Final = """
WITH cleared AS (
    UPDATE reconciliation_exception SET run_id = %s, state = 'cleared', version = version + 1,
        ended_at = %s
    WHERE id = ANY(%s) RETURNING id, version
)
INSERT INTO exception_step (exception_id, no, kind, state, actor_kind)
SELECT id, version, 'cleared', 'cleared', 'service' FROM cleared
"""

STEP: Final = """
INSERT INTO exception_step (exception_id, no, kind, state, actor_kind)
VALUES (%s, %s, 'opened_again', 'open', 'service')
"""

OPEN_STATES: Final = frozenset({"open", "proposed"})


class _Noted(NamedTuple):
    """An exception of an earlier run about the same batch."""

    id: UUID
    code: str
    about: str
    state: str
    version: int
    ours: Mapping[str, Any] | None
    theirs: Mapping[str, Any] | None

    def says_the_same(self, found: Difference) -> bool:
        """Whether nothing is new about it, wherever in the file it stands."""
        return _content(self.ours) == _content(found.ours) and _content(self.theirs) == _content(
            found.theirs
        )


def note_exceptions(
    connection: psycopg.Connection[Any], batch: Batch, run_id: UUID, found: Sequence[Difference]
) -> int:
    """Write down what a run has found and return how much of it is open.

    What was resolved stays resolved as long as both sides say the same of it.

    Args:
        connection: inside the caller's transaction, which has locked the batch.
        batch: compared.
        run_id: by which run.
        found: every difference of it.
    """
    rows = [_Noted._make(row) for row in connection.execute(READ, [batch.id])]
    before = {(each.code, each.about): each for each in rows}
    new: list[Difference] = []
    kept = 0
    for each in found:
        noted = before.pop((each.code, each.about), None)
        if noted is None:
            new.append(each)
        elif noted.state != "resolved" or not noted.says_the_same(each):
            _keep(connection, run_id, noted, each)
            kept += 1
    _open(connection, batch, run_id, new)
    gone = [each.id for each in before.values() if each.state in OPEN_STATES]
    connection.execute(CLEAR, [run_id, clock.now(), gone])
    return len(new) + kept


def _open(
    connection: psycopg.Connection[Any], batch: Batch, run_id: UUID, new: Sequence[Difference]
) -> None:
    named = [(uuid4().hex, each) for each in new]
    now = clock.now().isoformat()
    about = (batch.id.hex, run_id.hex, batch.partner_id.hex)
    insert_rows(
        connection,
        EXCEPTIONS,
        [
            (
                exception_id,
                *about,
                each.code,
                each.about,
                _hex(each.redemption_id),
                _hex(each.record_id),
                _json(each.ours),
                _json(each.theirs),
                str(each.points),
                str(each.subsidy_minor),
                FIRST_OWNER[each.code],
                now,
            )
            for exception_id, each in named
        ],
    )
    insert_rows(
        connection,
        STEPS,
        [
            (exception_id, "1", "opened", "open", "service", FIRST_OWNER[each.code])
            for exception_id, each in named
        ],
    )


def _keep(
    connection: psycopg.Connection[Any], run_id: UUID, noted: _Noted, found: Difference
) -> None:
    """Let an exception go on, with its age; what was over is opened again."""
    is_over = noted.state not in OPEN_STATES
    # A proposal rests on what both sides said; if that has changed it is made again.
    is_new = is_over or not noted.says_the_same(found)
    state = "open" if is_new else noted.state
    version = noted.version + 1 if is_new else noted.version
    said = [_or_none(found.ours), _or_none(found.theirs), found.points, found.subsidy_minor]
    connection.execute(CHANGE, [run_id, *said, state, version, None, noted.id])
    if is_new:
        connection.execute(STEP, [noted.id, version])


def _content(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if said is None else {name: said[name] for name in said if name != "line"}


def _or_none(said: Mapping[str, Any] | None) -> Jsonb | None:
    return None if said is None else Jsonb(said)


def _json(said: Mapping[str, Any] | None) -> str:
    return NULL if said is None else json.dumps(said)


def _hex(uuid: UUID | None) -> str:
    return NULL if uuid is None else uuid.hex
