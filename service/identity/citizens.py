"""Accounts: made at the first sign-in, bound to a number, frozen and released with a reason."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from service import clock
from service.identity.actors import Actor
from service.identity.errors import CitizenStateConflict, CitizenUnknown, PhoneInUse
from service.identity.models import (
    SECRET_BYTES,
    Citizen,
    CitizenAction,
    CitizenDevice,
    CitizenIdentity,
    CitizenSecret,
    SourceLink,
)
from service.identity.phones import INDEX_KEY_VERSION, Phone
from service.identity.sealing import WrappedKey, new_person_key, person_key
from service.identity.sessions import end_every_session
from service.keys import KeyRing
from service.seals import Place, seal, unseal

SPENDING_HOLD = timedelta(hours=72)

ActionKind = Literal[
    "frozen", "released", "phone_changed", "number_unbound", "restored", "device_added"
]


@dataclass(frozen=True, slots=True)
class CitizenRecord:
    """An account as its owner sees it."""

    citizen_id: UUID
    state: str
    phone_masked: str | None
    registered_at: datetime
    spending_held_until: datetime | None


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was done to an account."""

    id: UUID
    citizen_id: UUID
    kind: ActionKind
    reason: str
    recorded_at: datetime


def register_citizen(session: Session, keys: KeyRing, phone: Phone, device_digest: bytes) -> UUID:
    """Open an account for a number that nobody holds."""
    citizen_id = uuid4()
    session.execute(insert(Citizen).values(citizen_id=citizen_id, last_seen_at=clock.now()))
    secret = secrets.token_bytes(SECRET_BYTES)
    session.execute(insert(CitizenSecret).values(citizen_id=citizen_id, secret=secret))
    key, wrapped = new_person_key(keys, citizen_id)
    session.execute(
        insert(CitizenIdentity).values(
            citizen_id=citizen_id,
            phone_index=phone.index(keys),
            phone_index_version=INDEX_KEY_VERSION,
            phone_sealed=seal(key, phone.e164.encode(), _place(citizen_id, 1)),
            phone_version=1,
            data_key_wrapped=wrapped.sealed,
            data_key_version=wrapped.version,
        )
    )
    know_device(session, citizen_id, device_digest)
    return citizen_id


def citizen_record(session: Session, keys: KeyRing, citizen_id: UUID) -> CitizenRecord:
    """Return what a citizen is told of her own account.

    Raises:
        CitizenUnknown: she has left.
    """
    citizen = _living(session, citizen_id)
    phone = phone_of(session, keys, citizen_id)
    return CitizenRecord(
        citizen_id,
        citizen.state,
        phone.masked if phone else None,
        citizen.recorded_at,
        spending_held_until(session, citizen_id),
    )


def phone_of(session: Session, keys: KeyRing, citizen_id: UUID) -> Phone | None:
    """Return the number a citizen holds, opened with her own key; None when she holds none."""
    found = session.get(CitizenIdentity, citizen_id)
    if found is None or found.phone_sealed is None:
        return None
    key = person_key(keys, citizen_id, WrappedKey(found.data_key_wrapped, found.data_key_version))
    number = unseal(key, found.phone_sealed, _place(citizen_id, found.phone_version))
    return Phone(number.decode())


def accounts_of_number(session: Session, phone_index: bytes) -> list[CitizenIdentity]:
    """Return who holds a number and who held it before it changed hands; for staff."""
    whose = select(CitizenIdentity).where(
        or_(
            CitizenIdentity.phone_index == phone_index,
            CitizenIdentity.former_phone_index == phone_index,
        )
    )
    return list(session.scalars(whose))


def bind_number(session: Session, keys: KeyRing, citizen_id: UUID, phone: Phone) -> None:
    """Give a citizen another number; nobody else may hold it.

    Raises:
        PhoneInUse: somebody does.
    """
    index = phone.index(keys)
    held_by = select(CitizenIdentity.citizen_id).where(CitizenIdentity.phone_index == index)
    if session.scalar(held_by) not in {None, citizen_id}:
        raise PhoneInUse("This number already has an account. Please use another one.")
    found = session.get_one(CitizenIdentity, citizen_id, with_for_update=True)
    key = person_key(keys, citizen_id, WrappedKey(found.data_key_wrapped, found.data_key_version))
    version = found.phone_version + 1
    found.phone_index = index
    found.phone_index_version = INDEX_KEY_VERSION
    found.phone_sealed = seal(key, phone.e164.encode(), _place(citizen_id, version))
    found.phone_version = version
    found.former_phone_index = None
    session.flush()


