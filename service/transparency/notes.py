"""Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint) with Ed25519 keys."""

import re
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from service.transparency.errors import (
    LogKeyMalformed,
    NoteMalformed,
    NoteNotSigned,
    NoteSignatureWrong,
)

ED25519 = b"\x01"
"""The signature type, which is part of a key's id."""
KEY_ID_BYTES = 4
KEY_BYTES = 32
ROOT_BYTES = 32
MOST_SIGNATURES = 64
LONGEST_NOTE = 64 * 1024
LARGEST_SIZE = 2**63 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_NOT_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
"""Control characters but the line end, and halves of surrogate pairs, which are not UTF-8."""
_SIGNATURE_LINE = re.compile(r"\u2014 (\S+) (\S+)")
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(\S+)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: which log, how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Further lines that were signed too; this service writes none."""

    @property
    def body(self) -> str:
        """The text that is signed."""
        root = b64encode(self.root).decode()
        return "".join(f"{line}\n" for line in (self.origin, self.size, root, *self.extensions))


@dataclass(frozen=True, slots=True)
class Verifier:
    """A name and a public key: whoever holds it can check a log."""

    name: str
    public: bytes
    """32 bytes (RFC 8032)."""

    def __post_init__(self) -> None:
        if not _is_name(self.name) or not self.name.isprintable():
            raise LogKeyMalformed("A key's name is not empty and has no spaces and no plus.")

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read ``name+key id+base64(0x01 ‖ public key)``.

        Raises:
            LogKeyMalformed: it is not that, or the id is another key's.
        """
        shape = _VKEY.fullmatch(vkey)
        encoded = decoded_base64(shape[3]) if shape else None
        if shape is None or encoded is None or len(encoded) != 1 + KEY_BYTES:
            raise LogKeyMalformed("A log's key is written name+id+key, as the log publishes it.")
        if encoded[:1] != ED25519:
            raise LogKeyMalformed("Only Ed25519 keys are known here.")
        verifier = cls(shape[1], encoded[1:])
        if verifier.key_id.hex() != shape[2]:
            raise LogKeyMalformed("The id in this key is not that of its name and bytes.")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names its key."""
        named = self.name.encode() + b"\n" + ED25519 + self.public
        return sha256(named).digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as it is published."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(ED25519 + self.public).decode()}"

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """Say whether the signature is this key's over these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A name and the private half of its key."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The half that everybody may have."""
        return Verifier(self.name, self.private.public_key().public_bytes_raw())

    def line_under(self, text: str) -> str:
        """Return this key's signature line for a note's text."""
        signature = self.private.sign(text.encode())
        return f"\u2014 {self.name} {b64encode(self.verifier.key_id + signature).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """Return the signed note: several signers while one key takes over from another."""
    lines = [signer.line_under(checkpoint.body) for signer in signers]
    return "".join([checkpoint.body, "\n", *lines])


def open_checkpoint(note: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """Read a checkpoint that at least one of the given keys has signed.

    Signatures of other keys are passed over, as the specification wants; one that names a given
    key and is not that key's condemns the note.

    Raises:
        NoteMalformed: it is not written as a signed note with a checkpoint must be.
        NoteNotSigned: none of the keys has signed it.
        NoteSignatureWrong: a signature in the name of one of the keys is not that key's.
    """
    text, signatures = _parts_of(note)
    known = {(each.name, each.key_id): each for each in verifiers}
    signed = False
    for name, key_id, signature in signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        if not verifier.has_signed(text.encode(), signature):
            raise NoteSignatureWrong("The signature of {name} is not its key's.", name=name)
        signed = True
    if not signed:
        raise NoteNotSigned("None of the keys that were given has signed this checkpoint.")
    return _checkpoint_of(text)


def decoded_base64(text: str) -> bytes | None:
    """Return what standard base64 says; None unless it is the one way of writing it."""
    try:
        decoded = a2b_base64(text.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        return None
    return decoded if b64encode(decoded).decode() == text else None


def decimal_of(text: str) -> int | None:
    """Return a number written in ASCII digits without a leading zero, up to 2^63-1."""
    number = int(text) if _DECIMAL.fullmatch(text) else None
    return number if number is not None and number <= LARGEST_SIZE else None


def _parts_of(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return a note's text, and name, key id and signature of each line under it."""
    if len(note) > LONGEST_NOTE or _NOT_TEXT.search(note):
        raise NoteMalformed("The note is too long, or holds characters that are not text.")
    text, blank, under = note.rpartition("\n\n")
    lines = under.split("\n")
    if not blank or not text or lines.pop() or not 1 <= len(lines) <= MOST_SIGNATURES:
        raise NoteMalformed("A signed note is a text, an empty line and lines with signatures.")
    return text + "\n", [_signature_of(line) for line in lines]


def _signature_of(line: str) -> tuple[str, bytes, bytes]:
    shape = _SIGNATURE_LINE.fullmatch(line)
    signature = decoded_base64(shape[2]) if shape else None
    if shape is None or not _is_name(shape[1]) or not signature or len(signature) <= KEY_ID_BYTES:
        raise NoteMalformed("A signature is a dash, a key's name and base64.")
    return shape[1], signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:]


def _checkpoint_of(text: str) -> Checkpoint:
    match text.removesuffix("\n").split("\n"):
        case [origin, size, root, *extensions] if origin and all(extensions):
            number, hashed = decimal_of(size), decoded_base64(root)
            if number is not None and hashed is not None and len(hashed) == ROOT_BYTES:
                return Checkpoint(origin, number, hashed, tuple(extensions))
    raise NoteMalformed("A checkpoint is an origin, a size and a root, each on its line.")


def _is_name(text: str) -> bool:
    return bool(text) and "+" not in text and not any(each.isspace() for each in text)
