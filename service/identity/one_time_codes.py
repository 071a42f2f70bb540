"""One-time codes: sent within limits, good for five minutes, five tries and one use.

Codes and limits live in PostgreSQL, so losing Redis loses no code and lifts no limit. Nothing here
looks at accounts: a known and an unknown number get the same answer in the same time.
"""

import hmac
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from service import clock
from service.identity.errors import OtpCeilingReached, OtpLimitReached, OtpTooSoon
from service.identity.models import OneTimeCode
from service.identity.phones import Phone
from service.keys import KeyRing
from service.seals import Place, seal, unseal

DIGITS = 6
LIFETIME = timedelta(minutes=5)
TRIES = 5
SENT_PER_NUMBER = (
    (timedelta(minutes=1), 1),
    (timedelta(hours=1), 5),
    (timedelta(hours=24), 10),
)
"""Rolling windows, as the carriers' own platforms enforce them."""
CEILING_WINDOW = timedelta(minutes=1)
CEILING = 3_000
"""Codes a minute that the whole service sends: what an attack may cost."""
ROWS_KEPT_FOR = SENT_PER_NUMBER[-1][0]


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code on its way to its number; the code itself is stored nowhere."""

    request_id: UUID
    code: str


def issue_code(session: Session, keys: KeyRing, phone: Phone) -> IssuedCode:
    """Make a code for a number, unless too many were made.

    Raises:
        OtpTooSoon, OtpLimitReached: for this number; `retry_after_s` says when to come back.
        OtpCeilingReached: for the whole service.
    """
    now = clock.now()
    index = phone.index(keys)
    lock_number(session, index)
    _refuse_beyond_limits(_sent_to(session, index, now), now)
    _refuse_beyond_ceiling(session, now)
    _forget_old(session, now)
    issued = IssuedCode(uuid4(), f"{secrets.randbelow(10**DIGITS):0{DIGITS}}")
    version = keys.data_key.version
    session.execute(
        insert(OneTimeCode).values(
            id=issued.request_id,
            phone_index=index,
            phone_sealed=seal(
                keys.data_key.secret, phone.e164.encode(), _place(issued.request_id, version)
            ),
            sealed_key_version=version,
            code_digest=_digest(keys, issued.request_id, issued.code),
            sent_at=now,
            expires_at=now + LIFETIME,
        )
    )
    return issued


def use_code(session: Session, keys: KeyRing, request_id: UUID, code: str) -> Phone | None:
    """Use a code up and return the number it proves, or count a failed try and return None.

    A failed try has to be committed: the caller refuses after its transaction. Of many at once one
    gets the number, because each waits for the row and then finds it used.
    """
    usable = select(OneTimeCode).where(
        OneTimeCode.id == request_id,
        OneTimeCode.used_at.is_(None),
        OneTimeCode.tries < TRIES,
        OneTimeCode.expires_at > clock.now(),
    )
    found = session.scalar(usable.with_for_update())
    if found is None or found.phone_sealed is None:
        return None
    mine = update(OneTimeCode).where(OneTimeCode.id == request_id)
    if not hmac.compare_digest(found.code_digest, _digest(keys, request_id, code)):
        session.execute(mine.values(tries=OneTimeCode.tries + 1))
        return None
    place = _place(request_id, found.sealed_key_version)
    number = unseal(keys.data_keys[found.sealed_key_version], found.phone_sealed, place)
    session.execute(mine.values(used_at=clock.now(), phone_sealed=None))
    return Phone(number.decode())


def lock_number(session: Session, phone_index: bytes) -> None:
    """Let one transaction at a time decide about a number."""
    number = int.from_bytes(phone_index[:8], "big", signed=True)
    session.execute(select(func.pg_advisory_xact_lock(number)))


def _sent_to(session: Session, phone_index: bytes, now: datetime) -> Sequence[datetime]:
    recent = select(OneTimeCode.sent_at).where(
        OneTimeCode.phone_index == phone_index, OneTimeCode.sent_at > now - ROWS_KEPT_FOR
    )
    return session.scalars(recent.order_by(OneTimeCode.sent_at.desc())).all()


def _refuse_beyond_limits(sent: Sequence[datetime], now: datetime) -> None:
    """Refuse one more code than a window allows; `sent` is newest first."""
    for window, most in SENT_PER_NUMBER:
        if len(sent) < most or sent[most - 1] <= now - window:
            continue
        wait_s = math.ceil((sent[most - 1] + window - now).total_seconds())
        refusal = OtpTooSoon if most == 1 else OtpLimitReached
        raise refusal(
            "Please wait {retry_after_s} seconds before asking for another code.",
            retry_after_s=wait_s,
        )


def _refuse_beyond_ceiling(session: Session, now: datetime) -> None:
    recent = select(func.count()).where(OneTimeCode.sent_at > now - CEILING_WINDOW)
    if (session.scalar(recent) or 0) >= CEILING:
        raise OtpCeilingReached(
            "Very many people are signing in. Please try again in a minute.", retry_after_s=60
        )


def _forget_old(session: Session, now: datetime) -> None:
    """Delete a few rows that no limit needs any more; each code that is sent clears up a little."""
    old = select(OneTimeCode.id).where(OneTimeCode.sent_at <= now - ROWS_KEPT_FOR)
    a_few = old.order_by(OneTimeCode.sent_at).limit(10).with_for_update(skip_locked=True)
    session.execute(delete(OneTimeCode).where(OneTimeCode.id.in_(a_few)))


def _digest(keys: KeyRing, request_id: UUID, code: str) -> bytes:
    return hmac.digest(keys.index_key, b"code\0" + request_id.bytes + code.encode(), "sha256")


def _place(request_id: UUID, version: int) -> Place:
    return Place("one_time_code", "phone_sealed", request_id, version)
