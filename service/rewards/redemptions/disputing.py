"""A settled benefit is disputed by one side, and staff decide: it stands, or everything returns.

Until then nothing moves: no timer, and no reversal by the partner. What a citizen says in her own
words, and what staff answer her, is kept beside the records and leaves with her.
"""

from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from service import clock
from service.ids import REDEMPTION_RECORD, public_id
from service.pipelining import Connection
from service.rewards.redemptions.errors import DisputeTooLate
from service.rewards.redemptions.reversing import (
    capture_of,
    give_points_back,
    reversed_by,
    subsidy_reversed,
)
from service.rewards.redemptions.steps import Actor, Record, Redemption, Written, record_id, take

Outcome = Literal["settled", "reversed"]

OPEN_FOR: Final = timedelta(days=180)
"""From the capture on (reference, §5.4 T11)."""

# Of whoever has left nothing is kept: no erasure comes after hers.
KEEP_WORDS: Final = """
INSERT INTO dispute_words (citizen_id, record_id, words, recorded_at)
SELECT citizen_id, %s, %s, %s FROM citizen WHERE citizen_id = %s AND state <> 'erased' FOR SHARE
"""

READ: Final = """
SELECT record.id, record.kind, record.state, record.actor_kind, record.body, words.words,
       record.recorded_at
FROM redemption_record record
LEFT JOIN dispute_words words ON words.citizen_id = %s AND words.record_id = record.id
WHERE record.redemption_id = %s AND record.kind IN ('dispute', 'resolution') ORDER BY record.no
"""


class DisputeStep(NamedTuple):
    """A dispute, or its resolution, with the words for it."""

    record_id: UUID
    kind: str
    state: str
    actor: str
    details: dict[str, Any]
    words: str | None
    """None: there were none, or she has left."""
    recorded_at: datetime

    def view(self) -> dict[str, Any]:
        """Return it as JSON members."""
        shown = self._asdict() | {"recorded_at": self.recorded_at.isoformat()}
        return shown | {"record_id": public_id(REDEMPTION_RECORD, self.record_id)}


def dispute(
    connection: Connection,
    redemption: Redemption,
    actor: Actor,
    reason: str,
    words: str | None = None,
) -> Written:
    """Open a dispute about a settled redemption.

    Args:
        connection: inside the caller's transaction.
        redemption: locked by it.
        actor: the citizen or the partner.
        reason: a code.
        words: a citizen's own.

    Raises:
        StateConflict: it is not settled.
        DisputeTooLate
    """
    redemption.require_step("dispute")
    capture_id, captured_at = capture_of(connection, redemption)
    last = captured_at + OPEN_FOR
    if clock.now() > last:
        raise DisputeTooLate("This could be disputed until {last}.", last=last.isoformat())
    disputed = redemption._replace(
        state="disputed", state_before=redemption.state, deadline_at=None
    )
    record = Record("dispute", actor, of_id=capture_id, body={"reason": reason})
    written = take(connection, disputed, record)
    _keep_words(connection, written, words)
    return written


def resolve(
    connection: Connection, redemption: Redemption, actor: Actor, outcome: Outcome, words: str
) -> Written:
    """Decide a dispute; return the last step that follows.

    Args:
        connection: inside the caller's transaction.
        redemption: locked by it.
        actor: a member of the staff.
        outcome: settled: it stands; reversed: all that is left returns to her, by a reversal that
            is settled like any other.
        words: why.

    Raises:
        StateConflict: it is not disputed.
    """
    redemption.require_step("resolution")
    record = Record("resolution", actor, body={"outcome": outcome})
    written = take(connection, _upheld(redemption), record)
    _keep_words(connection, written, words)
    if outcome == "reversed":
        return _reverse(connection, written, actor)
    return written


def dispute_of(connection: Connection, redemption: Redemption) -> list[DisputeStep]:
    """Return what was disputed and resolved of a redemption, in order."""
    rows = connection.execute(READ, (redemption.citizen_id, redemption.id))
    return [DisputeStep._make(row) for row in rows]


def _upheld(redemption: Redemption) -> Redemption:
    """Return a redemption whose dispute is over; a lock that waited for that goes on to mature."""
    waits = redemption.mode == "lock" and redemption.matured_as is None
    deadline_at = redemption.matures_at if waits else None
    return redemption._replace(state="settled", state_before=None, deadline_at=deadline_at)


def _reverse(connection: Connection, resolution: Written, actor: Actor) -> Written:
    redemption = resolution.redemption
    points = redemption.captured_points - redemption.reversed_points
    this_id = record_id(redemption.id, redemption.version + 1)
    moved = give_points_back(connection, redemption, points, this_id)
    record = Record(
        "reversal",
        actor,
        points=points,
        reduction_g=moved.reduction_g if moved else 0,
        subsidy_minor=subsidy_reversed(redemption, points),
        posting_id=this_id if moved else None,
        of_id=capture_of(connection, redemption)[0],
        body={"reason": "dispute"},
    )
    return take(connection, reversed_by(redemption, points), record)


def _keep_words(connection: Connection, written: Written, words: str | None) -> None:
    if words is not None:
        citizen_id = written.redemption.citizen_id
        connection.execute(KEEP_WORDS, (written.record_id, words, clock.now(), citizen_id))
