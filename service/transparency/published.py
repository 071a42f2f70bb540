"""Reading the published log: its last head, tiles, bundles and proofs, and nothing beyond it."""

from typing import Any, Final, NamedTuple

import psycopg

from service.transparency.errors import LogEmpty, TileUnknown
from service.transparency.heads import LAST_HEAD
from service.transparency.merkle import HASH_BYTES, Tree
from service.transparency.tile_store import READ_TILE, tile_reader
from service.transparency.tiles import ENTRIES, TileName, entry_bundle

READ_BUNDLE: Final = "SELECT entries FROM log_bundle WHERE index = %s"


class PublishedHead(NamedTuple):
    """How much of the log is public, and the note that says so."""

    size: int
    checkpoint: str


def published_head(connection: psycopg.Connection[Any]) -> PublishedHead:
    """Return the last head.

    Raises:
        LogEmpty: there is none yet.
    """
    row = connection.execute(LAST_HEAD).fetchone()
    if row is None:
        raise LogEmpty("The log has no entry yet. Please come back in a few seconds.")
    return PublishedHead._make(row)


def published_tree(connection: psycopg.Connection[Any], near: int) -> Tree:
    """Return the tree under the last head, to ask it about a leaf or a size."""
    size = published_head(connection).size
    return Tree(size, tile_reader(connection, size, [near]))


def read_tile(connection: psycopg.Connection[Any], name: TileName) -> bytes:
    """Return a tile, or a bundle of entries, as C2SP tlog-tiles writes it.

    Raises:
        TileUnknown: the published log has none of that name.
    """
    if not name.is_in(published_head(connection).size):
        raise TileUnknown("The log has nothing at {path}.", path=name.path)
    if name.level == ENTRIES:
        row = connection.execute(READ_BUNDLE, [name.index]).fetchone()
    else:
        row = connection.execute(READ_TILE, [name.level, name.index]).fetchone()
    hashes = bytes(row[0])[: name.width * HASH_BYTES] if row else b""
    if name.level != ENTRIES:
        return hashes
    return entry_bundle(hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