def unbind_number(session: Session, citizen_id: UUID) -> None:
    """Take a number from an account whose owner no longer has it; staff can restore her."""
    release_number(session, citizen_id)
    end_every_session(session, citizen_id, because="number_unbound")
    # Nobody is named: the new holder of a number must not be found through the old one.
    record_action(session, citizen_id, "number_unbound", Actor("citizen"), "number has a new owner")


def release_number(session: Session, citizen_id: UUID) -> None:
    """Let somebody else hold a citizen's number from now on."""
    hers = update(CitizenIdentity).where(
        CitizenIdentity.citizen_id == citizen_id, CitizenIdentity.phone_index.is_not(None)
    )
    session.execute(
        hers.values(
            former_phone_index=CitizenIdentity.phone_index, phone_index=None, phone_sealed=None
        ).execution_options(synchronize_session=False)
    )


def hold_spending(session: Session, citizen_id: UUID) -> None:
    """Let no points be spent for 72 h, because a number or a device changed."""
    mine = update(Citizen).where(Citizen.citizen_id == citizen_id)
    session.execute(mine.values(spending_held_until=clock.now() + SPENDING_HOLD))


def spending_held_until(session: Session, citizen_id: UUID) -> datetime | None:
    """Return until when a citizen may not spend points; None when she may."""
    held = select(Citizen.spending_held_until).where(
        Citizen.citizen_id == citizen_id, Citizen.spending_held_until > clock.now()
    )
    return session.scalar(held)


def device_digest(keys: KeyRing, device_id: str) -> bytes:
    """Return the keyed digest under which a device is known; clients that name none share one."""
    return hmac.digest(keys.index_key, b"device\0" + device_id.encode(), "sha256")


def know_device(session: Session, citizen_id: UUID, digest: bytes) -> bool:
    """Remember a device and return whether it was new."""
    new = session.scalar(
        upsert(CitizenDevice)
        .values(citizen_id=citizen_id, device_digest=digest)
        .on_conflict_do_nothing()
        .returning(CitizenDevice.citizen_id)
    )
    return new is not None


def forget_devices(session: Session, citizen_id: UUID) -> None:
    """Forget every device, so that the next one is admitted."""
    session.execute(delete(CitizenDevice).where(CitizenDevice.citizen_id == citizen_id))


def freeze(session: Session, citizen_id: UUID, actor: Actor, reason: str) -> Action:
    """Stop an account: it earns, spends and signs in no more until it is released.

    Raises:
        CitizenUnknown, CitizenStateConflict
    """
    _move(session, citizen_id, "active", "frozen")
    end_every_session(session, citizen_id, because="frozen")
    return record_action(session, citizen_id, "frozen", actor, reason)


def release(session: Session, citizen_id: UUID, actor: Actor, reason: str) -> Action:
    """Let a frozen account live again.

    Raises:
        CitizenUnknown, CitizenStateConflict
    """
    _move(session, citizen_id, "frozen", "active")
    return record_action(session, citizen_id, "released", actor, reason)


def reason_of_freeze(session: Session, citizen_id: UUID) -> str:
    """Return why an account was frozen last."""
    frozen = select(CitizenAction.reason).where(
        CitizenAction.citizen_id == citizen_id, CitizenAction.kind == "frozen"
    )
    return session.scalars(frozen.order_by(CitizenAction.recorded_at.desc()).limit(1)).one()


def record_action(
    session: Session, citizen_id: UUID, kind: ActionKind, actor: Actor, reason: str
) -> Action:
    """Write down, for ever, what was done to an account."""
    action = CitizenAction(
        citizen_id=citizen_id,
        id=uuid4(),
        kind=kind,
        actor_kind=actor.kind,
        actor_id=actor.id,
        reason=reason,
        recorded_at=clock.now(),
    )
    session.add(action)
    session.flush()
    return Action(action.id, citizen_id, kind, reason, action.recorded_at)


def _move(session: Session, citizen_id: UUID, state: str, to: str) -> None:
    citizen = _living(session, citizen_id, locked=True)
    if citizen.state != state:
        raise CitizenStateConflict(
            "The account is {current_state}, so this changes nothing.", current_state=citizen.state
        )
    citizen.state = to
    session.flush()
    hers = update(SourceLink).where(SourceLink.citizen_id == citizen_id)
    session.execute(hers.values(holder_state=to).execution_options(synchronize_session=False))


def _living(session: Session, citizen_id: UUID, *, locked: bool = False) -> Citizen:
    citizen = session.get(Citizen, citizen_id, with_for_update=locked or None)
    if citizen is None or citizen.state == "erased":
        raise CitizenUnknown("There is no such account.")
    return citizen


def _place(citizen_id: UUID, version: int) -> Place:
    return Place("citizen_identity", "phone_sealed", citizen_id, version)
