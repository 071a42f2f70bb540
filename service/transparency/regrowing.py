"""Growing a tree again from its entries, in order, to compare it with what was stored.

Remembers the right edge only, with every hash between two levels of tiles; so the root at any size
inside the last bundle costs a few hashes.
"""

from hashlib import sha256

from service.transparency.merkle import HASH_BYTES, HASHES_IN_TILE, TILE_HEIGHT, node_hash

Layers = list[list[bytes]]
"""The hashes of one tile, the roots over each two of them, over each four, and so on."""


class RegrownTree:
    """A tree that grows by one bundle of entries at a time."""

    def __init__(self) -> None:
        self.begins_at = 0
        """Leaves before the last bundle."""
        self.size = 0
        self._last: Layers = [[]]
        self._upper: list[Layers] = []
        """The tile at the right edge of each level above the leaves, without the last bundle."""
        self._full: dict[tuple[int, int], bytes] = {}

    def grow(self, entries: bytes) -> bytes:
        """Append a bundle to full ones; return the leaf hashes that it gives."""
        if self.size:
            self._push(1, self.size, self._last[TILE_HEIGHT][0])
        self.begins_at = self.size
        self._last = _layers_over(_leaf_hashes(entries))
        self.size += len(self._last[0])
        return b"".join(self._last[0])

    def root(self, size: int) -> bytes:
        """Return the root of the first leaves, which end in the last bundle."""
        root = _folded(self._last, size - self.begins_at, b"")
        for layers in self._upper:
            root = _folded(layers, len(layers[0]), root)
        return root

    def upper_tiles(self) -> dict[tuple[int, int], bytes]:
        """Return every tile above the leaves, once the tree is whole."""
        if self.size and self.size % HASHES_IN_TILE == 0:
            self._push(1, self.size, self._last[TILE_HEIGHT][0])
        partial = {
            (level, self.size >> TILE_HEIGHT * (level + 1)): b"".join(layers[0])
            for level, layers in enumerate(self._upper, 1)
            if layers[0]
        }
        return self._full | partial

    def _push(self, level: int, size: int, hashed: bytes) -> None:
        """Add the root of a full tile to the level above it."""
        if len(self._upper) < level:
            self._upper.append(_empty())
        layers = self._upper[level - 1]
        for layer in layers:
            layer.append(hashed)
            if len(layer) % 2:
                break
            hashed = node_hash(layer[-2], layer[-1])
        if len(layers[0]) == HASHES_IN_TILE:
            index = (size >> TILE_HEIGHT * (level + 1)) - 1
            self._full[level, index] = b"".join(layers[0])
            self._upper[level - 1] = _empty()
            self._push(level + 1, size, layers[TILE_HEIGHT][0])


def _empty() -> Layers:
    return [[] for _ in range(TILE_HEIGHT + 1)]


def _folded(layers: Layers, width: int, right: bytes) -> bytes:
    """Return the root over the first hashes of a tile and what is to their right, if anything."""
    for height, layer in enumerate(layers):
        count = width >> height
        if count % 2:
            right = node_hash(layer[count - 1], right) if right else layer[count - 1]
    return right


def _leaf_hashes(entries: bytes) -> list[bytes]:
    places = range(0, len(entries), HASH_BYTES)
    return [sha256(b"\x00" + entries[at : at + HASH_BYTES]).digest() for at in places]


def _layers_over(hashes: list[bytes]) -> Layers:
    layers = [hashes]
    for _ in range(TILE_HEIGHT):
        pairs = zip(hashes[::2], hashes[1::2], strict=False)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        layers.append(hashes)
    return layers
