"""A citizen gives a consent, or renews one: to one partner, for one purpose, for a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from service import clock
from service.identity.consents.changes import RETURNING, SERVICE, Actor, Changed, end, note
from service.identity.consents.checking import pairwise_subject
from service.identity.consents.errors import ConsentEnded, ConsentExists, ConsentTermsInvalid
from service.identity.consents.periods import PeriodicLimit
from service.identity.consents.purposes import CLUSTERS, PURPOSES
from service.identity.consents.recipients import partner_for, recipient
from service.identity.consents.words import VERSION, Recipient, words
from service.identity.errors import CitizenUnknown
from service.ids import CONSENT, IdUnknown, public_id
from service.keys import KeyRing
from service.partners.organisations import Partner

LONGEST: Final = timedelta(days=366)

# Consents are locked before their citizen, in every transaction.
LOCK_LIVE: Final = """
SELECT id, valid_to FROM consent
WHERE citizen_id = %s AND partner_id = %s AND purpose = %s AND state = 'authorised'
FOR NO KEY UPDATE
"""

IS_HERS: Final = """
SELECT true FROM consent WHERE id = %s AND citizen_id = %s AND partner_id = %s AND purpose = %s
"""

LIVES: Final = "SELECT state = 'active' FROM citizen WHERE citizen_id = %s FOR KEY SHARE"

WRITE: Final = f"""
INSERT INTO consent (id, citizen_id, partner_id, subject, recipient_name, recipient_contact,
    purpose, text_version, text_digest, data_clusters, valid_from, valid_to, max_uses,
    periodic_limits, renews)
VALUES (%(id)s, %(citizen_id)s, %(partner_id)s, %(subject)s, %(recipient_name)s,
    %(recipient_contact)s, %(purpose)s, %(text_version)s, %(text_digest)s, %(data_clusters)s,
    %(valid_from)s, %(valid_to)s, %(max_uses)s, %(periodic_limits)s, %(renews)s)
{RETURNING}
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a citizen agrees to."""

    partner: str
    """The partner's name."""
    purpose: str
    data_clusters: frozenset[str]
    valid_to: datetime
    max_uses: int | None = None
    periodic_limits: tuple[PeriodicLimit, ...] = ()
    renews: UUID | None = None

    @property
    def clusters_shown(self) -> list[str]:
        """The kinds of data in the order in which they are shown."""
        return [cluster for cluster in CLUSTERS if cluster in self.data_clusters]


class Agreed(NamedTuple):
    """Between whom, and from when."""

    citizen_id: UUID
    partner: Partner
    recipient: Recipient
    now: datetime


