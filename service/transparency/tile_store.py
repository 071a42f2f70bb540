"""Tiles and bundles as the database keeps them: reading, and letting them get longer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from service.transparency.errors import TileUnusable
from service.transparency.merkle import HASH_BYTES, HASHES_IN_TILE, TILE_HEIGHT, ReadTile

READ_TILE = "SELECT hashes FROM log_tile WHERE level = %s AND index = %s"

READ_TILES = """
SELECT wanted.level, wanted.index, tile.hashes
FROM unnest(%s::smallint[], %s::bigint[]) AS wanted (level, index)
CROSS JOIN LATERAL (
    SELECT hashes FROM log_tile
    WHERE log_tile.level = wanted.level AND log_tile.index = wanted.index LIMIT 1
) AS tile
"""
"""The limit keeps the planner from reading the whole table instead of a few keys."""

WRITE_TILES = """
INSERT INTO log_tile (level, index, hashes)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %b::bytea[])
ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes
"""

ADD_BUNDLES = """
INSERT INTO log_bundle (index, entries, first_recorded_at)
SELECT * FROM unnest(%s::bigint[], %b::bytea[], %s::timestamptz[])
"""

LENGTHEN_BUNDLE = """
UPDATE log_bundle SET entries = entries || %s WHERE index = %s AND length(entries) = %s
"""


class Bundle(NamedTuple):
    """Entries that go into one bundle."""

    number: int
    entries: bytes
    first_recorded_at: datetime


def tile_reader(
    connection: psycopg.Connection[Any], size: int, near: Sequence[int] = ()
) -> ReadTile:
    """Return what reads the tiles of a tree of `size` leaves, without what came later.

    Args:
        connection: inside the caller's transaction.
        size: of the tree.
        near: leaves whose tiles will be needed, and those of the right edge with them: they are
            read at once.
    """
    at_hand = _tiles_near(connection, size, near) if near else {}

    def read(level: int, index: int) -> bytes:
        hashes = at_hand.get((level, index))
        if hashes is None:
            row = connection.execute(READ_TILE, [level, index]).fetchone()
            hashes = bytes(row[0]) if row else b""
        return hashes[: width_of(size, level, index) * HASH_BYTES]

    return read


def _tiles_near(
    connection: psycopg.Connection[Any], size: int, near: Sequence[int]
) -> dict[tuple[int, int], bytes]:
    wanted = {
        (level, leaf >> TILE_HEIGHT * (level + 1))
        for level in range(-(-size.bit_length() // TILE_HEIGHT))
        for leaf in (*near, size)
    }
    levels, indexes = (list(column) for column in zip(*wanted, strict=True))
    rows = connection.execute(READ_TILES, [levels, indexes])
    return {(level, index): bytes(hashes) for level, index, hashes in rows}


def width_of(size: int, level: int, index: int) -> int:
    """Return how many hashes a tile has in a tree of `size` leaves; 0: there is no such tile."""
    on_level = size >> TILE_HEIGHT * level
    return max(0, min(HASHES_IN_TILE, on_level - index * HASHES_IN_TILE))


def write_tiles(
    connection: psycopg.Connection[Any], tiles: Mapping[tuple[int, int], bytes]
) -> None:
    """Write tiles, new ones and longer ones."""
    levels = [level for level, _ in tiles]
    indexes = [index for _, index in tiles]
    connection.execute(WRITE_TILES, [levels, indexes, list(tiles.values())])


def write_bundles(
    connection: psycopg.Connection[Any], size: int, bundles: Sequence[Bundle]
) -> None:
    """Write the entries that follow upon the first `size`.

    Raises:
        TileUnusable: the bundle that is to be lengthened does not hold what it must.
    """
    width = size % HASHES_IN_TILE
    if width:
        lengthened, *bundles = bundles
        terms = [lengthened.entries, lengthened.number, width * HASH_BYTES]
        if connection.execute(LENGTHEN_BUNDLE, terms).rowcount != 1:
            raise TileUnusable("Bundle {index} of the log is damaged.", index=lengthened.number)
    if bundles:
        numbers, entries, times = (list(column) for column in zip(*bundles, strict=True))
        connection.execute(ADD_BUNDLES, [numbers, entries, times])
