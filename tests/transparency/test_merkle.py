"""The tree: as the standards define it, and as their authors' examples judge our checking."""

import json
import os
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.transparency.errors import (
    ConsistencyNotProved,
    InclusionNotProved,
    OutsideTree,
    ProofInvalid,
    TileUnusable,
)
from service.transparency.merkle import (
    EMPTY_ROOT,
    Tree,
    appended,
    leaf_hash,
    node_hash,
)
from service.transparency.verification import verify_consistency, verify_inclusion
from tests.transparency.logs import KeptLog, entries

SHARED = Path(os.environ.get("CARBON_SHARED") or Path(__file__).parents[3] / "shared")
VECTORS = SHARED / "vectors" / "merkle"
WITH_ROOTS_THAT_ARE_NO_HASHES = "sizes-are-equal-one-and-proof-is-empty"
"""The one vector whose authors accept what is refused here: both its roots are other words."""
SIZES = range(1, 301)
"""Beyond the first tile's end."""


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


class TestTheTree:
    @pytest.mark.parametrize("size", [0, *SIZES, 1000])
    def test_has_the_root_that_the_standard_defines(self, size: int) -> None:
        kept = KeptLog().append(entries(size))

        assert kept.tree().root() == root_of(entries(size))

    def test_of_nothing_has_the_hash_of_nothing(self) -> None:
        assert KeptLog().tree().root() == EMPTY_ROOT == sha256(b"").digest()

    def test_of_70000_leaves_has_the_tiles_of_the_specifications_example(self) -> None:
        kept = KeptLog().append(entries(70_000))

        widths: dict[int, list[int]] = {}
        for (level, _), hashes in sorted(kept.tiles.items()):
            widths.setdefault(level, []).append(len(hashes) // 32)
        assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}

    def test_of_256_leaves_has_a_full_tile_and_one_hash_above(self) -> None:
        kept = KeptLog().append(entries(256))

        assert {name: len(hashes) // 32 for name, hashes in kept.tiles.items()} == {
            (0, 0): 256,
            (1, 0): 1,
        }

    @given(st.lists(st.integers(0, 700), max_size=6))
    def test_is_the_same_however_its_entries_come(self, batches: list[int]) -> None:
        whole, grown = KeptLog().append(entries(sum(batches))), KeptLog()

        for batch in batches:
            grown.append(entries(batch, first=grown.size))

        assert grown == whole

    @pytest.mark.parametrize("hashes", [b"", b"\0" * 31, b"\0" * 96])
    def test_does_not_grow_from_an_edge_of_another_size(self, hashes: bytes) -> None:
        with pytest.raises(TileUnusable):
            appended(2, lambda _level, _index: hashes, entries(1))

    @pytest.mark.parametrize("kept", [0, 40, 64])
    def test_answers_nothing_from_a_tile_cut_short(self, kept: int) -> None:
        cut = Tree(3, lambda _level, _index: (b"\1" * 96)[:kept])

        with pytest.raises(TileUnusable):
            cut.root()

    def test_reads_a_tile_once_and_few_of_them(self) -> None:
        kept, read = KeptLog().append(entries(70_000)), []

        def read_tile(level: int, index: int) -> bytes:
            read.append((level, index))
            return kept.read_tile(level, index)

        tree = kept.tree(read_tile)
        tree.inclusion_path(12_345)
        tree.consistency_path(12_345)

        assert len(read) == len(set(read)) <= 5