class Giving:
    """Consents that citizens give through this installation."""

    def __init__(self, keys: KeyRing, service: str) -> None:
        """Make subjects with the installation's keys.

        Args:
            keys: their index key makes pairwise subjects.
            service: where citizens reach the service.
        """
        self._keys = keys
        self._service = service

    def give(self, connection: psycopg.Connection[Any], citizen_id: UUID, wish: Wish) -> UUID:
        """Let a partner know what a citizen wishes it to know; return the consent's id.

        Raises:
            ConsentTermsInvalid: it would last too long or not at all, or covers what the purpose
                does not need.
            RecipientUnknown: this partner cannot have it.
            ConsentExists: there is a live one that this does not say it renews.
            ConsentEnded: what it says it renews has ended.
            CitizenUnknown: she has left, or is frozen.
        """
        agreed = self.terms(connection, citizen_id, wish)
        live = _live(connection, agreed, wish)
        _require_living(connection, citizen_id)
        if wish.renews is None:
            _refuse_second(live)
        else:
            _renew(connection, agreed, wish, live)
        return self._write(connection, agreed, wish)

    def terms(self, connection: psycopg.Connection[Any], citizen_id: UUID, wish: Wish) -> Agreed:
        """Return between whom a consent would be.

        Raises:
            ConsentTermsInvalid, RecipientUnknown: as `give`.
        """
        now = clock.now()
        _require_valid(wish, now)
        partner = partner_for(connection, wish.partner, PURPOSES[wish.purpose])
        return Agreed(citizen_id, partner, recipient(connection, partner, self._service), now)

    def _write(self, connection: psycopg.Connection[Any], agreed: Agreed, wish: Wish) -> UUID:
        try:
            row = connection.execute(WRITE, self._row(agreed, wish)).fetchone()
        except UniqueViolation as error:
            # She gave another at the same moment.
            raise _exists() from error
        changed = Changed._make(row or ())
        note(connection, changed, "authorised", Actor("citizen", agreed.citizen_id))
        return changed.id

    def _row(self, agreed: Agreed, wish: Wish) -> dict[str, Any]:
        clusters = wish.clusters_shown
        shown = words(wish.purpose, agreed.recipient, clusters, wish.valid_to)
        partner_id = agreed.partner.id
        return {
            "id": uuid4(),
            "citizen_id": agreed.citizen_id,
            "partner_id": partner_id,
            "subject": pairwise_subject(self._keys, partner_id, agreed.citizen_id),
            "recipient_name": agreed.recipient.name,
            "recipient_contact": agreed.recipient.contact,
            "purpose": wish.purpose,
            "text_version": VERSION,
            "text_digest": shown.digest,
            "data_clusters": clusters,
            "valid_from": agreed.now,
            "valid_to": wish.valid_to,
            "max_uses": wish.max_uses,
            "periodic_limits": Jsonb([limit.document for limit in wish.periodic_limits]),
            "renews": wish.renews,
        }


def _require_valid(wish: Wish, now: datetime) -> None:
    if not now < wish.valid_to <= now + LONGEST:
        raise ConsentTermsInvalid(
            "A consent ends in the future, and at most {days} days from now.", days=LONGEST.days
        )
    surplus = wish.data_clusters - PURPOSES[wish.purpose].clusters
    if surplus or not wish.data_clusters:
        raise ConsentTermsInvalid(
            "A consent for {purpose} covers one or more of: {clusters}.",
            purpose=wish.purpose,
            clusters=", ".join(sorted(PURPOSES[wish.purpose].clusters)),
        )
    if len({limit.period for limit in wish.periodic_limits}) < len(wish.periodic_limits):
        raise ConsentTermsInvalid("Please give at most one limit for each period.")


def _live(connection: psycopg.Connection[Any], agreed: Agreed, wish: Wish) -> list[UUID]:
    """Lock what she has given for the purpose, and return what is in force of it."""
    asked = [agreed.citizen_id, agreed.partner.id, wish.purpose]
    live = []
    for consent_id, valid_to in connection.execute(LOCK_LIVE, asked).fetchall():
        if valid_to <= agreed.now:
            end(connection, consent_id, "expired", SERVICE)
        else:
            live.append(consent_id)
    return live


def _require_living(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Keep a citizen from leaving while she consents."""
    row = connection.execute(LIVES, [citizen_id]).fetchone()
    if row is None or not row[0]:
        raise CitizenUnknown("There is no such account.")


def _refuse_second(live: Sequence[UUID]) -> None:
    if live:
        raise _exists(consent_id=public_id(CONSENT, live[0]))


def _renew(
    connection: psycopg.Connection[Any], agreed: Agreed, wish: Wish, live: Sequence[UUID]
) -> None:
    """End the former consent, at the moment in which the next one is given."""
    asked = [wish.renews, agreed.citizen_id, agreed.partner.id, wish.purpose]
    if connection.execute(IS_HERS, asked).fetchone() is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    if wish.renews is None or wish.renews not in live:
        raise ConsentEnded("This consent has ended. Please give a new one instead of renewing it.")
    end(connection, wish.renews, "renewed", Actor("citizen", agreed.citizen_id))


def _exists(**members: str) -> ConsentExists:
    return ConsentExists(
        "There is a live consent to this partner for this purpose. Please renew or revoke it.",
        **members,
    )
