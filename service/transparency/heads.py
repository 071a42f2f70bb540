"""Heads: what is sealed is signed, kept outside the database, and only then published.

A head is signed only if the tree continues the head that is kept outside. A database that was
restored too short, or rewritten, is thereby refused for ever and cannot begin a second history.
Each step may be the last one before a crash: the next sealer finds the outside head and publishes
it, or finds none and signs again, which gives the same bytes.
"""

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from service.transparency.errors import HistoryDiffers, LogRenamed, ProofInvalid, TileUnusable
from service.transparency.keys import LogKeys
from service.transparency.merkle import Tree
from service.transparency.notes import (
    Checkpoint,
    Verifier,
    open_checkpoint,
    sign_checkpoint,
)
from service.transparency.outside import Outside
from service.transparency.sealing import last_seal
from service.transparency.tile_store import tile_reader

LAST_HEAD: Final = "SELECT size, checkpoint FROM log_head ORDER BY size DESC LIMIT 1"

PUBLISH: Final = """
INSERT INTO log_head (size, checkpoint) VALUES (%s, %s) ON CONFLICT (size) DO NOTHING
"""

LOGGED_KEYS: Final = "SELECT content::json ->> 'vkey' FROM log_event WHERE kind = 'key_added'"

DEFAULT_ORIGIN: Final = "carbon.local/log"
FOUND: Final = "INSERT INTO log_identity (origin) VALUES (%s) ON CONFLICT (id) DO NOTHING"
ORIGIN: Final = "SELECT origin FROM log_identity"


@dataclass(frozen=True, slots=True)
class Head:
    """A signed checkpoint and what it says."""

    checkpoint: Checkpoint
    note: str


def found_origin(connection: psycopg.Connection[Any], setting: str) -> str:
    """Return the log's name, giving it one for ever the first time.

    Raises:
        LogRenamed: as `origin_of`.
    """
    connection.execute(FOUND, [setting or DEFAULT_ORIGIN])
    return origin_of(connection, setting)


def origin_of(connection: psycopg.Connection[Any], setting: str) -> str:
    """Return the log's name, or the one that it would be given now.

    Raises:
        LogRenamed: it was sealed under another name than the setting gives.
    """
    present = connection.execute(ORIGIN).fetchone()
    origin = str(present[0]) if present else setting or DEFAULT_ORIGIN
    if setting and setting != origin:
        raise LogRenamed(
            "The log's name is {origin}, and CARBON_LOG_ORIGIN says {setting}.",
            origin=origin,
            setting=setting,
        )
    return origin


@dataclass(frozen=True, slots=True)
class HeadOffice:
    """Signs and publishes the heads of one log."""

    origin: str
    keys: LogKeys
    outside: Outside

    def check_history(self, connection: psycopg.Connection[Any]) -> None:
        """Refuse a database whose log does not continue what was signed last.

        Raises:
            HistoryDiffers: it is shorter, or other entries are in it, or the head that was kept
                is gone or not ours.
        """
        self._kept(connection)

    def publish(self, connection: psycopg.Connection[Any]) -> Head | None:
        """Sign the sealed tree if it has grown, keep its head outside, publish it.

        Args:
            connection: the sealer's own, without an open transaction.

        Returns:
            The head that was published; None if there is nothing new.

        Raises:
            HistoryDiffers: see `check_history`.
            OutsideUnusable: the head cannot be kept outside.
        """
        kept = self._kept(connection)
        sealed = last_seal(connection)
        if kept is not None and (sealed is None or sealed.size == kept.checkpoint.size):
            return _published(connection, kept)
        if sealed is None:
            return None
        head = self._signed(Checkpoint(self.origin, sealed.size, sealed.root))
        self.outside.keep_checkpoint(head.note, instead_of=kept.note if kept else None)
        return _published(connection, head)

    def _signed(self, checkpoint: Checkpoint) -> Head:
        return Head(checkpoint, sign_checkpoint(checkpoint, self.keys.signers(self.origin)))

    def _kept(self, connection: psycopg.Connection[Any]) -> Head | None:
        """Return the head that is kept outside, once the tree has been found to continue it."""
        note = self.outside.checkpoint()
        if note is None:
            if connection.execute(LAST_HEAD).fetchone():
                raise HistoryDiffers(
                    "Heads were published, and {folder} holds none. Put the last one there, from"
                    " wherever it was kept: it is what /v1/log/checkpoint answered.",
                    folder=str(self.outside.folder),
                )
            return None
        kept = Head(self._opened(connection, note), note)
        self._refuse_unless_continued(connection, kept.checkpoint)
        return kept

    def _opened(self, connection: psycopg.Connection[Any], note: str) -> Checkpoint:
        logged = [Verifier.parse(row[0]) for row in connection.execute(LOGGED_KEYS)]
        try:
            return open_checkpoint(note, [*self.keys.verifiers(self.origin), *logged])
        except ProofInvalid as error:
            raise HistoryDiffers(
                "The head in {folder} is not signed by a key of this log.",
                folder=str(self.outside.folder),
            ) from error

    def _refuse_unless_continued(
        self, connection: psycopg.Connection[Any], kept: Checkpoint
    ) -> None:
        sealed = last_seal(connection)
        size = sealed.size if sealed else 0
        if kept.origin != self.origin or size < kept.size:
            raise HistoryDiffers(
                "{size} leaves of {origin} are in the database, and a head over {signed} of"
                " {signed_origin} was signed. A restored database needs all of its WAL.",
                size=size,
                origin=self.origin,
                signed=kept.size,
                signed_origin=kept.origin,
            )
        if _root(connection, size, kept.size) != kept.root:
            raise HistoryDiffers(
                "The first {signed} leaves in the database are not those that were signed.",
                signed=kept.size,
            )


def _root(connection: psycopg.Connection[Any], size: int, of_size: int) -> bytes:
    try:
        return Tree(size, tile_reader(connection, size)).root(of_size)
    except TileUnusable:
        return b""  # equals no root


def _published(connection: psycopg.Connection[Any], head: Head) -> Head | None:
    written = connection.execute(PUBLISH, [head.checkpoint.size, head.note])
    return head if written.rowcount else None
