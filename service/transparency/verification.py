"""Checking proofs, step by step as RFC 9162 writes it; shares no code with what makes them.

Stricter than the text in two things: a hash has 32 bytes, and the empty tree proves nothing, since
every tree continues it.
"""

from collections.abc import Sequence
from hashlib import sha256

from service.transparency.errors import ConsistencyNotProved, InclusionNotProved

HASH_BYTES = 32


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is at an index of the tree with this size and root (2.1.3.2).

    Raises:
        InclusionNotProved: the path does not show it.
    """
    if not 0 <= index < size or not _all_hashes(leaf_hash, root, *path):
        raise InclusionNotProved("The proof names a leaf that the tree cannot have.")
    fn, sn = index, size - 1
    reached = leaf_hash
    for sibling in path:
        if sn == 0:
            raise InclusionNotProved("The path from the leaf is too long.")
        if fn & 1 or fn == sn:
            reached = _node(sibling, reached)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            reached = _node(reached, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or reached != root:
        raise InclusionNotProved("The path from the leaf does not lead to the root.")


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the larger tree begins with all leaves of the older one (2.1.4.2).

    Raises:
        ConsistencyNotProved: the path does not show it.
    """
    if not 1 <= old_size <= size or not _all_hashes(old_root, root, *path):
        raise ConsistencyNotProved("The proof names trees that cannot continue one another.")
    if old_size == size:
        reached = (old_root, root) if not path and old_root == root else (b"", b"")
    else:
        reached = _both_roots(old_size, old_root, size, path)
    if reached != (old_root, root):
        raise ConsistencyNotProved("The path does not lead to both roots.")


def _both_roots(
    old_size: int, old_root: bytes, size: int, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return the older and the newer root to which the path leads; steps 1 to 6."""
    whole = old_size & (old_size - 1) == 0  # a power of two: its root is where the path begins
    first, *rest = [old_root, *path] if whole and path else path or [b""]
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = first
    for sibling in rest:
        if sn == 0:
            raise ConsistencyNotProved("The path between the trees is too long.")
        if fn & 1 or fn == sn:
            fr, sr = _node(sibling, fr), _node(sibling, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = _node(sr, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ConsistencyNotProved("The path between the trees is too short.")
    return fr, sr


def _all_hashes(*hashes: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
