"""Each change of a consent: its row, the line in its history, and what the partner is told."""

from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg

from service.ids import CONSENT, public_id
from service.partners.events import record_event

ActorKind = Literal["citizen", "partner", "service"]
Kind = Literal["authorised", "revoked", "acknowledged", "expiring", "expired", "renewed"]

NOTE: Final = """
INSERT INTO consent_change (consent_id, version, kind, actor_kind, actor_id, reason)
VALUES (%s, %s, %s, %s, %s, %s)
"""


class Actor(NamedTuple):
    """Who changes a consent."""

    kind: ActorKind
    id: UUID | None = None


class Changed(NamedTuple):
    """A consent as a change has left it."""

    id: UUID
    partner_id: UUID
    state: str
    version: int


SERVICE: Final = Actor("service")
RETURNING: Final = "RETURNING id, partner_id, state, version"

END: Final = f"""
UPDATE consent SET state = %s, status_reason = %s, version = version + 1
WHERE id = %s AND state = 'authorised' {RETURNING}
"""


def end(
    connection: psycopg.Connection[Any],
    consent_id: UUID,
    state: Literal["revoked", "expired", "renewed"],
    actor: Actor,
    reason: str | None = None,
) -> None:
    """End an authorised consent, and tell its partner.

    Args:
        connection: inside the caller's transaction, in which the consent is locked and authorised.
        consent_id: which.
        state: what becomes of it.
        actor: who ends it.
        reason: anybody's words; they stay with the consent only as long as the citizen.
    """
    row = connection.execute(END, [state, reason, consent_id]).fetchone()
    assert row is not None  # noqa: S101  the caller has locked it
    note(connection, Changed(*row), state, actor, reason if actor == SERVICE else None)


def note(
    connection: psycopg.Connection[Any],
    changed: Changed,
    kind: Kind,
    actor: Actor,
    reason: str | None = None,
) -> None:
    """Write a change into the consent's history, and tell its partner of it.

    Args:
        connection: inside the transaction of the change.
        changed: the consent as it is from now on.
        kind: what happened.
        actor: who did it.
        reason: a word of the service's own; the history is kept for ever.
    """
    connection.execute(NOTE, [changed.id, changed.version, kind, actor.kind, actor.id, reason])
    if kind != "acknowledged":
        record_event(
            connection,
            changed.partner_id,
            f"consent.{kind}",
            public_id(CONSENT, changed.id),
            changed.state,
            changed.version,
        )
