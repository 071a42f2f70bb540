"""Sign-ins and their rotating refresh tokens: each token works once, and using one twice ends all.

There is no grace for a repeated token: an application that loses an answer signs in again. A token
is 256 random bits and is stored as its SHA-256 only.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, insert, literal, select, update
from sqlalchemy.orm import Session

from service import clock
from service.errors import DomainError
from service.identity.errors import (
    AccountFrozen,
    RecentSignInNeeded,
    RefreshTokenInvalid,
    RefreshTokenReused,
)
from service.identity.models import Citizen, RefreshFamily, RefreshToken
from service.runtime import Runtime

TOKEN_BYTES = 32
IDLE = timedelta(days=30)
ABSOLUTE = timedelta(days=90)
RECENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A citizen's session, and the refresh token that continues it."""

    citizen_id: UUID
    session_id: UUID
    refresh_token: str


def start_session(session: Session, citizen_id: UUID, device_digest: bytes) -> SignedIn:
    """Begin a session for a citizen who has just proved her number."""
    now = clock.now()
    family_id = uuid4()
    session.execute(
        insert(RefreshFamily).values(
            citizen_id=citizen_id,
            id=family_id,
            device_digest=device_digest,
            signed_in_at=now,
            expires_at=now + ABSOLUTE,
        )
    )
    return _continue(session, citizen_id, family_id, now + ABSOLUTE)


def rotate(session: Session, refresh_token: str) -> SignedIn | DomainError:
    """Exchange a refresh token for the next one; a refusal is returned, to be raised after commit.

    A token that was used before means that two parties hold it: the whole family is revoked, and
    that has to be committed.
    """
    digest = _digest(refresh_token)
    used = session.execute(
        update(RefreshToken)
        .where(
            RefreshToken.token_digest == digest,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > clock.now(),
            _live_family().where(RefreshFamily.id == RefreshToken.family_id).exists(),
        )
        .values(used_at=clock.now())
        .returning(RefreshToken.citizen_id, RefreshToken.family_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if used is None:
        return _why_refused(session, digest)
    ends_at = session.scalars(
        select(RefreshFamily.expires_at).where(RefreshFamily.id == used.family_id)
    ).one()
    note_seen(session, used.citizen_id)
    return _continue(session, used.citizen_id, used.family_id, ends_at)


def note_seen(session: Session, citizen_id: UUID) -> None:
    """Remember that a citizen used her account now."""
    mine = update(Citizen).where(Citizen.citizen_id == citizen_id)
    session.execute(mine.values(last_seen_at=clock.now()))


def end_session(session: Session, session_id: UUID, *, because: str) -> None:
    """Sign one session out, for ever."""
    _revoke(session, because, RefreshFamily.id == session_id)


def end_every_session(session: Session, citizen_id: UUID, *, because: str) -> None:
    """Sign a citizen out everywhere."""
    _revoke(session, because, RefreshFamily.citizen_id == citizen_id)


def require_recent_sign_in(session: Session, session_id: UUID | None) -> None:
    """Let a session pass that a one-time code began in the last five minutes.

    Raises:
        RecentSignInNeeded: it is older, or was only refreshed since.
    """
    recent = select(RefreshFamily.id).where(
        RefreshFamily.id == session_id, RefreshFamily.signed_in_at > clock.now() - RECENT
    )
    if session.scalar(recent) is None:
        raise RecentSignInNeeded("Please sign in again with a new code, and then repeat this.")


def session_check(runtime: Runtime) -> Callable[[UUID], bool]:
    """Return the question `web.access` asks: does this session still live?

    A staff member's or a partner's session is named by her own id, and lives while she may work
    here.
    """

    def is_live(session_id: UUID) -> bool:
        question = {"session_id": session_id, "now": clock.now()}
        with runtime.database.one_statement() as reader:
            answer = reader.execute(_IS_LIVE, question).fetchone()
        return answer is not None

    return is_live


_IS_LIVE = """
SELECT 1 FROM refresh_family JOIN citizen USING (citizen_id)
WHERE refresh_family.id = %(session_id)s AND revoked_at IS NULL AND expires_at > %(now)s
  AND citizen.state = 'active'
UNION ALL
SELECT 1 FROM staff WHERE id = %(session_id)s AND state = 'active'
UNION ALL
SELECT 1 FROM partner WHERE id = %(session_id)s AND state = 'active'
"""


def _live_family() -> Select[int]:
    return (
        select(literal(1))
        .select_from(RefreshFamily)
        .join(Citizen, Citizen.citizen_id == RefreshFamily.citizen_id)
        .where(
            RefreshFamily.revoked_at.is_(None),
            RefreshFamily.expires_at > clock.now(),
            Citizen.state == "active",
        )
    )


def _continue(session: Session, citizen_id: UUID, family_id: UUID, ends_at: datetime) -> SignedIn:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.execute(
        insert(RefreshToken).values(
            token_digest=_digest(token),
            citizen_id=citizen_id,
            family_id=family_id,
            expires_at=min(clock.now() + IDLE, ends_at),
        )
    )
    return SignedIn(citizen_id, family_id, token)


def _why_refused(session: Session, digest: bytes) -> DomainError:
    found = session.execute(
        select(RefreshToken.used_at, RefreshToken.family_id, Citizen.state)
        .join(Citizen, Citizen.citizen_id == RefreshToken.citizen_id)
        .where(RefreshToken.token_digest == digest)
    ).one_or_none()
    if found is not None and found.state == "frozen":
        return AccountFrozen("Your account is frozen. Please contact the service.")
    if found is not None and found.used_at is not None:
        end_session(session, found.family_id, because="token_reused")
        return RefreshTokenReused(
            "This token was used before, so the sign-in has been ended to protect your account."
            " Please sign in again."
        )
    return RefreshTokenInvalid("This sign-in cannot be continued. Please sign in again.")


def _revoke(session: Session, because: str, which: ColumnElement[bool]) -> None:
    alive = update(RefreshFamily).where(which, RefreshFamily.revoked_at.is_(None))
    session.execute(
        alive.values(revoked_at=clock.now(), revoked_because=because).execution_options(
            synchronize_session=False
        )
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
