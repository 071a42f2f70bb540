"""Personal data at rest: AES-256-GCM, one key per person, bound to the place it is stored in.

A sealed value opens only in the table, column, row and version it was sealed for, so that nobody
with write access to the database can move one person's number to another's row.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.keys import KeyRing

NONCE_BYTES = 12
KEY_BITS = 256


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value is stored."""

    table: str
    column: str
    row: UUID
    version: int

    @property
    def associated_data(self) -> bytes:
        """What the seal is bound to."""
        return f"{self.table}.{self.column}/{self.row.hex}/{self.version}".encode()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A person's key, sealed with the installation's key of a version."""

    sealed: bytes
    version: int


def seal(key: bytes, plain: bytes, place: Place) -> bytes:
    """Return nonce and ciphertext of a value for one place."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, place.associated_data)


def unseal(key: bytes, sealed: bytes, place: Place) -> bytes:
    """Return the value sealed for this place.

    Raises:
        cryptography.exceptions.InvalidTag: it was sealed for another place, or changed.
    """
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.associated_data)


def new_person_key(keys: KeyRing, citizen_id: UUID) -> tuple[bytes, WrappedKey]:
    """Make a citizen's own key, and the form in which it may be stored."""
    key = AESGCM.generate_key(bit_length=KEY_BITS)
    version = keys.data_key.version
    sealed = seal(keys.data_key.secret, key, _place_of_key(citizen_id, version))
    return key, WrappedKey(sealed, version)


def person_key(keys: KeyRing, citizen_id: UUID, wrapped: WrappedKey) -> bytes:
    """Return a citizen's own key."""
    place = _place_of_key(citizen_id, wrapped.version)
    return unseal(keys.data_keys[wrapped.version], wrapped.sealed, place)


def _place_of_key(citizen_id: UUID, version: int) -> Place:
    return Place("citizen_identity", "data_key_wrapped", citizen_id, version)
