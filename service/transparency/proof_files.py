"""The file with which a citizen proves, with no service to ask, that her transfer is in the log.

Whoever checks it needs the log's public key and nothing else. A file is exactly what this module
writes for what it says: but for white space between its parts, no byte of it is without meaning.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec

from service.errors import DomainError
from service.ids import CITIZEN, PARTNER, POSTING, TRANSFER, uuid_of
from service.transparency.committed import SALT_BYTES, CommittedTransfer, prefix_of_undone
from service.transparency.errors import CheckpointDiffers, ProofMalformed
from service.transparency.merkle import leaf_hash
from service.transparency.notes import Checkpoint, Verifier, decoded_base64, open_checkpoint
from service.transparency.verification import verify_consistency, verify_inclusion
from service.web.json_bodies import read_json

TRANSFER_PROOF = "carbon-transfer-proof/1"
CONSISTENCY_PROOF = "carbon-consistency-proof/1"
TLOG_PROOF = "c2sp.org/tlog-proof@v1"
LONGEST_FILE = 64 * 1024

_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*+")|[ \t\r\n]++')

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Line = Annotated[int, msgspec.Meta(ge=0, le=2**15 - 1)]
_Kind = Annotated[str, msgspec.Meta(pattern=r"\A[a-z_]{1,32}\Z")]
_Id = Annotated[str, msgspec.Meta(max_length=36)]


class _TransferMembers(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    citizen_id: _Id
    id: _Id
    kind: _Kind
    expires_on: str
    points: _Count
    reduction_g: _Count
    recorded_at: str
    posting_id: _Id | None
    line: _Line
    hold_id: _Id | None
    hold_line: _Line | None
    of_id: _Id | None
    party: _Id | None


class _TransferProof(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    format: Literal["carbon-transfer-proof/1"]
    transfer: _TransferMembers
    salt: str
    leaf_index: _Count
    tree_size: _Count
    inclusion_path: list[str]
    checkpoint: str
    tlog_proof: str


class _ConsistencyProof(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    format: Literal["carbon-consistency-proof/1"]
    old_size: _Count
    size: _Count
    consistency_path: list[str]


_Members = TypeVar("_Members", _TransferProof, _ConsistencyProof)


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """What a proof file has proved."""

    transfer: CommittedTransfer
    leaf_index: int
    checkpoint: Checkpoint


def proof_document(
    transfer: CommittedTransfer,
    salt: bytes,
    leaf_index: int,
    tree_size: int,
    inclusion_path: Sequence[bytes],
    checkpoint: str,
) -> dict[str, Any]:
    """Return the proof file's members, in their order.

    Args:
        transfer: what is proved to be in the log.
        salt: of this transfer only, 32 bytes.
        leaf_index: its place in the log, from 0.
        tree_size: the leaves under the checkpoint.
        inclusion_path: from the leaf to the checkpoint's root.
        checkpoint: the signed note.
    """
    return {
        "format": TRANSFER_PROOF,
        "transfer": transfer.document(),
        "salt": salt.hex(),
        "leaf_index": leaf_index,
        "tree_size": tree_size,
        "inclusion_path": [b64encode(each).decode() for each in inclusion_path],
        "checkpoint": checkpoint,
        "tlog_proof": tlog_proof(leaf_index, inclusion_path, checkpoint),
    }


def consistency_document(
    old_size: int, size: int, consistency_path: Sequence[bytes]
) -> dict[str, Any]:
    """Return the members of a proof that one tree continues another."""
    return {
        "format": CONSISTENCY_PROOF,
        "old_size": old_size,
        "size": size,
        "consistency_path": [b64encode(each).decode() for each in consistency_path],
    }


def tlog_proof(leaf_index: int, inclusion_path: Sequence[bytes], checkpoint: str) -> str:
    """Return the proof as C2SP tlog-proof writes it, for other people's tools."""
    path = [b64encode(each).decode() for each in inclusion_path]
    return "\n".join([TLOG_PROOF, f"index {leaf_index}", *path, "", checkpoint])


