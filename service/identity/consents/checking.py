"""Whether a partner may do something about a citizen, and the note that it did.

Nothing here waits for an answer before it is needed, so that a request's statements travel
together. The consent's row is locked from when it is asked for until the transaction ends: a
revocation comes wholly before a use or wholly after it. A shared lock would not do, because two
uses that both count would wait for each other for ever.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from service import clock
from service.errors import DomainError
from service.identity.consents.errors import (
    ConsentExpired,
    ConsentMissing,
    ConsentRevoked,
    ConsentScope,
    ConsentUsesExhausted,
)
from service.identity.consents.periods import PeriodicLimit
from service.keys import KeyRing
from service.pipelining import Connection, Rows

SUBJECT_BYTES: Final = 16

_SUBJECT: Final = re.compile(r"sub_[0-9a-f]{32}")

COLUMNS: Final = (
    *("id", "citizen_id", "partner_id", "subject", "purpose", "data_clusters"),
    *("valid_from", "valid_to", "max_uses", "uses", "periodic_limits", "state", "version"),
)

_READ: Final = f"SELECT {', '.join(COLUMNS)} FROM consent"

LOOK_UP: Final = f"{_READ} WHERE id = %s"

# A renewal goes on where the former consent ended, so what names that one is read by it.
READ_BY_ID: Final = f"""{_READ} WHERE id = (
    SELECT coalesce(renewal.id, named.id) FROM consent AS named
    LEFT JOIN consent AS renewal ON named.state = 'renewed' AND renewal.state = 'authorised'
        AND renewal.citizen_id = named.citizen_id AND renewal.partner_id = named.partner_id
        AND renewal.purpose = named.purpose
    WHERE named.id = %s)
FOR NO KEY UPDATE
"""

READ_BY_SUBJECT: Final = f"""{_READ} WHERE partner_id = %s AND subject = %s
ORDER BY (state = 'authorised' AND %s = ANY(data_clusters)) DESC,
    (state = 'authorised' AND purpose = %s) DESC, state = 'authorised' DESC, recorded_at DESC
LIMIT 1 FOR NO KEY UPDATE
"""

NOTE: Final = """
INSERT INTO consent_access (citizen_id, id, consent_id, partner_id, operation, about, is_use)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

COUNT_AND_NOTE: Final = f"""
WITH counted AS (UPDATE consent SET uses = uses + 1 WHERE id = %s)
{NOTE}"""

COUNT_IN_PERIOD: Final = """
INSERT INTO consent_use (consent_id, period, starts_at, uses, most) VALUES (%s, %s, %s, 1, %s)
ON CONFLICT (consent_id, period, starts_at)
DO UPDATE SET uses = consent_use.uses + 1, most = excluded.most
"""

LIMITS: Final = {"ck_consent_uses_within_limit", "ck_consent_use_within_limit"}


@dataclass(frozen=True, slots=True)
class Consent:
    """What a citizen lets one partner know, what for, and until when."""

    id: UUID
    citizen_id: UUID
    partner_id: UUID
    subject: str
    purpose: str
    data_clusters: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    max_uses: int | None
    uses: int
    periodic_limits: tuple[PeriodicLimit, ...]
    state: str
    version: int

    def require(self, *, citizen_id: UUID, partner_id: UUID, cluster: str | None = None) -> None:
        """See that the consent is in force between these two and covers a kind of data.

        Raises:
            ConsentMissing: it is not this citizen's, or was not given to this partner.
            ConsentRevoked, ConsentExpired: it has ended.
            ConsentScope: the cluster is not among what she chose.
        """
        if (citizen_id, partner_id) != (self.citizen_id, self.partner_id):
            raise missing()
        if self.state == "revoked":
            raise ConsentRevoked("This consent has been revoked. Nothing more may be done by it.")
        if self.state == "renewed":
            raise ConsentExpired("This consent was renewed. Please go by the one that renews it.")
        if self.state == "expired" or self.valid_to <= clock.now():
            raise ConsentExpired("This consent has expired. The citizen can give another.")
        if cluster is not None and cluster not in self.data_clusters:
            raise ConsentScope("This consent does not cover {cluster}.", cluster=cluster)


def pairwise_subject(keys: KeyRing, partner_id: UUID, citizen_id: UUID) -> str:
    """Return the name by which one partner knows a citizen; it says nothing to another one."""
    pair = b"subject\0" + partner_id.bytes + citizen_id.bytes
    return "sub_" + hmac.digest(keys.index_key, pair, "sha256")[:SUBJECT_BYTES].hex()


