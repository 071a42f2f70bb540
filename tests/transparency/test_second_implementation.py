"""Our trees, proofs, tiles and heads, checked by code that is not ours.

`pymerkle` has its own tree and its own proofs. The Go toolchain carries the code by which Go
programs check their checksum database (golang.org/x/mod/sumdb): it reads our tiles, opens our
signed heads, checks our proofs and makes the same ones.
"""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pymerkle
import pytest

from service.transparency.notes import Checkpoint, Signer, sign_checkpoint
from service.transparency.tiles import TileName
from tests.transparency.logs import KeptLog, a_signer, entries

SIZE = 300
GO_ORIGIN = "go.sum database tree"
"""The only first line of a head that Go's own reader takes."""
OFFLINE = os.environ | {"GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
CHECKER = Path(__file__).parent / "sumdb_checker" / "main.go"

Check = Callable[[dict[str, Any]], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def theirs() -> pymerkle.InmemoryTree:
    return pymerkle.InmemoryTree.init_from_entries(entries(SIZE))


class TestPymerkle:
    def test_has_the_same_root_at_every_size(self, theirs: pymerkle.InmemoryTree) -> None:
        ours = KeptLog().append(entries(SIZE)).tree()

        for size in range(SIZE + 1):
            assert theirs.get_root(size) == ours.root(size)

    @pytest.mark.parametrize("size", [1, 2, 7, 8, 255, 256, 257, SIZE])
    def test_has_the_same_path_from_every_leaf(
        self, theirs: pymerkle.InmemoryTree, size: int
    ) -> None:
        ours = KeptLog().append(entries(SIZE)).tree()

        for index in range(size):
            proof = theirs.prove_inclusion(index + 1, size)
            assert proof.path == [ours.leaf(index), *ours.inclusion_path(index, size)]

    @pytest.mark.parametrize("size", [1, 2, 7, 8, 255, 256, 257, SIZE])
    def test_proves_that_our_trees_continue_one_another(
        self, theirs: pymerkle.InmemoryTree, size: int
    ) -> None:
        ours = KeptLog().append(entries(SIZE)).tree()

        for old_size in range(1, size + 1):
            proof = theirs.prove_consistency(old_size, size)
            pymerkle.verify_consistency(ours.root(old_size), ours.root(size), proof)


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Return Go's checker of logs, built from the toolchain's own copy of golang.org/x/mod."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the Go toolchain, whose code would check ours, is not installed")
    folder = tmp_path_factory.mktemp("checker")

    def run_go(*words: str) -> str:
        asked = subprocess.run(
            [go, *words], cwd=folder, env=OFFLINE, capture_output=True, text=True, check=False
        )
        assert asked.returncode == 0, asked.stderr
        return asked.stdout.strip()

    sumdb = Path(run_go("env", "GOROOT"), "src/cmd/vendor/golang.org/x/mod/sumdb")
    if not sumdb.is_dir():
        pytest.skip("this Go toolchain comes without its sources")
    for package in ("note", "tlog"):
        shutil.copytree(sumdb / package, folder / package)
    shutil.copy(CHECKER, folder)
    run_go("mod", "init", "checker")
    run_go("build", "-o", "checker", ".")

    def check(log: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [folder / "checker"], input=json.dumps(log), capture_output=True, text=True, check=False
        )

    return check


class TestTheChecksumDatabasesCode:
    @pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 1000, 70_000])
    def test_agrees(self, check: Check, size: int) -> None:
        places = sorted({0, size // 3, size // 2, size - 1})

        checked = check(a_log(size, places))

        assert checked.stderr == ""
        assert checked.stdout.split() == [str(size), str(len(places)), str(len(places))]

    def test_believes_a_head_while_a_key_is_replaced(self, check: Check) -> None:
        new = a_signer("scheme.example", seed=2)

        assert check(a_log(5, [0], new, a_signer("scheme.example", seed=1))).returncode == 0

    def test_disagrees_as_soon_as_something_differs(self, check: Check) -> None:
        for part in ("tiles", "head", "inclusion", "consistency"):
            log, other = a_log(300, [7]), a_log(301, [8])

            refused = check(log | {part: other[part]})

            assert refused.returncode == 1, part


def a_log(size: int, places: Sequence[int], *signers: Signer) -> dict[str, Any]:
    """Return what the checker reads: a log with proofs of some leaves and of trees up to them."""
    signers = signers or (a_signer(),)
    all_entries = entries(size)
    kept = KeptLog().append(all_entries)
    tree = kept.tree()
    return {
        "key": signers[0].verifier.vkey,
        "head": sign_checkpoint(Checkpoint(GO_ORIGIN, size, tree.root()), signers),
        "tiles": {
            TileName(level, index, len(hashes) // 32).path: text_of(hashes)
            for (level, index), hashes in kept.tiles.items()
        },
        "inclusion": [
            {
                "index": index,
                "entry": text_of(all_entries[index]),
                "path": [text_of(each) for each in tree.inclusion_path(index)],
            }
            for index in places
        ],
        "consistency": [
            {
                "old_size": index + 1,
                "old_root": text_of(tree.root(index + 1)),
                "path": [text_of(each) for each in tree.consistency_path(index + 1)],
            }
            for index in places
        ],
    }


def text_of(content: bytes) -> str:
    return b64encode(content).decode()
