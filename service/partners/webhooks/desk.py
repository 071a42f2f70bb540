"""The courier's desk: what is due is given out on a lease, what came of it is written down.

Everything is set-wise. What was given out and never came back, because the courier was killed, is
due again when its lease ends: an event arrives at least once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.db import Database
from service.ids import WEBHOOK_ENDPOINT, public_id
from service.partners.addresses import Reach
from service.partners.events import record_event
from service.partners.webhooks.endpoints import TEST
from service.partners.webhooks.feed import Event
from service.partners.webhooks.ladder import GIVEN_UP_AFTER
from service.partners.webhooks.sequencing import CHUNK, partners_waiting, sequence

ENDPOINTS_AT_ONCE: Final = 32
"""Endpoints that one statement is about; which ones is chance, so that each has its turn."""
DISABLED: Final = "webhook_endpoint.disabled"

# A test is for the endpoint it names, whatever types that asked for, and for no other.
FAN_OUT: Final = f"""
WITH behind AS (
    SELECT endpoint.id, endpoint.partner_id, endpoint.event_types, endpoint.after_seq,
        least(sequencer.last_seq, endpoint.after_seq + %(most)s) AS until_seq
    FROM webhook_endpoint AS endpoint JOIN event_sequencer AS sequencer USING (partner_id)
    WHERE endpoint.state = 'active' AND endpoint.after_seq < sequencer.last_seq
    ORDER BY random() LIMIT {ENDPOINTS_AT_ONCE} FOR UPDATE OF endpoint SKIP LOCKED
), made AS (
    INSERT INTO webhook_delivery (endpoint_id, event_id, partner_id, seq, next_attempt_at)
    SELECT behind.id, event.id, event.partner_id, event.seq, %(now)s
    FROM behind JOIN partner_event AS event ON event.partner_id = behind.partner_id
        AND event.seq > behind.after_seq AND event.seq <= behind.until_seq
    WHERE CASE WHEN event.type = '{TEST}'
        THEN event.object_id = '{WEBHOOK_ENDPOINT}_' || replace(behind.id::text, '-', '')
        ELSE behind.event_types IS NULL OR event.type = ANY (behind.event_types) END
    ORDER BY event.seq
    ON CONFLICT DO NOTHING
)
UPDATE webhook_endpoint SET after_seq = behind.until_seq
FROM behind WHERE webhook_endpoint.id = behind.id
"""

OPEN_ENDPOINTS: Final = f"""
SELECT endpoint.id, endpoint.version, endpoint.url, coalesce(profile.reach, 'public'),
    endpoint.former_until, endpoint.sealing_key_version, endpoint.secret_sealed,
    endpoint.former_secret_sealed, endpoint.signing_key_sealed, endpoint.former_signing_key_sealed
FROM webhook_endpoint AS endpoint
JOIN partner ON partner.id = endpoint.partner_id AND partner.state = 'active'
LEFT JOIN partner_profile AS profile ON profile.partner_id = endpoint.partner_id
WHERE endpoint.state = 'active' AND endpoint.id <> ALL (%(full)s::uuid[])
  AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= %(now)s)
  AND EXISTS (SELECT FROM webhook_delivery WHERE endpoint_id = endpoint.id AND state = 'waiting'
      AND next_attempt_at <= %(now)s)
ORDER BY random() LIMIT {ENDPOINTS_AT_ONCE}
"""

CLAIM: Final = """
WITH due AS (
    SELECT found.id
    FROM unnest(%(endpoint_ids)s::uuid[], %(room)s::int[]) AS wanted (endpoint_id, most)
    CROSS JOIN LATERAL (
        SELECT id FROM webhook_delivery
        WHERE endpoint_id = wanted.endpoint_id AND state = 'waiting' AND next_attempt_at <= %(now)s
        ORDER BY next_attempt_at LIMIT wanted.most FOR UPDATE SKIP LOCKED
    ) AS found
), claimed AS (
    UPDATE webhook_delivery SET next_attempt_at = %(lease_until)s
    FROM due WHERE webhook_delivery.id = due.id
    RETURNING webhook_delivery.id, webhook_delivery.endpoint_id, webhook_delivery.event_id,
        webhook_delivery.partner_id, webhook_delivery.attempts
)
SELECT claimed.endpoint_id, claimed.id, claimed.attempts, event.id, event.type, event.object,
    event.object_id, event.state, event.object_version, event.occurred_at, event.seq
FROM claimed JOIN partner_event AS event
    ON event.partner_id = claimed.partner_id AND event.id = claimed.event_id
ORDER BY event.seq
"""

# By the delivery's own id: by endpoint and state a planner would go through all that wait there.
WRITE_RESULTS: Final = """
UPDATE webhook_delivery SET state = result.state, attempts = result.attempts,
    next_attempt_at = result.next_attempt_at, last_status = result.last_status,
    last_error = result.last_error,
    ended_at = CASE WHEN result.state = 'waiting' THEN NULL ELSE %(now)s::timestamptz END
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(attempts)s::smallint[],
    %(next_attempts_at)s::timestamptz[], %(statuses)s::smallint[], %(errors)s::text[])
    AS result (id, state, attempts, next_attempt_at, last_status, last_error)
