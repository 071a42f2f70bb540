"""Secrets at rest: AES-256-GCM, bound to the place where they are stored.

A sealed value opens only in the table, column, row and version it was sealed for, so that nobody
with write access to the database can move one's value to another's row.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


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
