"""What a partner is told of: one thin event for each change, written with the change itself.

Its place in the partner's gapless row is given after the commit, see `webhooks.sequencing`.
"""

from typing import Final
from uuid import UUID, uuid4

from service.pipelining import Connection

WRITE: Final = """
INSERT INTO partner_event (partner_id, id, type, object, object_id, state, object_version)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


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