def verify_proof_file(file: bytes, verifiers: Sequence[Verifier]) -> VerifiedProof:
    """Check a proof file: the commitment, the path to the root, and the signature over the root.

    Raises:
        ProofInvalid: what it says is not proved; the kinds of it say why.
    """
    parsed = _parsed(file)
    members = _members(_TransferProof, parsed)
    transfer, salt = _transfer(members.transfer), _salt(members.salt)
    path = _hashes(members.inclusion_path)
    index, size = members.leaf_index, members.tree_size
    if parsed != proof_document(transfer, salt, index, size, path, members.checkpoint):
        raise ProofMalformed("The file does not write its contents in the one way there is.")
    checkpoint = open_checkpoint(members.checkpoint, verifiers)
    if checkpoint.size != size:
        raise CheckpointDiffers("The proof is for another tree than its checkpoint.")
    verify_inclusion(leaf_hash(transfer.entry(salt)), index, size, path, checkpoint.root)
    return VerifiedProof(transfer, index, checkpoint)


def verify_consistency_file(file: bytes, old: Checkpoint, new: Checkpoint) -> None:
    """Check with a consistency proof that a checkpoint's tree continues an older one's.

    Raises:
        ProofInvalid: it is not proved; the kinds of it say why.
    """
    parsed = _parsed(file)
    members = _members(_ConsistencyProof, parsed)
    path = _hashes(members.consistency_path)
    if parsed != consistency_document(members.old_size, members.size, path):
        raise ProofMalformed("The file does not write its contents in the one way there is.")
    if (old.origin, members.old_size, members.size) != (new.origin, old.size, new.size):
        raise CheckpointDiffers("The proof is for other trees than its checkpoints.")
    verify_consistency(old.size, old.root, new.size, new.root, path)


def _parsed(file: bytes) -> Any:
    """Return the JSON of a file, if only its white space can be chosen."""
    if len(file) > LONGEST_FILE:
        raise ProofMalformed("The file is too long for a proof.")
    try:
        parsed = read_json(file)
        text = _STRING_OR_SPACE.sub(r"\1", file.decode())
        written = [*_written(parsed)]
    except (DomainError, TypeError) as error:
        raise ProofMalformed("The file is not the JSON of a proof.") from error
    if text not in written:
        raise ProofMalformed("The file does not write its contents in the one way there is.")
    return parsed


def _written(parsed: Any) -> Iterator[str]:
    """Yield the ways in which common programs write this JSON, without any white space.

    Raises:
        TypeError: it has numbers that are not whole.
    """
    for ensure_ascii in (False, True):
        yield json.dumps(parsed, ensure_ascii=ensure_ascii, separators=(",", ":"))


def _members(kind: type[_Members], parsed: Mapping[str, Any]) -> _Members:
    try:
        return msgspec.convert(parsed, kind)
    except msgspec.ValidationError as error:
        raise ProofMalformed("The file has not the members of a proof.") from error


def _transfer(members: _TransferMembers) -> CommittedTransfer:
    try:
        return CommittedTransfer(
            citizen_id=uuid_of(CITIZEN, members.citizen_id),
            id=uuid_of(TRANSFER, members.id),
            kind=members.kind,
            expires_on=date.fromisoformat(members.expires_on),
            points=members.points,
            reduction_g=members.reduction_g,
            recorded_at=_moment(members.recorded_at),
            posting_id=_optional_id(POSTING, members.posting_id),
            line=members.line,
            hold_id=_optional_id(POSTING, members.hold_id),
            hold_line=members.hold_line,
            of_id=_optional_id(prefix_of_undone(members.kind), members.of_id),
            party=_optional_id(PARTNER, members.party),
        )
    except (DomainError, ValueError) as error:
        raise ProofMalformed("A field of the transfer is not what it must be.") from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0):
        raise ValueError("a moment is in UTC and says so")
    return moment


def _optional_id(prefix: str, text: str | None) -> UUID | None:
    return None if text is None else uuid_of(prefix, text)


def _salt(text: str) -> bytes:
    try:
        salt = bytes.fromhex(text)
    except ValueError:
        salt = b""
    if len(salt) != SALT_BYTES:
        raise ProofMalformed("The salt is 32 bytes in hexadecimal digits.")
    return salt


def _hashes(path: Sequence[str]) -> list[bytes]:
    hashes = [decoded_base64(text) for text in path]
    whole = [each for each in hashes if each is not None]
    if len(whole) != len(hashes):
        raise ProofMalformed("A path is a list of hashes in base64.")
    return whole
