"""Logs made up for tests: entries, their tree in a dictionary of tiles, keys, and signed heads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.transparency.committed import CommittedTransfer
from service.transparency.merkle import ReadTile, Tree, appended
from service.transparency.notes import Checkpoint, Signer, sign_checkpoint
from service.transparency.proof_files import proof_document

ORIGIN = "scheme.example/log"
SALT = bytes(range(32))


def entries(count: int, first: int = 0) -> list[bytes]:
    return [sha256(str(number).encode()).digest() for number in range(first, first + count)]


def a_signer(name: str = ORIGIN, seed: int = 1) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


@dataclass
class KeptLog:
    """A log in memory that grows as the service's own does."""

    size: int = 0
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def append(self, new: Sequence[bytes]) -> "KeptLog":
        growth = appended(self.size, self.read_tile, new)
        self.tiles |= growth.tiles
        self.size = growth.size
        assert growth.root == self.tree().root()
        return self

    def read_tile(self, level: int, index: int) -> bytes:
        return self.tiles[level, index]

    def tree(self, read_tile: ReadTile | None = None) -> Tree:
        return Tree(self.size, read_tile or self.read_tile)

    def head(self, *signers: Signer, size: int | None = None) -> str:
        size = self.size if size is None else size
        checkpoint = Checkpoint(ORIGIN, size, self.tree().root(size))
        return sign_checkpoint(checkpoint, signers or (a_signer(),))


def a_transfer(**changes: Any) -> CommittedTransfer:
    fields: dict[str, Any] = {
        "citizen_id": UUID(int=0xC1),
        "id": UUID(int=0x7F),
        "kind": "capture",
        "expires_on": date(2029, 12, 31),
        "points": 300,
        "reduction_g": 1250,
        "recorded_at": datetime(2026, 11, 20, 5, 4, 3, 210987, tzinfo=UTC),
        "posting_id": UUID(int=0x7F),
        "line": 0,
        "hold_id": UUID(int=0x40),
        "hold_line": 2,
        "of_id": None,
        "party": UUID(int=0xBA),
    }
    return CommittedTransfer(**fields | changes)


def a_proof(
    transfer: CommittedTransfer | None = None,
    *signers: Signer,
    size: int = 300,
    index: int = 123,
    change: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, Any]:
    """Return a proof document for a transfer among other entries, changed if so wished."""
    transfer = transfer or a_transfer()
    others = entries(size - 1)
    kept = KeptLog().append([*others[:index], transfer.entry(SALT), *others[index:]])
    path = kept.tree().inclusion_path(index)
    document = proof_document(transfer, SALT, index, size, path, kept.head(*signers))
    if change is not None:
        change(document)
    return document