class TestProofs:
    def test_of_every_leaf_hold_in_every_prefix(self) -> None:
        tree = KeptLog().append(entries(300)).tree()

        for size in SIZES:
            for index in range(size):
                path = tree.inclusion_path(index, size)
                verify_inclusion(tree.leaf(index), index, size, path, tree.root(size))

    def test_of_every_prefix_hold_for_every_size(self) -> None:
        tree = KeptLog().append(entries(300)).tree()

        for size in SIZES:
            for old_size in range(1, size + 1):
                path = tree.consistency_path(old_size, size)
                roots = tree.root(old_size), tree.root(size)
                verify_consistency(old_size, roots[0], size, roots[1], path)

    @given(st.data(), st.integers(1, 70_000))
    def test_hold_in_large_trees(self, data: st.DataObject, size: int) -> None:
        tree = LARGE.tree()
        index = data.draw(st.integers(0, size - 1))

        inclusion = tree.inclusion_path(index, size)
        consistency = tree.consistency_path(index + 1, size)

        verify_inclusion(tree.leaf(index), index, size, inclusion, tree.root(size))
        verify_consistency(index + 1, tree.root(index + 1), size, tree.root(size), consistency)

    @given(st.data(), st.integers(2, 300))
    def test_of_inclusion_fail_with_anything_changed(self, data: st.DataObject, size: int) -> None:
        tree = LARGE.tree()
        index = data.draw(st.integers(0, size - 1))
        place = data.draw(st.integers(0, size + 1).filter(lambda other: other != index))
        path, leaf, root = tree.inclusion_path(index, size), tree.leaf(index), tree.root(size)

        for wrong in (
            (changed(data, leaf), index, size, path, root),
            (leaf, place, size, path, root),
            (leaf, index, size, with_one_changed(data, path), root),
            (leaf, index, size, path[:-1], root),
            (leaf, index, size, [*path, root], root),
            (leaf, index, size, path, changed(data, root)),
        ):
            with pytest.raises(InclusionNotProved):
                verify_inclusion(*wrong)

    @given(st.data(), st.integers(2, 300))
    def test_of_consistency_fail_with_anything_changed(
        self, data: st.DataObject, size: int
    ) -> None:
        tree = LARGE.tree()
        old_size = data.draw(st.integers(1, size - 1))
        path = tree.consistency_path(old_size, size)
        old_root, root = tree.root(old_size), tree.root(size)

        for wrong in (
            (old_size, changed(data, old_root), size, root, path),
            (old_size, old_root, size, changed(data, root), path),
            (old_size, old_root, size, root, with_one_changed(data, path)),
            (old_size, old_root, size, root, path[:-1]),
            (old_size, old_root, size, root, [*path, root]),
            (size, old_root, size, root, path),
            (0, EMPTY_ROOT, size, root, []),
        ):
            with pytest.raises(ConsistencyNotProved):
                verify_consistency(*wrong)

    @pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, 6), (0, -1)])
    def test_of_no_leaf_of_the_tree_are_not_made(self, index: int, size: int) -> None:
        with pytest.raises(OutsideTree):
            KeptLog().append(entries(5)).tree().inclusion_path(index, size)

    @pytest.mark.parametrize(("old_size", "size"), [(0, 5), (4, 3), (-1, 5), (1, 6), (6, 6)])
    def test_of_no_prefix_of_the_tree_are_not_made(self, old_size: int, size: int) -> None:
        with pytest.raises(OutsideTree):
            KeptLog().append(entries(5)).tree().consistency_path(old_size, size)


LARGE = KeptLog().append(entries(70_000))


def changed(data: st.DataObject, content: bytes) -> bytes:
    at = data.draw(st.integers(0, len(content) - 1))
    return content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]


def with_one_changed(data: st.DataObject, path: list[bytes]) -> list[bytes]:
    at = data.draw(st.integers(0, len(path) - 1))
    return [*path[:at], changed(data, path[at]), *path[at + 1 :]]


def vectors(kind: str) -> list[Path]:
    return sorted((VECTORS / kind).rglob("*.json"))


def judged_as(vector: Path) -> tuple[dict[str, Any], list[bytes]]:
    read = json.loads(vector.read_bytes())
    return read, [b64decode(each) for each in read["proof"] or []]


@pytest.mark.skipif(
    not VECTORS.is_dir(), reason="vectors/merkle is not beside the repository (CARBON_SHARED)"
)
class TestThePublicVectors:
    """Of the transparency-dev project, whose verifier the Go ecosystem uses."""

    @pytest.mark.parametrize("path", vectors("inclusion"), ids=lambda path: path.stem)
    def test_of_inclusion_are_judged_as_by_their_authors(self, path: Path) -> None:
        read, proof = judged_as(path)
        leaf, root = b64decode(read["leafHash"]), b64decode(read["root"])

        is_refused = refuses(verify_inclusion, leaf, read["leafIdx"], read["treeSize"], proof, root)

        assert is_refused is read["wantErr"]

    @pytest.mark.parametrize("path", vectors("consistency"), ids=lambda path: path.stem)
    def test_of_consistency_are_judged_as_by_their_authors(self, path: Path) -> None:
        read, proof = judged_as(path)
        old_root, root = b64decode(read["root1"]), b64decode(read["root2"])

        is_refused = refuses(
            verify_consistency, read["size1"], old_root, read["size2"], root, proof
        )

        assert is_refused is (read["wantErr"] or path.stem == WITH_ROOTS_THAT_ARE_NO_HASHES)

    def test_are_all_there(self) -> None:
        assert len(vectors("inclusion")) + len(vectors("consistency")) == 196


def refuses(verify: Any, *proof: Any) -> bool:
    try:
        verify(*proof)
    except ProofInvalid:
        return True
    return False
