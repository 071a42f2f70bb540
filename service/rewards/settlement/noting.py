"""Writing down what a run has found: new exceptions, those of before, and those that are gone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from service import clock
from service.rewards.settlement.batches import Batch
from service.rewards.settlement.codes import FIRST_OWNER
from service.rewards.settlement.matching import Difference

READ: Final = """
SELECT id, code, about, state, version, ours, theirs FROM reconciliation_exception
WHERE batch_id = %s FOR UPDATE
"""

OPEN: Final = """
INSERT INTO reconciliation_exception (id, batch_id, run_id, partner_id, code, about, redemption_id,
    record_id, ours, theirs, points, subsidy_minor, owner_kind, opened_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

CHANGE: Final = """
UPDATE reconciliation_exception SET run_id = %s, ours = %s, theirs = %s, points = %s,
    subsidy_minor = %s, state = %s, version = %s, ended_at = %s
WHERE id = %s
"""

CLEAR: Final = """
UPDATE reconciliation_exception SET run_id = %s, state = 'cleared', version = %s, ended_at = %s
WHERE id = %s
"""

STEP: Final = """
INSERT INTO exception_step (exception_id, no, kind, state, actor_kind, owner_kind)
VALUES (%s, %s, %s, %s, 'service', %s)
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
    open_now = 0
    with connection.pipeline():
        for each in found:
            noted = before.pop((each.code, each.about), None)
            if noted is None:
                _open(connection, batch, run_id, each)
                open_now += 1
            elif noted.state != "resolved" or not noted.says_the_same(each):
                _keep(connection, run_id, noted, each)
                open_now += 1
        _clear(connection, run_id, before.values())
    return open_now


def _open(
    connection: psycopg.Connection[Any], batch: Batch, run_id: UUID, found: Difference
) -> None:
    exception_id, owner = uuid4(), FIRST_OWNER[found.code]
    fixed = [exception_id, batch.id, run_id, batch.partner_id, found.code, found.about]
    about = [found.redemption_id, found.record_id, _json(found.ours), _json(found.theirs)]
    amounts = [found.points, found.subsidy_minor]
    connection.execute(OPEN, [*fixed, *about, *amounts, owner, clock.now()])
    connection.execute(STEP, [exception_id, 1, "opened", "open", owner])


def _keep(
    connection: psycopg.Connection[Any], run_id: UUID, noted: _Noted, found: Difference
) -> None:
    """Let an exception go on, with its age; what was over is opened again."""
    is_over = noted.state not in OPEN_STATES
    # A proposal rests on what both sides said; if that has changed it is made again.
    is_new = is_over or not noted.says_the_same(found)
    state = "open" if is_new else noted.state
    version = noted.version + 1 if is_new else noted.version
    said = [_json(found.ours), _json(found.theirs), found.points, found.subsidy_minor]
    connection.execute(CHANGE, [run_id, *said, state, version, None, noted.id])
    if is_new:
        connection.execute(STEP, [noted.id, version, "opened_again", "open", None])


def _clear(connection: psycopg.Connection[Any], run_id: UUID, gone: Iterable[_Noted]) -> None:
    for each in gone:
        if each.state in OPEN_STATES:
            connection.execute(CLEAR, [run_id, each.version + 1, clock.now(), each.id])
            connection.execute(STEP, [each.id, each.version + 1, "cleared", "cleared", None])


def _content(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if said is None else {name: said[name] for name in said if name != "line"}


def _json(said: Mapping[str, Any] | None) -> Jsonb | None:
    return None if said is None else Jsonb(said)
