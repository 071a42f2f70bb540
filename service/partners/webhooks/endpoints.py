"""Endpoints: where a partner wants its events sent, and with which keys they are signed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from service import clock
from service.ids import WEBHOOK_ENDPOINT, IdUnknown, public_id
from service.keys import KeyRing
from service.partners.events import record_event
from service.partners.webhooks.errors import EndpointLimitReached, EndpointNotActive
from service.partners.webhooks.feed import last_seq_of
from service.partners.webhooks.signing import COLUMNS, SigningKeys, opened

MOST_ENDPOINTS: Final = 10
OVERLAP: Final = timedelta(hours=24)
"""For so long the former keys sign beside the new ones."""
TEST: Final = "webhook.test"

_READ: Final = f"""
SELECT id, partner_id, url, description, event_types, signatures, state, state_reason, version,
    recorded_at, former_until, sealing_key_version, {", ".join(COLUMNS)}
FROM webhook_endpoint WHERE state <> 'removed'
"""

READ_ALL: Final = f"{_READ} AND partner_id = %s ORDER BY recorded_at, id"
READ_ONE: Final = f"{_READ} AND partner_id = %s AND id = %s"
READ_ANYBODYS: Final = f"{_READ} AND id = %s"

WAIT_FOR_OTHERS: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"

COUNT: Final = """
SELECT count(*) FROM webhook_endpoint WHERE partner_id = %s AND state <> 'removed'
"""

WRITE: Final = """
INSERT INTO webhook_endpoint (id, partner_id, url, description, event_types, signatures, after_seq,
    sealing_key_version, secret_sealed, former_secret_sealed, signing_key_sealed,
    former_signing_key_sealed)
VALUES (%(id)s, %(partner_id)s, %(url)s, %(description)s, %(event_types)s, %(signatures)s,
    %(after_seq)s, %(sealing_key_version)s, %(secret_sealed)s, %(former_secret_sealed)s,
    %(signing_key_sealed)s, %(former_signing_key_sealed)s)
"""

CHANGE_TERMS: Final = """
UPDATE webhook_endpoint SET url = %(url)s, description = %(description)s,
    event_types = %(event_types)s, failing_since = NULL, paused_until = NULL,
    version = version + 1
WHERE id = %(id)s
"""

CHANGE_KEYS: Final = """
UPDATE webhook_endpoint SET former_until = %(former_until)s, version = version + 1,
    sealing_key_version = %(sealing_key_version)s, secret_sealed = %(secret_sealed)s,
    former_secret_sealed = %(former_secret_sealed)s, signing_key_sealed = %(signing_key_sealed)s,
    former_signing_key_sealed = %(former_signing_key_sealed)s
WHERE id = %(id)s
"""

ACTIVATE: Final = """
UPDATE webhook_endpoint SET state = 'active', state_reason = NULL, failing_since = NULL,
    paused_until = NULL, version = version + 1
WHERE id = %s AND state = 'disabled'
"""

REMOVE: Final = """
UPDATE webhook_endpoint SET state = 'removed', version = version + 1, secret_sealed = NULL,
    former_secret_sealed = NULL, signing_key_sealed = NULL, former_signing_key_sealed = NULL
WHERE id = %s
"""

FORGET_WAITING: Final = "DELETE FROM webhook_delivery WHERE endpoint_id = %s AND state = 'waiting'"


class Terms(NamedTuple):
    """What a partner says of an endpoint."""

    url: str
    description: str | None
    event_types: list[str] | None
    """None: all."""


class Endpoint(NamedTuple):
    """An endpoint's row."""

    id: UUID
    partner_id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    signatures: list[str]
    state: str
    state_reason: str | None
    version: int
    recorded_at: datetime
    former_until: datetime | None
    sealing_key_version: int
    secret_sealed: bytes | None
    former_secret_sealed: bytes | None
    signing_key_sealed: bytes | None
    former_signing_key_sealed: bytes | None

    @property
    def public_id(self) -> str:
        """Its name at the edge."""
        return public_id(WEBHOOK_ENDPOINT, self.id)

    def keys(self, ring: KeyRing) -> SigningKeys:
        """Return the keys that sign at this moment."""
        sealed = (
            self.secret_sealed,
            self.former_secret_sealed,
            self.signing_key_sealed,
            self.former_signing_key_sealed,
        )
        found = opened(ring, self.id, self.sealing_key_version, sealed)
        return found if is_overlapping(self.former_until) else found.without_former()


def is_overlapping(former_until: datetime | None) -> bool:
    """Say whether former keys still sign."""
    return former_until is not None and clock.now() < former_until


def register(
    connection: psycopg.Connection[Any],
    ring: KeyRing,
    partner_id: UUID,
    terms: Terms,
    signatures: Sequence[str],
) -> Endpoint:
    """Register an endpoint; it is sent whatever gets its place from now on.

    Args:
        connection: inside the caller's transaction.
        ring: seals the new keys.
        partner_id: whose.
        terms: the address in them has been checked.
        signatures: `v1`, `v1a` or both.

    Raises:
        EndpointLimitReached: the partner has ten.
    """
    _require_room(connection, partner_id)
    endpoint_id = uuid4()
    row = {
        **terms._asdict(),
        **_sealed(SigningKeys.new(signatures), ring, endpoint_id),
        "id": endpoint_id,
        "partner_id": partner_id,
        "signatures": list(signatures),
        "after_seq": last_seq_of(connection, partner_id),
    }
    connection.execute(WRITE, row)
    return endpoint_named(connection, partner_id, endpoint_id)


