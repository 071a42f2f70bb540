"""The keys that sign the log's heads: made on first use, changed with an overlap.

While one key takes over from another, both sign, so that whoever trusts either can go on. A retired
key's private half is thrown away; its public half stays, to check what it has signed.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service import clock, durable_files
from service.keys import KeysUnusable, read_or_make
from service.transparency.errors import LastLogKey, LogKeyUnknown
from service.transparency.notes import Signer, Verifier

LOG_FILE = "log-keys.json"


@dataclass(frozen=True, slots=True)
class LogKey:
    """One Ed25519 key of the log."""

    public: bytes
    private: bytes | None
    """None: retired."""
    made_at: datetime
    retired_at: datetime | None

    def verifier(self, origin: str) -> Verifier:
        """Return the public half, named for the log."""
        return Verifier(origin, self.public)


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Every key that has ever signed for the log, the oldest first."""

    path: Path
    keys: tuple[LogKey, ...]

    @classmethod
    def at(cls, folder: Path) -> "LogKeys":
        """Read the keys in a folder, making the first one if there is none.

        Raises:
            KeysUnusable: the file is damaged, or others than its owner may read it.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / LOG_FILE
        kept = read_or_make(path, lambda: _document((_new_key(),)))
        try:
            keys = tuple(_key(each) for each in kept["keys"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KeysUnusable("{path} is not a key file.", path=str(path)) from error
        if not any(each.private for each in keys):
            raise KeysUnusable("{path} is not a key file.", path=str(path))
        return cls(path, keys)

    def signers(self, origin: str) -> list[Signer]:
        """Return what signs heads now."""
        halves = [each.private for each in self.keys if each.private]
        return [Signer(origin, Ed25519PrivateKey.from_private_bytes(each)) for each in halves]

    def verifiers(self, origin: str) -> list[Verifier]:
        """Return what may have signed a head, retired keys included."""
        return [each.verifier(origin) for each in self.keys]

    def with_new_key(self) -> "LogKeys":
        """Add a key that signs together with the present ones from now on."""
        return self._kept((*self.keys, _new_key()))

    def without(self, origin: str, key_id: str) -> "LogKeys":
        """Let a key sign no more.

        Args:
            origin: of the log.
            key_id: eight hexadecimal digits, as in the published key.

        Raises:
            LogKeyUnknown: no key that signs has this id.
            LastLogKey: none would be left.
        """
        signing = [each for each in self.keys if each.private]
        meant = [each for each in signing if each.verifier(origin).key_id.hex() == key_id]
        if not meant:
            raise LogKeyUnknown("No key that signs has this id.")
        if meant == signing:
            raise LastLogKey("Please add a key first: carbon log rotate-key.")
        retired = replace(meant[0], private=None, retired_at=clock.now())
        return self._kept(tuple(retired if each == meant[0] else each for each in self.keys))

    def _kept(self, keys: tuple[LogKey, ...]) -> "LogKeys":
        durable_files.replace(self.path, json.dumps(_document(keys)))
        return replace(self, keys=keys)


def _new_key() -> LogKey:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return LogKey(public, private.private_bytes_raw(), clock.now(), None)


def _key(kept: dict[str, Any]) -> LogKey:
    private = _bytes(kept["private"]) if kept["private"] else None
    public = _bytes(kept["public"])
    if private and _public_half(private) != public:
        raise ValueError("the halves of a key do not belong together")
    retired_at = kept["retired_at"]
    return LogKey(
        public,
        private,
        datetime.fromisoformat(kept["made_at"]),
        datetime.fromisoformat(retired_at) if retired_at else None,
    )


def _public_half(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _document(keys: tuple[LogKey, ...]) -> dict[str, Any]:
    return {
        "keys": [
            {
                "public": _text(each.public),
                "private": _text(each.private) if each.private else None,
                "made_at": each.made_at.isoformat(),
                "retired_at": each.retired_at.isoformat() if each.retired_at else None,
            }
            for each in keys
        ]
    }


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text)


def _text(key: bytes) -> str:
    return urlsafe_b64encode(key).decode()