WHERE webhook_delivery.id = result.id AND webhook_delivery.state = 'waiting'
"""

GIVE_BACK: Final = """
UPDATE webhook_delivery SET next_attempt_at = %s WHERE id = ANY (%s::uuid[]) AND state = 'waiting'
"""

MARK_FAILING: Final = """
UPDATE webhook_endpoint SET failing_since = %s
WHERE id = ANY (%s::uuid[]) AND failing_since IS NULL
"""

MARK_WELL: Final = """
UPDATE webhook_endpoint SET failing_since = NULL
WHERE id = ANY (%s::uuid[]) AND failing_since IS NOT NULL
"""

PAUSE: Final = """
UPDATE webhook_endpoint SET paused_until = greatest(paused_until, rest.until)
FROM unnest(%s::uuid[], %s::timestamptz[]) AS rest (endpoint_id, until)
WHERE webhook_endpoint.id = rest.endpoint_id
"""

DISABLE: Final = """
UPDATE webhook_endpoint SET state = 'disabled', version = version + 1,
    state_reason = CASE WHEN id = ANY (%(gone)s::uuid[]) THEN 'gone' ELSE 'failing' END
WHERE state = 'active' AND (id = ANY (%(gone)s::uuid[])
    OR (id = ANY (%(failed)s::uuid[]) AND failing_since < %(before)s))
RETURNING id, partner_id, version, state_reason
"""


class Target(NamedTuple):
    """An endpoint that has something due."""

    endpoint_id: UUID
    version: int
    url: str
    reach: Reach
    former_until: datetime | None
    sealing_key_version: int
    sealed: tuple[bytes | None, ...]


class Letter(NamedTuple):
    """An event that is given out to be sent to an endpoint."""

    target: Target
    delivery_id: UUID
    attempts: int
    """Before this one."""
    event: Event


class Result(NamedTuple):
    """What came of one attempt."""

    delivery_id: UUID
    endpoint_id: UUID
    state: str
    attempts: int
    next_attempt_at: datetime
    status: int | None
    error: str | None
    paused_until: datetime | None
    is_gone: bool


class Disabled(NamedTuple):
    """An endpoint that was given up."""

    endpoint_id: UUID
    partner_id: UUID
    version: int
    reason: str


def prepare_deliveries(database: Database) -> None:
    """Give waiting events their places and make deliveries of them: a chunk for each partner."""
    with database.raw_transaction() as connection:
        partners = partners_waiting(connection)
    for partner_id in partners:
        with database.raw_transaction() as connection:
            sequence(connection, partner_id)
    with database.raw_transaction() as connection:
        connection.execute(FAN_OUT, {"most": CHUNK, "now": clock.now()})


def targets_due(connection: psycopg.Connection[Any], full: Sequence[UUID]) -> list[Target]:
    """Return endpoints that something can be sent to now, but for those whose lane is full."""
    asked = {"now": clock.now(), "full": list(full)}
    rows = connection.execute(OPEN_ENDPOINTS, asked).fetchall()
    return [Target._make((*row[:6], tuple(row[6:]))) for row in rows]


def claim(
    connection: psycopg.Connection[Any],
    room: Mapping[UUID, int],
    targets: Sequence[Target],
    lease: timedelta,
) -> list[Letter]:
    """Give out what is due, the longest waiting first; nobody else gets it while the lease lasts.

    Args:
        connection: inside the caller's transaction.
        room: how many each endpoint can take.
        targets: from `targets_due`.
        lease: after which it is due again, unless a result was written.
    """
    now = clock.now()
    by_id = {target.endpoint_id: target for target in targets}
    values = {
        "endpoint_ids": list(by_id),
        "room": [room[endpoint_id] for endpoint_id in by_id],
        "now": now,
        "lease_until": now + lease,
    }
    rows = connection.execute(CLAIM, values).fetchall() if targets else []
    return [Letter(by_id[row[0]], row[1], row[2], Event(*row[3:])) for row in rows]


def write_results(connection: psycopg.Connection[Any], results: Sequence[Result]) -> list[Disabled]:
    """Write down what came of attempts, and return the endpoints that are disabled for it."""
    now = clock.now()
    values = {
        "now": now,
        "ids": [each.delivery_id for each in results],
        "states": [each.state for each in results],
        "attempts": [each.attempts for each in results],
        "next_attempts_at": [each.next_attempt_at for each in results],
        "statuses": [each.status for each in results],
        "errors": [each.error for each in results],
    }
    connection.execute(WRITE_RESULTS, values)
    return _judge_endpoints(connection, results, now)


def give_back(connection: psycopg.Connection[Any], letters: Sequence[Letter]) -> None:
    """Make due again what was given out and not tried."""
    untried = [letter.delivery_id for letter in letters]
    connection.execute(GIVE_BACK, (clock.now(), untried))


def _judge_endpoints(
    connection: psycopg.Connection[Any], results: Sequence[Result], now: datetime
) -> list[Disabled]:
    well = {each.endpoint_id for each in results if each.state == "delivered"}
    failed = {each.endpoint_id for each in results} - well
    gone = {each.endpoint_id for each in results if each.is_gone}
    resting = {each.endpoint_id: each.paused_until for each in results if each.paused_until}
    if well:
        connection.execute(MARK_WELL, (list(well),))
    if resting:
        connection.execute(PAUSE, (list(resting), list(resting.values())))
    if not failed | gone:
        return []
    connection.execute(MARK_FAILING, (now, list(failed)))
    given_up = {"gone": list(gone), "failed": list(failed), "before": now - GIVEN_UP_AFTER}
    disabled = [Disabled(*row) for row in connection.execute(DISABLE, given_up)]
    for each in disabled:
        name = public_id(WEBHOOK_ENDPOINT, each.endpoint_id)
        record_event(connection, each.partner_id, DISABLED, name, "disabled", each.version)
    return disabled