def endpoints_of(connection: psycopg.Connection[Any], partner_id: UUID) -> list[Endpoint]:
    """Return a partner's endpoints, the oldest first."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(READ_ALL, (partner_id,)).fetchall()


def endpoint_named(
    connection: psycopg.Connection[Any],
    partner_id: UUID,
    endpoint_id: UUID,
    *,
    locked: bool = False,
) -> Endpoint:
    """Return one of a partner's endpoints, locked to change it if that is wished.

    Raises:
        IdUnknown: the partner has no such endpoint.
    """
    query = f"{READ_ONE} FOR UPDATE" if locked else READ_ONE
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        found = cursor.execute(query, (partner_id, endpoint_id)).fetchone()
    return _or_unknown(found)


def anybodys_endpoint(connection: psycopg.Connection[Any], endpoint_id: UUID) -> Endpoint:
    """Return an endpoint whoever it belongs to: its public keys are for everybody.

    Raises:
        IdUnknown: there is no such endpoint.
    """
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return _or_unknown(cursor.execute(READ_ANYBODYS, (endpoint_id,)).fetchone())


def change_terms(
    connection: psycopg.Connection[Any], partner_id: UUID, endpoint_id: UUID, terms: Terms
) -> Endpoint:
    """Send events elsewhere, or other ones, from now on; the keys stay.

    Raises:
        IdUnknown: the partner has no such endpoint.
    """
    endpoint_named(connection, partner_id, endpoint_id, locked=True)
    connection.execute(CHANGE_TERMS, {**terms._asdict(), "id": endpoint_id})
    return endpoint_named(connection, partner_id, endpoint_id)


def rotate_keys(
    connection: psycopg.Connection[Any], ring: KeyRing, partner_id: UUID, endpoint_id: UUID
) -> Endpoint:
    """Sign with new keys from now on, and for a day with the present ones too.

    Raises:
        IdUnknown: the partner has no such endpoint.
    """
    endpoint = endpoint_named(connection, partner_id, endpoint_id, locked=True)
    row = {
        **_sealed(endpoint.keys(ring).rotated(), ring, endpoint_id),
        "id": endpoint_id,
        "former_until": clock.now() + OVERLAP,
    }
    connection.execute(CHANGE_KEYS, row)
    return endpoint_named(connection, partner_id, endpoint_id)


def activate(connection: psycopg.Connection[Any], partner_id: UUID, endpoint_id: UUID) -> Endpoint:
    """Send to a disabled endpoint again, beginning with what it has missed; an active one stays so.

    Raises:
        IdUnknown: the partner has no such endpoint.
    """
    endpoint_named(connection, partner_id, endpoint_id, locked=True)
    connection.execute(ACTIVATE, (endpoint_id,))
    return endpoint_named(connection, partner_id, endpoint_id)


def remove(connection: psycopg.Connection[Any], partner_id: UUID, endpoint_id: UUID) -> None:
    """Send nothing to an endpoint any more, and forget its keys.

    Raises:
        IdUnknown: the partner has no such endpoint.
    """
    endpoint_named(connection, partner_id, endpoint_id, locked=True)
    connection.execute(REMOVE, (endpoint_id,))
    connection.execute(FORGET_WAITING, (endpoint_id,))


def send_test(connection: psycopg.Connection[Any], partner_id: UUID, endpoint_id: UUID) -> UUID:
    """Let an event happen that goes to one endpoint, whatever types it asked for; return its id.

    Raises:
        IdUnknown: the partner has no such endpoint.
        EndpointNotActive: it is disabled.
    """
    endpoint = endpoint_named(connection, partner_id, endpoint_id)
    require_active(endpoint)
    return record_event(
        connection, partner_id, TEST, endpoint.public_id, endpoint.state, endpoint.version
    )


def require_active(endpoint: Endpoint) -> None:
    """Refuse to send to an endpoint that is disabled.

    Raises:
        EndpointNotActive: it is.
    """
    if endpoint.state != "active":
        raise EndpointNotActive(
            "The endpoint is {current_state}. Please activate it first.",
            current_state=endpoint.state,
        )


def _require_room(connection: psycopg.Connection[Any], partner_id: UUID) -> None:
    connection.execute(WAIT_FOR_OTHERS, (f"webhook endpoints of {partner_id}",))
    row = connection.execute(COUNT, (partner_id,)).fetchone()
    if row and row[0] >= MOST_ENDPOINTS:
        raise EndpointLimitReached(
            "A partner has at most {most} endpoints. Please remove one first.", most=MOST_ENDPOINTS
        )


def _sealed(keys: SigningKeys, ring: KeyRing, endpoint_id: UUID) -> dict[str, Any]:
    version = ring.data_key.version
    return {**keys.sealed(ring, endpoint_id), "sealing_key_version": version}


def _or_unknown(found: Endpoint | None) -> Endpoint:
    if found is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return found
