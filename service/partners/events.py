"""What a partner is told of: one thin event for each change, written with the change itself.

Its place in the partner's gapless row is given after the commit, see `webhooks.sequencing`.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from service.bulk import Table, insert_rows
from service.pipelining import Connection

WRITE: Final = """
INSERT INTO partner_event (partner_id, id, type, object, object_id, state, object_version)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

EVENTS: Final = Table(
    "partner_event",
    *("partner_id", "id", "type", "object", "object_id", "state", "object_version"),
)


class NewEvent(NamedTuple):
    """One of many events that are written at once; members as for `record_event`."""

    partner_id: UUID
    event_type: str
    object_id: str
    state: str
    object_version: int

    def row(self) -> tuple[str, ...]:
        """Return its row, with an id of its own."""
        noun = self.event_type.partition(".")[0]
        names = (self.partner_id.hex, uuid4().hex, self.event_type, noun, self.object_id)
        return (*names, self.state, str(self.object_version))

    def values(self) -> tuple[UUID | str | int, ...]:
        """Return what `WRITE` takes, for whoever writes it in one statement with the change."""
        noun = self.event_type.partition(".")[0]
        names = (self.partner_id, uuid4(), self.event_type, noun, self.object_id)
        return (*names, self.state, self.object_version)


def record_event(
    connection: Connection,
    partner_id: UUID,
    event_type: str,
    object_id: str,
    state: str,
    object_version: int,
) -> UUID:
    """Write an event down in the transaction of the change that it tells of, and return its id.

    Args:
        connection: inside the caller's transaction, under the lock of the object.
        partner_id: who is told.
        event_type: what happened: the object's noun, a full stop, and a past tense.
        object_id: the object's public id.
        state: of the object from now on.
        object_version: grows by one with each change of the object.
    """
    event_id = uuid4()
    noun = event_type.partition(".")[0]
    values = (partner_id, event_id, event_type, noun, object_id, state, object_version)
    connection.execute(WRITE, values)
    return event_id


def record_events(connection: Connection, events: Iterable[NewEvent]) -> None:
    """Write many events down at once, in the transaction of the changes that they tell of."""
    insert_rows(connection, EVENTS, [event.row() for event in events])
