"""How each partner is spoken with: from where it may be reached, what it signs, what it may get.

A partner without a row of its own has the defaults: it is in the public internet, signs messages
if it likes, gets what its roles bring, and cannot be asked what became of a redemption.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg

from service.partners.addresses import Reach, checked_url
from service.partners.errors import PartnerTermsInvalid
from service.partners.key_sets import key_ids
from service.partners.organisations import Partner, key_set_of
from service.partners.scopes import SCOPES
from service.pipelining import Connection

Signatures = Literal["optional", "required"]

REMEMBERED_S = 5.0


@dataclass(frozen=True, slots=True)
class Profile:
    """How one partner is spoken with."""

    partner_id: UUID
    reach: Reach = "public"
    """loopback: it runs beside the service, for trying things out."""
    signatures: Signatures = "optional"
    """required: it signs every message that changes something (RFC 9421)."""
    scopes: frozenset[str] | None = None
    """The most it can get; None: whatever its roles bring."""
    status_url: str | None = None
    """Where it is asked what became of a redemption."""

    def view(self) -> dict[str, Any]:
        """Return the profile as operators see it."""
        return {
            "reach": self.reach,
            "signatures": self.signatures,
            "scopes": None if self.scopes is None else sorted(self.scopes),
            "status_url": self.status_url,
        }


def profile_of(connection: Connection, partner_id: UUID) -> Profile:
    """Return how a partner is spoken with."""
    row = connection.execute(
        "SELECT reach, signatures, scopes, status_url FROM partner_profile WHERE partner_id = %s",
        (partner_id,),
    ).fetchone()
    if row is None:
        return Profile(partner_id)
    reach, signatures, scopes, status_url = row
    allowed = None if scopes is None else frozenset(scopes)
    return Profile(partner_id, reach, signatures, allowed, status_url)


def change_profile(
    connection: psycopg.Connection[Any], partner: Partner, profile: Profile
) -> Profile:
    """Speak with a partner otherwise from now on; tokens that it holds keep their scopes.

    Raises:
        PartnerTermsInvalid, AddressRefused: what is wrong is in the sentence.
    """
    _refuse_unknown_scopes(profile)
    if profile.status_url is not None:
        checked_url(profile.status_url, profile.reach)
    connection.execute(
        "INSERT INTO partner_profile (partner_id, reach, signatures, scopes, status_url)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (partner_id) DO UPDATE SET"
        " reach = excluded.reach, signatures = excluded.signatures, scopes = excluded.scopes,"
        " status_url = excluded.status_url, recorded_at = clock_timestamp()",
        [
            profile.partner_id,
            profile.reach,
            profile.signatures,
            None if profile.scopes is None else sorted(profile.scopes),
            profile.status_url,
        ],
    )
    connection.execute(
        "INSERT INTO partner_change (id, partner_id, kind, reason, key_ids)"
        " VALUES (%s, %s, 'profile_changed', %s, %s)",
        [
            uuid4(),
            partner.id,
            json.dumps(profile.view()),
            key_ids(key_set_of(connection, partner.id)),
        ],
    )
    return profile


def _refuse_unknown_scopes(profile: Profile) -> None:
    unknown = (profile.scopes or frozenset()) - SCOPES
    if unknown:
        raise PartnerTermsInvalid("There is no scope named {scope}.", scope=min(unknown))


class RememberedProfiles:
    """Profiles read in the last 5 s, for what is asked at every request of a partner."""

    def __init__(self) -> None:
        self._profiles: dict[UUID, tuple[Profile, float]] = {}
        self._writing = threading.Lock()

    def get(self, partner_id: UUID, read: Callable[[UUID], Profile]) -> Profile:
        """Return a profile from memory, or read it."""
        found = self._profiles.get(partner_id)
        if found is not None and time.monotonic() < found[1]:
            return found[0]
        profile = read(partner_id)
        with self._writing:
            self._profiles[partner_id] = (profile, time.monotonic() + REMEMBERED_S)
        return profile
