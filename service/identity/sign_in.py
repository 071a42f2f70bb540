"""Signing in with a number and a code; a number is a way in, not the person.

Numbers are sold again ninety days after they are given up. So a code alone never opens an account
that was idle that long, nor one from a device it has not seen: whoever has the number now may start
afresh, and whoever had it is restored by staff. (The reference's real-name check needs a partner
that does not exist yet; see docs/decisions/0005-identity-and-consent.md.)
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import clock
from service.errors import DomainError
from service.identity.actors import Actor
from service.identity.citizens import (
    bind_number,
    device_digest,
    forget_devices,
    hold_spending,
    know_device,
    reason_of_freeze,
    record_action,
    register_citizen,
    unbind_number,
)
from service.identity.errors import (
    AccountFrozen,
    CitizenUnknown,
    DeviceUnknown,
    NumberIdle,
    OtpInvalid,
)
from service.identity.models import Citizen, CitizenDevice, CitizenIdentity
from service.identity.one_time_codes import lock_number, use_code
from service.identity.phones import Phone
from service.identity.sessions import (
    SignedIn,
    end_every_session,
    note_seen,
    require_recent_sign_in,
    start_session,
)
from service.ids import OTP_REQUEST, IdUnknown, uuid_of
from service.keys import KeyRing

IDLE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class CodeProof:
    """A request for a code, and the code that came to the number."""

    request_id: UUID
    code: str


def read_proof(request_id: str, code: str) -> CodeProof:
    """Return the proof behind what a citizen sent.

    Raises:
        OtpInvalid: the request id is not one of ours; it is answered like any wrong code.
    """
    try:
        return CodeProof(uuid_of(OTP_REQUEST, request_id), code)
    except IdUnknown as error:
        raise code_refused() from error


def sign_in(
    session: Session,
    keys: KeyRing,
    proof: CodeProof,
    *,
    device_id: str = "",
    not_my_account: bool = False,
) -> SignedIn | DomainError:
    """Open a session for whoever holds the number, making an account at the first time.

    Args:
        session: the request's transaction.
        keys: the ring.
        proof: used up, unless the sign-in is refused for another reason than the code.
        device_id: what the application calls this device; "" is one device like another.
        not_my_account: leave the number's present account alone and open a new one.

    Returns:
        The session; or the refusal of a wrong code, to be raised after the commit that counts it.

    Raises:
        AccountFrozen, NumberIdle, DeviceUnknown: nothing was changed, the code can be sent again.
    """
    phone = use_code(session, keys, proof.request_id, proof.code)
    if phone is None:
        return code_refused()
    device = device_digest(keys, device_id)
    lock_number(session, phone.index(keys))
    citizen = _holder_of(session, phone.index(keys))
    if citizen is not None and not_my_account:
        _refuse_escape_from_freeze(session, citizen)
        unbind_number(session, citizen.citizen_id)
        citizen = None
    if citizen is None:
        return start_session(session, register_citizen(session, keys, phone, device), device)
    _refuse_strangers(session, citizen, device)
    know_device(session, citizen.citizen_id, device)
    note_seen(session, citizen.citizen_id)
    return start_session(session, citizen.citizen_id, device)


def change_number(
    session: Session, keys: KeyRing, citizen_id: UUID, session_id: UUID | None, proof: CodeProof
) -> Phone | DomainError:
    """Give a citizen the number she has just proved; her points rest for 72 h.

    Returns:
        The new number; or the refusal of a wrong code, to be raised after commit.

    Raises:
        RecentSignInNeeded: her session did not begin in the last minutes.
        PhoneInUse: the number has an account of its own.
    """
    require_recent_sign_in(session, session_id)
    phone = use_code(session, keys, proof.request_id, proof.code)
    if phone is None:
        return code_refused()
    lock_number(session, phone.index(keys))
    bind_number(session, keys, citizen_id, phone)
    hold_spending(session, citizen_id)
    record_action(
        session, citizen_id, "phone_changed", Actor("citizen", citizen_id), "asked by her"
    )
    return phone


def add_device(
    session: Session, keys: KeyRing, citizen_id: UUID, session_id: UUID | None, device_id: str
) -> bool:
    """Let a citizen name another device of hers, from one that is known.

    Returns:
        Whether it was new; then her points rest for 72 h.

    Raises:
        RecentSignInNeeded: her session did not begin in the last minutes.
    """
    require_recent_sign_in(session, session_id)
    new = know_device(session, citizen_id, device_digest(keys, device_id))
    if new:
        hold_spending(session, citizen_id)
        record_action(
            session, citizen_id, "device_added", Actor("citizen", citizen_id), "asked by her"
        )
    return new


def restore(
    session: Session,
    keys: KeyRing,
    citizen_id: UUID,
    phone: Phone | None,
    actor: Actor,
    reason: str,
) -> None:
    """Give an account back to a person whom staff have identified.

    The next device that signs in becomes hers, and her points rest for 72 h.

    Args:
        session: the command's transaction.
        keys: the ring.
        citizen_id: the account.
        phone: the number she has now; None when it is still the account's.
        actor: who identified her.
        reason: how; it is kept for ever and names no person.

    Raises:
        CitizenUnknown: she has left.
        PhoneInUse: the number has an account of its own.
    """
    citizen = session.get(Citizen, citizen_id, with_for_update=True)
    if citizen is None or citizen.state == "erased":
        raise CitizenUnknown("There is no such account.")
    if phone is not None:
        lock_number(session, phone.index(keys))
        bind_number(session, keys, citizen_id, phone)
    end_every_session(session, citizen_id, because="restored")
    forget_devices(session, citizen_id)
    note_seen(session, citizen_id)
    hold_spending(session, citizen_id)
    record_action(session, citizen_id, "restored", actor, reason)


def code_refused() -> OtpInvalid:
    """Return the one answer to every code that does not open anything."""
    return OtpInvalid("This code is not right, or no longer valid. Please ask for a new one.")


def _holder_of(session: Session, phone_index: bytes) -> Citizen | None:
    held = select(Citizen).join(CitizenIdentity, CitizenIdentity.citizen_id == Citizen.citizen_id)
    return session.scalar(
        held.where(CitizenIdentity.phone_index == phone_index).with_for_update(of=Citizen)
    )


def _refuse_strangers(session: Session, citizen: Citizen, device: bytes) -> None:
    """Refuse, in this order: a frozen account, an idle one, an unknown device."""
    _refuse_frozen(session, citizen)
    if _is_idle(citizen):
        raise NumberIdle(
            "This account has not been used for 90 days, and numbers change hands. If it is not"
            " yours, send the same code with not_my_account; if it is, the service's staff restore"
            " it."
        )
    if not _is_known(session, citizen.citizen_id, device):
        raise DeviceUnknown(
            "This account was never used from this device. Please add the device from one that is"
            " signed in, or let the service's staff restore the account. If it is not yours, send"
            " the same code with not_my_account."
        )


def _refuse_frozen(session: Session, citizen: Citizen) -> None:
    if citizen.state == "frozen":
        raise AccountFrozen(
            "Your account is frozen: {reason}. Please contact the service.",
            reason=reason_of_freeze(session, citizen.citizen_id).rstrip(" .。"),
        )


def _refuse_escape_from_freeze(session: Session, citizen: Citizen) -> None:
    """A frozen account is not shaken off by calling it somebody else's, unless it may well be."""
    if not _is_idle(citizen):
        _refuse_frozen(session, citizen)


def _is_idle(citizen: Citizen) -> bool:
    return citizen.last_seen_at <= clock.now() - IDLE


def _is_known(session: Session, citizen_id: UUID, device: bytes) -> bool:
    """Whether a device is hers; after a restoration there is none, and the next one is."""
    hers = select(CitizenDevice.device_digest).where(CitizenDevice.citizen_id == citizen_id)
    known = session.scalars(hers).all()
    return not known or device in known
