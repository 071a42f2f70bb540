"""Consents end: revoked by either side, and the other side says that it knows; or she leaves.

A revocation is final, and repeating it changes nothing. It stops what is not submitted yet.
"""

from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.identity.consents.changes import (
    RETURNING,
    SERVICE,
    Actor,
    ActorKind,
    Changed,
    end,
    note,
)
from service.identity.consents.errors import ConsentEnded, NothingToAcknowledge
from service.ids import IdUnknown

CITIZEN_LEFT: Final = "citizen-left"

LOCK: Final = """
SELECT consent.state, consent.valid_to <= %s AS has_lapsed, consent.acknowledged_at IS NOT NULL,
    (SELECT actor_kind FROM consent_change
     WHERE consent_id = consent.id AND consent_change.kind = 'revoked')
FROM consent WHERE id = %s AND %s = CASE %s WHEN 'citizen' THEN citizen_id ELSE partner_id END
FOR NO KEY UPDATE
"""

ACKNOWLEDGE: Final = f"""
UPDATE consent SET acknowledged_at = %s, version = version + 1 WHERE id = %s {RETURNING}
"""

# In the order of their ids, as nobody else locks several.
LOCK_ALL: Final = """
SELECT id FROM consent WHERE citizen_id = %s ORDER BY id FOR NO KEY UPDATE
"""

LIVE: Final = "SELECT id FROM consent WHERE citizen_id = %s AND state = 'authorised' ORDER BY id"

FORGET_WORDS: Final = """
UPDATE consent SET status_reason = NULL WHERE citizen_id = %s AND status_reason IS NOT NULL
"""


class _Held(NamedTuple):
    """A locked consent."""

    state: str
    has_lapsed: bool
    is_acknowledged: bool
    revoked_by: ActorKind | None


def revoke(
    connection: psycopg.Connection[Any], consent_id: UUID, actor: Actor, reason: str | None
) -> bool:
    """End a consent, and say whether it was in force until now.

    Args:
        connection: inside the caller's transaction.
        consent_id: anybody's; only hers or its partner's is found.
        actor: the citizen or the partner.
        reason: in the actor's own words.

    Raises:
        IdUnknown: the actor has no such consent.
        ConsentEnded: it has expired or was renewed, so nothing is left to revoke.
    """
    held = _hold(connection, consent_id, actor)
    if held.state == "revoked":
        return False
    if held.state != "authorised" or held.has_lapsed:
        raise ConsentEnded("This consent has ended already, and nothing can be done by it.")
    end(connection, consent_id, "revoked", actor, reason)
    return True


def acknowledge(connection: psycopg.Connection[Any], consent_id: UUID, actor: Actor) -> bool:
    """Note that the other side's revocation is known, and say whether it was not before.

    Raises:
        IdUnknown: the actor has no such consent.
        NothingToAcknowledge: the other side has not revoked it.
    """
    held = _hold(connection, consent_id, actor)
    if held.revoked_by in {None, actor.kind}:
        raise NothingToAcknowledge("The other side has not revoked this consent.")
    if held.is_acknowledged:
        return False
    row = connection.execute(ACKNOWLEDGE, [clock.now(), consent_id]).fetchone()
    note(connection, Changed._make(row or ()), "acknowledged", actor)
    return True


def hold_consents_of(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Lock what a citizen who is leaving has consented to, before she herself is locked."""
    connection.execute(LOCK_ALL, [citizen_id])


def end_consents_of(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Revoke what a citizen who leaves has consented to, and forget everybody's words about it."""
    connection.execute(FORGET_WORDS, [citizen_id])
    for (consent_id,) in connection.execute(LIVE, [citizen_id]).fetchall():
        end(connection, consent_id, "revoked", SERVICE, CITIZEN_LEFT)


def _hold(connection: psycopg.Connection[Any], consent_id: UUID, actor: Actor) -> _Held:
    asked = [clock.now(), consent_id, actor.id, actor.kind]
    row = connection.execute(LOCK, asked).fetchone()
    if row is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return _Held(*row)
