"""Personal data at rest: AES-256-GCM, one key per person, itself sealed with the installation's."""

from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.keys import KeyRing
from service.seals import Place, seal, unseal

KEY_BITS = 256


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A person's key, sealed with the installation's key of a version."""

    sealed: bytes
    version: int


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