def ask_consent(connection: Connection, consent_id: UUID) -> Rows:
    """Ask for a consent, or the one that renews it, and lock it; see `consent_from`."""
    return connection.execute(READ_BY_ID, (consent_id,))


def look_up_consent(connection: Connection, consent_id: UUID) -> Rows:
    """Ask for a consent without locking it, for what discloses nothing yet; see `consent_from`."""
    return connection.execute(LOOK_UP, (consent_id,))


def ask_consent_of_subject(
    connection: Connection,
    partner_id: UUID,
    subject: str,
    *,
    cluster: str = "",
    purpose: str = "benefit",
) -> Rows:
    """Ask for a citizen's consent to a partner and lock it; see `consent_from`.

    Args:
        connection: inside the caller's transaction.
        partner_id: who asks.
        subject: by which it knows her; anything that somebody sent.
        cluster: an authorised consent that covers it comes first.
        purpose: then an authorised one for this purpose, any authorised one, the newest.
    """
    # What cannot be a subject is asked for all the same, so that it takes as long as the rest.
    asked = subject if _SUBJECT.fullmatch(subject) else ""
    return connection.execute(READ_BY_SUBJECT, (partner_id, asked, cluster, purpose))


def consent_from(rows: Rows) -> Consent:
    """Return the consent that was asked for.

    Raises:
        ConsentMissing: there is none; whether there is such a citizen is never said.
    """
    row = rows.fetchone()
    if row is None:
        raise missing()
    return _consent(dict(zip(COLUMNS, row, strict=True)))


def consent_of_subject(
    connection: Connection, partner_id: UUID, subject: str, cluster: str | None
) -> Consent:
    """Return the consent by which a partner may now know something of a citizen.

    Args:
        connection: inside the caller's transaction; the consent is locked in it.
        partner_id: who asks.
        subject: by which it knows her; anything that somebody sent.
        cluster: what it wants to know; None: only that she is a customer of both.

    Raises:
        ConsentMissing: she gave none, or there is nobody by this name.
        ConsentRevoked, ConsentExpired, ConsentScope: the best of those she gave is not enough.
    """
    rows = ask_consent_of_subject(connection, partner_id, subject, cluster=cluster or "")
    consent = consent_from(rows)
    consent.require(citizen_id=consent.citizen_id, partner_id=partner_id, cluster=cluster)
    return consent


def log_access(
    connection: Connection,
    consent: Consent,
    operation: str,
    about: str | None = None,
    *,
    is_use: bool = False,
) -> None:
    """Note what a partner did, for the citizen to read; and count it, if it is a use.

    Args:
        connection: inside the caller's transaction, in which the consent was asked for.
        consent: by which it was done.
        operation: what was done, such as ``redemption.reserved``.
        about: the public id of what it was done to.
        is_use: it counts against the consent's limits.

    Raises:
        psycopg.errors.CheckViolation: a limit is reached; maybe only when the statements that
            wait are sent, see `refusal_of_use`.
    """
    noted = (consent.citizen_id, uuid4(), consent.id, consent.partner_id, operation, about, is_use)
    if not is_use:
        connection.execute(NOTE, noted)
        return
    connection.execute(COUNT_AND_NOTE, (consent.id, *noted))
    now = clock.now()
    for limit in consent.periodic_limits:
        starts_at = limit.started_at(consent.valid_from, now)
        counted = (consent.id, limit.period, starts_at, limit.max_uses)
        connection.execute(COUNT_IN_PERIOD, counted)


def refusal_of_use(error: psycopg.errors.CheckViolation) -> DomainError | None:
    """Return what a failed count means, or None when it was another rule that failed."""
    if error.diag.constraint_name not in LIMITS:
        return None
    return ConsentUsesExhausted("This consent has been used as often as the citizen allowed.")


def missing() -> ConsentMissing:
    """Return the refusal that says nothing of whether there is such a citizen or consent."""
    return ConsentMissing("There is no consent by which you may do this.")


def _consent(columns: Mapping[str, Any]) -> Consent:
    limits = tuple(map(PeriodicLimit.from_document, columns["periodic_limits"]))
    clusters = frozenset(columns["data_clusters"])
    return Consent(**{**columns, "periodic_limits": limits, "data_clusters": clusters})
