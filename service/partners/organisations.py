"""Which organisations there are: looked up by others, added and changed by operators."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row, kwargs_row
from psycopg.types.json import Jsonb

from service.partners.errors import PartnerNameTaken, PartnerTermsInvalid, PartnerUnknown
from service.partners.key_sets import checked_key_set, key_ids
from service.partners.scopes import ROLES

LinkProof = Literal["none", "source"]

REMEMBERED_S = 5.0
LONGEST_SETTLEMENT_DELAY_DAYS = 90
LONGEST_NAME = 64

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_REGION = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation as the rest of the house sees it."""

    id: UUID
    name: str
    roles: frozenset[str]
    region: str | None
    """GB/T 2260 code, or None for the place the service itself is set to."""
    link_proof: LinkProof
    settlement_delay_days: int
    evidence_tier: str
    state: Literal["active", "suspended"]

    @property
    def is_active(self) -> bool:
        """Whether it may send or receive anything now."""
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class PartnerTerms:
    """What an operator registers an organisation with."""

    name: str
    roles: frozenset[str]
    jwks: Any
    region: str | None = None
    link_proof: LinkProof = "none"
    settlement_delay_days: int = 0


_COLUMNS = "id, name, roles, region, link_proof, settlement_delay_days, evidence_tier, state"


def partner_by_id(connection: psycopg.Connection[Any], partner_id: UUID) -> Partner:
    """Return a partner, from at most 5 s old memory of this process.

    Raises:
        PartnerUnknown: there is none by this id.
    """
    return _remembered.get(partner_id, lambda: _read(connection, "id", partner_id))


def partner_by_name(connection: psycopg.Connection[Any], name: str) -> Partner:
    """Return a partner by its slug.

    Raises:
        PartnerUnknown: there is none by this name.
    """
    return _read(connection, "name", name)


def partners_by_id(
    connection: psycopg.Connection[Any], partner_ids: Sequence[UUID]
) -> dict[UUID, Partner]:
    """Return the partners that exist among some ids, with one query."""
    query = f"SELECT {_COLUMNS} FROM partner WHERE id = ANY(%s)"
    with connection.cursor(row_factory=kwargs_row(_partner)) as cursor:
        return {partner.id: partner for partner in cursor.execute(query, [list(partner_ids)])}


def all_partners(connection: psycopg.Connection[Any]) -> list[Partner]:
    """Return every partner by name."""
    with connection.cursor(row_factory=kwargs_row(_partner)) as cursor:
        return cursor.execute(f"SELECT {_COLUMNS} FROM partner ORDER BY name").fetchall()


def key_set_of(connection: psycopg.Connection[Any], partner_id: UUID) -> dict[str, Any]:
    """Return the public keys a partner has registered.

    Raises:
        PartnerUnknown: there is none by this id.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT jwks FROM partner WHERE id = %s", [partner_id]).fetchone()
    if row is None:
        raise _unknown()
    jwks: dict[str, Any] = row["jwks"]
    return jwks


def add_partner(connection: psycopg.Connection[Any], terms: PartnerTerms) -> Partner:
    """Register an organisation and its public keys.

    Raises:
        PartnerTermsInvalid, KeySetInvalid: what is wrong is in the sentence.
        PartnerNameTaken: the slug is in use.
    """
    _check(terms)
    key_set = checked_key_set(terms.jwks)
    row = connection.execute(
        "INSERT INTO partner (id, name, roles, region, link_proof, settlement_delay_days, jwks)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING RETURNING id",
        [
            uuid4(),
            terms.name,
            sorted(terms.roles),
            terms.region,
            terms.link_proof,
            terms.settlement_delay_days,
            Jsonb(key_set),
        ],
    ).fetchone()
    if row is None:
        raise PartnerNameTaken("There is already a partner named {name}.", name=terms.name)
    _record_change(connection, row[0], "added", "registered", key_set)
    return _read(connection, "id", row[0])


def set_state(
    connection: psycopg.Connection[Any], partner: Partner, *, active: bool, reason: str
) -> None:
    """Suspend a partner, or let it work again.

    It gets no new token from now on; one it already holds is refused within 5 s by whoever asks
    for the partner, and within a minute everywhere.
    """
    state, kind = ("active", "resumed") if active else ("suspended", "suspended")
    connection.execute("UPDATE partner SET state = %s WHERE id = %s", [state, partner.id])
    _record_change(connection, partner.id, kind, reason, key_set_of(connection, partner.id))
    forget_remembered()


def replace_keys(connection: psycopg.Connection[Any], partner: Partner, jwks: Any) -> list[str]:
    """Replace a partner's public keys and return the new key ids.

    Raises:
        KeySetInvalid: what is wrong is in the sentence.
    """
    key_set = checked_key_set(jwks)
    connection.execute("UPDATE partner SET jwks = %s WHERE id = %s", [Jsonb(key_set), partner.id])
    _record_change(connection, partner.id, "keys_rotated", "new key set", key_set)
    return key_ids(key_set)


def forget_remembered() -> None:
    """Make this process ask the database about every partner again."""
    _remembered.clear()


def _check(terms: PartnerTerms) -> None:
    complaint = _complaint_about(terms)
    if complaint:
        raise PartnerTermsInvalid(complaint)


def _complaint_about(terms: PartnerTerms) -> str:
    if len(terms.name) > LONGEST_NAME or not _SLUG.fullmatch(terms.name):
        return "A name is lower-case letters, digits and single hyphens, at most 64 in all."
    if not terms.roles or not terms.roles <= ROLES:
        return "A partner has one or more of the known roles."
    if terms.region is not None and not _REGION.fullmatch(terms.region):
        return "A region is a six-digit GB/T 2260 code."
    if not 0 <= terms.settlement_delay_days <= LONGEST_SETTLEMENT_DELAY_DAYS:
        return "A settlement delay is 0 to 90 days."
    return ""


def _record_change(
    connection: psycopg.Connection[Any],
    partner_id: UUID,
    kind: str,
    reason: str,
    key_set: dict[str, Any],
) -> None:
    connection.execute(
        "INSERT INTO partner_change (id, partner_id, kind, reason, key_ids)"
        " VALUES (%s, %s, %s, %s, %s)",
        [uuid4(), partner_id, kind, reason, key_ids(key_set)],
    )


def _read(connection: psycopg.Connection[Any], column: str, value: object) -> Partner:
    query = f"SELECT {_COLUMNS} FROM partner WHERE {column} = %s"
    with connection.cursor(row_factory=kwargs_row(_partner)) as cursor:
        partner = cursor.execute(query, [value]).fetchone()
    if partner is None:
        raise _unknown()
    return partner


def _partner(*, roles: list[str], **columns: Any) -> Partner:
    return Partner(roles=frozenset(roles), **columns)


def _unknown() -> PartnerUnknown:
    return PartnerUnknown("No partner of this scheme goes by that name.")


class _Remembered:
    """Partners read in the last 5 s, for feeds that ask thousands of times a minute."""

    def __init__(self) -> None:
        self._partners: dict[UUID, tuple[Partner, float]] = {}
        self._writing = threading.Lock()

    def get(self, partner_id: UUID, read: Callable[[], Partner]) -> Partner:
        found = self._partners.get(partner_id)
        if found is not None and time.monotonic() < found[1]:
            return found[0]
        partner = read()
        with self._writing:
            self._partners[partner_id] = (partner, time.monotonic() + REMEMBERED_S)
        return partner

    def clear(self) -> None:
        with self._writing:
            self._partners = {}


_remembered = _Remembered()
