"""Consent, given, confirmed and withdrawn: linking a source's account to a citizen.

One account is one citizen's at a time. Decisions about an account are taken one after the other
under its own lock, and a unique index guards the rule even then. A claim that its source has yet to
confirm blocks nobody: several people may claim an account, the source says whose it is.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from service import clock
from service.db import driver_connection
from service.identity.consent import CONSENT
from service.identity.consequences import Consequences, EndedLink
from service.identity.errors import (
    AccountAlreadyLinked,
    CitizenUnknown,
    SourceLinkUnknown,
    SourceUnknown,
    TooManySourceLinks,
)
from service.identity.link_lists import ACTIVE, AWAITING, ENDED, Link, place_of_account, shown
from service.identity.models import Citizen, ReleasedAccount, SourceLink
from service.identity.source_links import account_digest, masked_account
from service.keys import KeyRing
from service.partners.errors import PartnerUnknown
from service.partners.organisations import Partner, partner_by_name
from service.seals import seal

MOST_LIVE_LINKS = 50


def link_account(
    session: Session, keys: KeyRing, citizen_id: UUID, source_name: str, account_ref: str
) -> tuple[Link, bool]:
    """Record a citizen's consent that a source's account is hers.

    Returns:
        The link, and whether it is new: the same consent again returns the first one.

    Raises:
        SourceUnknown: there is no such source, or it sends nothing at present.
        AccountAlreadyLinked: the account is another citizen's.
        TooManySourceLinks: she has fifty already.
    """
    source = _source(session, source_name)
    digest = account_digest(keys, source.id, account_ref)
    _lock_account(session, digest)
    _require_living(session, citizen_id)
    present = _live_link(session, source.id, digest, citizen_id)
    if present is not None:
        return shown(present, source.name), False
    _refuse_taken(session, source.id, digest)
    _refuse_too_many(session, citizen_id)
    link = SourceLink(
        source_id=source.id,
        account_digest=digest,
        id=uuid4(),
        citizen_id=citizen_id,
        account_key_version=keys.account_key.version,
        account_masked=masked_account(account_ref),
        consent_purpose=CONSENT.purpose,
        consent_version=CONSENT.version,
        consent_digest=CONSENT.digest,
        requested_at=clock.now(),
    )
    if source.link_proof == "source":
        _await_confirmation(keys, link, account_ref)
    else:
        _activate(session, link)
    session.add(link)
    session.flush()
    return shown(link, source.name), True


def confirm_link(session: Session, source_id: UUID, link_id: UUID) -> None:
    """Let a claim count, because its source says that the account is this citizen's.

    Confirming twice changes nothing.

    Raises:
        SourceLinkUnknown: there is no such claim at this source, or it was withdrawn.
        AccountAlreadyLinked: the account became another citizen's in the meantime.
    """
    link = _of_source(session, source_id, link_id)
    _lock_account(session, link.account_digest)
    session.refresh(link, with_for_update=True)
    if link.state == ACTIVE:
        return
    if link.state == ENDED:
        raise _link_unknown()
    _refuse_taken(session, source_id, link.account_digest)
    link.account_sealed = link.sealed_key_version = None
    _activate(session, link)
    session.flush()


def end_link(
    session: Session,
    citizen_id: UUID,
    link_id: UUID,
    consequences: Consequences,
    *,
    keep_pending: bool,
) -> None:
    """Withdraw a consent; what is pending under it is withdrawn too, unless she keeps it.

    Ending an ended link changes nothing.

    Raises:
        SourceLinkUnknown: she has no such link.
    """
    hers = select(SourceLink).where(SourceLink.citizen_id == citizen_id, SourceLink.id == link_id)
    link = session.scalar(hers)
    if link is None:
        raise _link_unknown()
    _lock_account(session, link.account_digest)
    session.refresh(link, with_for_update=True)
    if link.state == ENDED:
        return
    link.account_sealed = link.sealed_key_version = None
    link.state, link.ended_at = ENDED, clock.now()
    session.flush()
    if not keep_pending:
        ended = EndedLink(citizen_id, link.id, link.source_id, link.account_digest)
        for follow in consequences.link_ended:
            follow(session, ended)


def _source(session: Session, name: str) -> Partner:
    try:
        source = partner_by_name(driver_connection(session), name)
    except PartnerUnknown as error:
        raise _source_unknown() from error
    if "source" not in source.roles or not source.is_active:
        raise _source_unknown()
    return source


def _source_unknown() -> SourceUnknown:
    return SourceUnknown("No source of this scheme goes by that name. Please check the spelling.")


def _link_unknown() -> SourceLinkUnknown:
    return SourceLinkUnknown("There is no such link, or it is not yours.")


def _lock_account(session: Session, digest: bytes) -> None:
    """Let one transaction at a time decide about an account, and see what the last one did."""
    number = int.from_bytes(digest[:8], "big", signed=True)
    session.execute(select(func.pg_advisory_xact_lock(number)))


def _require_living(session: Session, citizen_id: UUID) -> None:
    """Keep a citizen from leaving or being frozen while she links an account."""
    citizen = session.get(Citizen, citizen_id, with_for_update={"read": True})
    if citizen is None or citizen.state != "active":
        raise CitizenUnknown("There is no such account.")


def _live_link(
    session: Session, source_id: UUID, digest: bytes, citizen_id: UUID
) -> SourceLink | None:
    live = _of_account(source_id, digest).where(
        SourceLink.citizen_id == citizen_id, SourceLink.state != ENDED
    )
    return session.scalar(live)


def _refuse_taken(session: Session, source_id: UUID, digest: bytes) -> None:
    taken = _of_account(source_id, digest).where(SourceLink.state == ACTIVE)
    if session.scalar(taken) is not None:
        raise AccountAlreadyLinked(
            "This account is linked to somebody else. If it is yours, please ask the source or the"
            " service's staff to look into it."
        )


def _refuse_too_many(session: Session, citizen_id: UUID) -> None:
    live = select(func.count()).where(
        SourceLink.citizen_id == citizen_id, SourceLink.state != ENDED
    )
    if (session.scalar(live) or 0) >= MOST_LIVE_LINKS:
        raise TooManySourceLinks(
            "{most} accounts are linked already. Please end a link first.", most=MOST_LIVE_LINKS
        )


def _await_confirmation(keys: KeyRing, link: SourceLink, account_ref: str) -> None:
    """Keep the account readable until its source has said whose it is."""
    link.state = AWAITING
    link.sealed_key_version = keys.data_key.version
    place = place_of_account(link.id, link.sealed_key_version)
    link.account_sealed = seal(keys.data_key.secret, account_ref.encode(), place)


def _activate(session: Session, link: SourceLink) -> None:
    link.state = ACTIVE
    link.linked_at = clock.now()
    link.covers_from = _end_of_last_other_holder(session, link)


def _end_of_last_other_holder(session: Session, link: SourceLink) -> datetime | None:
    """Return until when an account was somebody else's, those who have left included.

    Her own earlier links do not count: an act is keyed by its citizen, so hers cannot count twice.
    """
    ended = select(func.max(SourceLink.ended_at)).where(
        SourceLink.source_id == link.source_id,
        SourceLink.account_digest == link.account_digest,
        SourceLink.citizen_id != link.citizen_id,
        SourceLink.linked_at.is_not(None),
    )
    released = select(ReleasedAccount.released_at).where(
        ReleasedAccount.source_id == link.source_id,
        ReleasedAccount.account_trace == func.sha256(link.account_digest),
    )
    known = [session.scalar(ended), session.scalar(released)]
    return max((moment for moment in known if moment is not None), default=None)


def _of_account(source_id: UUID, digest: bytes) -> Select[SourceLink]:
    return select(SourceLink).where(
        SourceLink.source_id == source_id, SourceLink.account_digest == digest
    )


def _of_source(session: Session, source_id: UUID, link_id: UUID) -> SourceLink:
    its = select(SourceLink).where(SourceLink.source_id == source_id, SourceLink.id == link_id)
    link = session.scalar(its)
    if link is None:
        raise _link_unknown()
    return link
