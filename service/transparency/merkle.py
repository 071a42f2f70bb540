"""The tree of RFC 6962 and RFC 9162 over SHA-256, kept in tiles of 256 hashes: growing and proving.

A tile (C2SP tlog-tiles) holds up to 256 consecutive hashes of one level, 32 bytes each. Level 0 has
the leaf hashes; a hash of level n+1 is the root over one full tile of level n. Nothing between two
levels is stored: it takes at most 255 hashes to make it again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from service.transparency.errors import OutsideTree, TileUnusable

HASH_BYTES = 32
PAIR_BYTES = 2 * HASH_BYTES
HASHES_IN_TILE = 256
TILE_BYTES = HASHES_IN_TILE * HASH_BYTES
TILE_HEIGHT = 8
"""A tile's 256 hashes are the leaves of a tree this high."""
EMPTY_ROOT = sha256(b"").digest()

ReadTile = Callable[[int, int], bytes]
"""From level and index to the hashes that are there; a tile at the right edge may be partial."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry (RFC 9162, 2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees (RFC 9162, 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Growth:
    """What a tree becomes by appending: its size and root, and the tiles to write."""

    size: int
    root: bytes
    tiles: Mapping[tuple[int, int], bytes]
    """New and wider tiles by level and index, each with all the hashes it has now."""


def appended(size: int, read_tile: ReadTile, entries: Sequence[bytes]) -> Growth:
    """Return what a tree of `size` leaves becomes when entries are appended in their order.

    Reads at most the partial tile at the right edge of each level.

    Raises:
        TileUnusable: a tile at the edge does not hold exactly the hashes of a tree of this size.
    """
    tiles: dict[tuple[int, int], bytes] = {}
    level, present, arriving = 0, size, _leaf_hashes(entries)
    while arriving:
        index, width = divmod(present, HASHES_IN_TILE)
        hashes = (_edge(read_tile, level, index, width) if width else b"") + arriving
        for start in range(0, len(hashes), TILE_BYTES):
            tiles[level, index] = hashes[start : start + TILE_BYTES]
            index += 1
        arriving = _roots_of_full_tiles(hashes)
        level, present = level + 1, present // HASHES_IN_TILE

    def read_after(level: int, index: int) -> bytes:
        return tiles.get((level, index)) or read_tile(level, index)

    new_size = size + len(entries)
    return Growth(new_size, Tree(new_size, read_after).root(), tiles)


class Tree:
    """A tree of `size` leaves, read from its tiles, each at most once in the life of an instance.

    Every question may be asked of any earlier size too: a tree's prefix is in the same tiles.
    """

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        self.size = size
        self._read_tile = read_tile
        self._pyramids: dict[tuple[int, int], list[bytes]] = {}

    def root(self, size: int | None = None) -> bytes:
        """Return the root of this tree, or of its prefix of `size` leaves."""
        size = self.size if size is None else size
        self._check_size(size, smallest=0)
        return self._over(0, size) if size else EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """Return the leaf hash at an index."""
        self._check_leaf(index, self.size)
        return self._node(0, index)

    def inclusion_path(self, leaf_index: int, size: int | None = None) -> list[bytes]:
        """Return the path from a leaf to the root of `size` leaves (RFC 9162, 2.1.3.1).

        Raises:
            OutsideTree: there is no such leaf in a tree of that size, or no such tree.
        """
        size = self.size if size is None else size
        self._check_size(size)
        self._check_leaf(leaf_index, size)
        path = []
        start, end = 0, size
        while end - start > 1:
            middle = _middle(start, end)
            if leaf_index < middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(start, middle))
                start = middle
        return path[::-1]

    def consistency_path(self, old_size: int, size: int | None = None) -> list[bytes]:
        """Return the path from the root of `old_size` leaves to that of `size` (2.1.4.1).

        Two equal sizes need no path. An old size of 0 is refused: every tree continues the empty
        one, so that nothing could be proved.

        Raises:
            OutsideTree: one of the sizes is not that of a tree this log has had.
        """
        size = self.size if size is None else size
        self._check_size(size)
        if not 1 <= old_size <= size:
            raise OutsideTree("A tree of {size} leaves has no prefix of {old_size}.",
                              size=size, old_size=old_size)  # fmt: skip
        path = []
        start, end = 0, size
        while end != old_size:
            middle = _middle(start, end)
            if old_size <= middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(start, middle))
                start = middle
        if start:  # else the verifier holds this subtree already: it is the whole old tree
            path.append(self._over(start, end))
        return path[::-1]

    def _over(self, start: int, end: int) -> bytes:
        """Return the root over leaves [start, end), where `start` begins a subtree that large."""
        *left, root = [self._node(height, index) for height, index in _perfect(start, end)]
        for subtree in reversed(left):
            root = node_hash(subtree, root)
        return root

    def _node(self, height: int, index: int) -> bytes:
        """Return the root of the index-th perfect subtree of 2^height leaves."""
        level, inside = divmod(height, TILE_HEIGHT)
        tile, first = divmod(index << inside, HASHES_IN_TILE)
        at = (first >> inside) * HASH_BYTES
        root = self._pyramid(level, tile)[inside][at : at + HASH_BYTES]
        if len(root) != HASH_BYTES:
            raise _unusable(level, tile)
        return root

    def _pyramid(self, level: int, index: int) -> list[bytes]:
        """Return a tile's hashes, and above them those of each height inside the tile."""
        if (level, index) not in self._pyramids:
            heights = [self._read_tile(level, index)]
            while len(heights) < TILE_HEIGHT:
                heights.append(_over_pairs(heights[-1]))
            self._pyramids[level, index] = heights
        return self._pyramids[level, index]

    def _check_size(self, size: int, smallest: int = 1) -> None:
        if not smallest <= size <= self.size:
            raise OutsideTree("The log has {present} leaves, not {size}.",
                              present=self.size, size=size)  # fmt: skip

    def _check_leaf(self, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise OutsideTree("A tree of {size} leaves has none at {index}.",
                              size=size, index=index)  # fmt: skip


def _middle(start: int, end: int) -> int:
    """Return where RFC 9162 splits [start, end): after the largest smaller power of two."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _perfect(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield height and index of the perfect subtrees of which [start, end) is made."""
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _leaf_hashes(entries: Sequence[bytes]) -> bytes:
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


def _roots_of_full_tiles(hashes: bytes) -> bytes:
    hashes = hashes[: len(hashes) // TILE_BYTES * TILE_BYTES]
    for _ in range(TILE_HEIGHT):
        hashes = _over_pairs(hashes)
    return hashes


def _over_pairs(hashes: bytes) -> bytes:
    """Return the hash over each two neighbours; the hot loop of all, so it hashes slices.

    One without a neighbour is left out: a subtree that is not perfect is no node of any tile.
    """
    ends = range(PAIR_BYTES, len(hashes) + 1, PAIR_BYTES)
    return b"".join([sha256(b"\x01" + hashes[end - PAIR_BYTES : end]).digest() for end in ends])


def _edge(read_tile: ReadTile, level: int, index: int, width: int) -> bytes:
    hashes = read_tile(level, index)
    if len(hashes) != width * HASH_BYTES:
        raise _unusable(level, index)
    return hashes


def _unusable(level: int, index: int) -> TileUnusable:
    return TileUnusable("Tile {index} of level {level} is damaged.", level=level, index=index)
