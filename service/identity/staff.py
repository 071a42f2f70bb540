"""People who work for the scheme: added on the command line, logging in with two factors at most.

A password is generated, shown once and kept as Argon2id. The second factor is RFC 6238 by the
`cryptography` library, and each of its codes works once.
"""

import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service import clock
from service.errors import DomainError
from service.identity.errors import (
    StaffLocked,
    StaffLoginRefused,
    StaffNameTaken,
    StaffTermsInvalid,
    StaffUnknown,
)
from service.identity.models import Staff
from service.keys import KeyRing
from service.seals import Place, seal, unseal

Role = Literal["operator", "verifier", "auditor"]

TOKEN_LIFETIME = timedelta(minutes=15)
FAILURES_BEFORE_LOCK = 5
LOCKED_FOR = timedelta(minutes=15)
PASSWORD_BYTES = 18
LONGEST_NAME = 64
TOTP_SECRET_BYTES = 20
TOTP_STEP_S = 30
TOTP_DIGITS = 6
TOTP_DRIFT_STEPS = 1

_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class NewStaff:
    """A staff member and the secrets that are shown this once."""

    id: UUID
    password: str
    totp_uri: str | None


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody who has just logged in."""

    id: UUID
    name: str
    role: Role


def add_staff(
    session: Session,
    keys: KeyRing,
    name: str,
    role: Role,
    *,
    partner_id: UUID | None = None,
    with_totp: bool = False,
) -> NewStaff:
    """Add a staff member with a generated password.

    Args:
        session: the command's transaction.
        keys: the ring.
        name: what she logs in with.
        role: exactly one, so that nobody checks her own work.
        partner_id: the verification body a verifier works for.
        with_totp: whether a second factor is demanded from now on.

    Raises:
        StaffTermsInvalid, StaffNameTaken
    """
    _check_terms(name, role, partner_id)
    staff_id = uuid4()
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    secret = os.urandom(TOTP_SECRET_BYTES) if with_totp else None
    version = keys.data_key.version
    added = session.scalar(
        insert(Staff)
        .values(
            id=staff_id,
            name=name,
            role=role,
            partner_id=partner_id,
            password_hash=_hasher.hash(password),
            totp_sealed=secret and seal(keys.data_key.secret, secret, _place(staff_id, version)),
            totp_key_version=version if secret else None,
        )
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(Staff.id)
    )
    if added is None:
        raise StaffNameTaken("There is already a staff member named {name}.", name=name)
    uri = _totp(secret).get_provisioning_uri(name, "carbon") if secret else None
    return NewStaff(staff_id, password, uri)


def log_in(
    session: Session, keys: KeyRing, name: str, password: str, totp: str | None
) -> StaffMember | DomainError:
    """Check who somebody is; a refusal is returned, to be raised after the commit that counts it.

    The row is held meanwhile: guesses at one account go one after the other.
    """
    staff = session.scalar(select(Staff).where(Staff.name == name).with_for_update())
    if staff is not None and staff.locked_until is not None and staff.locked_until > clock.now():
        return _locked(staff)
    right = _is_right(staff.password_hash if staff else _nobodys_hash(), password)
    if staff is None or staff.state != "active":
        return _refused()
    if not (right and _passes_second_factor(keys, staff, totp)):
        _count_failure(staff)
        return _refused()
    staff.failed_logins, staff.locked_until = 0, None
    return StaffMember(staff.id, staff.name, staff.role)  # type: ignore[arg-type]  # a constraint names the roles


def suspend_staff(session: Session, name: str) -> None:
    """End a staff member's work: no login, and no open session.

    Raises:
        StaffUnknown
    """
    staff = session.scalar(select(Staff).where(Staff.name == name).with_for_update())
    if staff is None:
        raise StaffUnknown("There is no staff member named {name}.", name=name)
    staff.state = "suspended"


def all_staff(session: Session) -> list[Staff]:
    """Return every staff member by name."""
    return list(session.scalars(select(Staff).order_by(Staff.name)))


def partner_of_staff(connection: psycopg.Connection[Any], staff_id: UUID) -> UUID | None:
    """Return the verification body a staff member works for, if she is tied to one."""
    found = connection.execute("SELECT partner_id FROM staff WHERE id = %s", [staff_id]).fetchone()
    return found[0] if found else None


def name_of_staff(connection: psycopg.Connection[Any], staff_id: UUID) -> str:
    """Return the name under which a staff member decides."""
    found = connection.execute("SELECT name FROM staff WHERE id = %s", [staff_id]).fetchone()
    if found is None:
        raise StaffUnknown("There is no staff member named {name}.", name=str(staff_id))
    name: str = found[0]
    return name


def _check_terms(name: str, role: Role, partner_id: UUID | None) -> None:
    if not (1 <= len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()):
        raise StaffTermsInvalid("A name is 1 to 64 printable characters.")
    if partner_id is not None and role != "verifier":
        raise StaffTermsInvalid("Only a verifier can work for a verification partner.")


def _is_right(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except VerificationError:
        return False


@cache
def _nobodys_hash() -> str:
    """Return what is checked for an unknown name: it takes as long as for a known one."""
    return _hasher.hash(secrets.token_urlsafe(PASSWORD_BYTES))


def _passes_second_factor(keys: KeyRing, staff: Staff, code: str | None) -> bool:
    """Check a code of this half minute or its neighbours, and use it up."""
    if staff.totp_sealed is None or staff.totp_key_version is None:
        return True
    place = _place(staff.id, staff.totp_key_version)
    secret = unseal(keys.data_keys[staff.totp_key_version], staff.totp_sealed, place)
    step = _matching_step(secret, code or "", staff.totp_last_step)
    if step is None:
        return False
    staff.totp_last_step = step
    return True


def _matching_step(secret: bytes, code: str, last_step: int) -> int | None:
    present = int(clock.now().timestamp()) // TOTP_STEP_S
    totp = _totp(secret)
    for step in range(present - TOTP_DRIFT_STEPS, present + TOTP_DRIFT_STEPS + 1):
        try:
            totp.verify(code.encode(), step * TOTP_STEP_S)
        except InvalidToken:
            continue
        if step > last_step:
            return step
    return None


def _totp(secret: bytes) -> TOTP:
    # SHA-1 is what authenticator applications implement; RFC 6238 needs no collision resistance.
    return TOTP(secret, TOTP_DIGITS, SHA1(), TOTP_STEP_S)  # noqa: S303


def _count_failure(staff: Staff) -> None:
    staff.failed_logins += 1
    if staff.failed_logins >= FAILURES_BEFORE_LOCK:
        staff.failed_logins = 0
        staff.locked_until = clock.now() + LOCKED_FOR


def _refused() -> StaffLoginRefused:
    return StaffLoginRefused("Name, password or second factor is not right.")


def _locked(staff: Staff) -> StaffLocked:
    assert staff.locked_until is not None  # noqa: S101  the caller has looked
    wait_s = int((staff.locked_until - clock.now()).total_seconds()) + 1
    return StaffLocked(
        "After five failures this account is locked. Please try again in {retry_after_s} seconds.",
        retry_after_s=wait_s,
    )


def _place(staff_id: UUID, version: int) -> Place:
    return Place("staff", "totp_sealed", staff_id, version)
