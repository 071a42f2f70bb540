"""Links as they are shown: to the citizen who gave them, to the source that has to confirm them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Tuple, select, tuple_
from sqlalchemy.orm import Session

from service.db import driver_connection
from service.identity.consent import TEXTS, ConsentText
from service.identity.models import SourceLink
from service.keys import KeyRing
from service.partners.organisations import partners_by_id
from service.seals import Place, unseal

ACTIVE = "active"
AWAITING = "awaiting_confirmation"
ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Link:
    """A consent as its citizen sees it."""

    id: UUID
    source: str
    account_masked: str
    state: str
    consent: ConsentText
    requested_at: datetime
    linked_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A link that its source has to confirm."""

    id: UUID
    account_ref: str
    requested_at: datetime


def links_of(
    session: Session, citizen_id: UUID, *, after: tuple[datetime, UUID] | None, most: int
) -> list[Link]:
    """Return a citizen's links, newest first, ended ones too."""
    hers = select(SourceLink).where(SourceLink.citizen_id == citizen_id)
    if after is not None:
        hers = hers.where(_position() < tuple_(*after))
    newest = hers.order_by(SourceLink.requested_at.desc(), SourceLink.id.desc()).limit(most)
    found = session.scalars(newest).all()
    names = _names_of_sources(session, [link.source_id for link in found])
    return [shown(link, names[link.source_id]) for link in found]


def claims_at(
    session: Session,
    keys: KeyRing,
    source_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    most: int,
) -> list[Claim]:
    """Return what a source has to confirm, oldest first, with the account each claim is about."""
    its = select(SourceLink).where(SourceLink.source_id == source_id, SourceLink.state == AWAITING)
    if after is not None:
        its = its.where(_position() > tuple_(*after))
    oldest = its.order_by(SourceLink.requested_at, SourceLink.id).limit(most)
    return [_claim(keys, link) for link in session.scalars(oldest)]


def shown(link: SourceLink, source: str) -> Link:
    """Return a link as its citizen sees it."""
    return Link(
        link.id,
        source,
        link.account_masked,
        link.state,
        TEXTS[link.consent_version],
        link.requested_at,
        link.linked_at,
        link.ended_at,
    )


def place_of_account(link_id: UUID, version: int) -> Place:
    """Return where the account of a claim is sealed for."""
    return Place("source_link", "account_sealed", link_id, version)


def _claim(keys: KeyRing, link: SourceLink) -> Claim:
    # A constraint keeps the account of an awaiting link readable.
    assert link.account_sealed is not None  # noqa: S101
    assert link.sealed_key_version is not None  # noqa: S101
    key = keys.data_keys[link.sealed_key_version]
    account = unseal(key, link.account_sealed, place_of_account(link.id, link.sealed_key_version))
    return Claim(link.id, account.decode(), link.requested_at)


def _names_of_sources(session: Session, source_ids: Sequence[UUID]) -> dict[UUID, str]:
    partners = partners_by_id(driver_connection(session), source_ids)
    return {source_id: partner.name for source_id, partner in partners.items()}


def _position() -> Tuple:
    return tuple_(SourceLink.requested_at, SourceLink.id)
