"""What the public log says of a transfer: a commitment that only its citizen can open.

An entry of the log is SHA-256 over a salt and the transfer's fields, each with its length before
it. The salt is SHA-256(the citizen's secret ‖ the transfer's id): whoever is shown one salt can
open one transfer, and once the secret is blotted out nobody can open any. docs/transparency.md is
the format's description for others.
"""

import hashlib
import secrets
import struct
from typing import Final, NamedTuple

FORMAT: Final = b"carbon-transfer/1"


def _field(content: bytes) -> bytes:
    return len(content).to_bytes(2) + content


_NOTHING: Final = _field(b"")
_UUID: Final = b"\x00\x10"
_SHORT: Final = b"\x00\x02"
_HEAD: Final = _field(FORMAT) + _UUID
_SALT: Final = b"\x00\x20"
_AMOUNTS: Final = struct.Struct(">2sq2sq2s").pack
_LONG: Final = b"\x00\x08"


def _optional(uuid_hex: str) -> bytes:
    return _UUID + bytes.fromhex(uuid_hex) if uuid_hex else _NOTHING


class Placed(NamedTuple):
    """What places a transfer in its posting and its hold; ids in hexadecimal, "" for none."""

    posting_id: str = ""
    line: int = 0
    hold_id: str = ""
    hold_line: int = -1
    """-1: none."""
    of_id: str = ""
    party: str = ""

    def encoded(self) -> bytes:
        """Return the fields as they are committed to."""
        return (
            _optional(self.posting_id)
            + _SHORT
            + self.line.to_bytes(2)
            + _optional(self.hold_id)
            + (_NOTHING if self.hold_line < 0 else _SHORT + self.hold_line.to_bytes(2))
            + _optional(self.of_id)
            + _optional(self.party)
        )


ALONE: Final = Placed()
"""Of a transfer that no posting brought about: an issue or an expiry."""

_ALONE_ENCODED: Final = ALONE.encoded()


def salt_of(secret: bytes | None, transfer_id: bytes) -> bytes:
    """Return a transfer's salt; of somebody who was erased, one that nobody will ever know."""
    if secret is None:
        return secrets.token_bytes(32)
    return hashlib.sha256(secret + transfer_id).digest()


def commitment(
    salt: bytes,
    citizen_id: bytes,
    transfer_id: bytes,
    kind: str,
    expires_on: bytes,
    points: int,
    reduction_g: int,
    recorded_at: bytes,
    placed: Placed = ALONE,
) -> bytes:
    """Return the 32 bytes by which the log knows a transfer.

    Args:
        salt: 32 bytes, see `salt_of`.
        citizen_id: 16 bytes.
        transfer_id: 16 bytes.
        kind: of the chart.
        expires_on: days since 2000-01-01, 4 bytes, the most significant first.
        points: not negative.
        reduction_g: not negative.
        recorded_at: microseconds since 2000-01-01T00:00:00Z, 8 bytes.
        placed: in a posting and a hold.
    """
    amounts = encoded_amounts(points, reduction_g, recorded_at)
    ends = encoded_ends(kind, expires_on, placed)
    return joined(salt, citizen_id, transfer_id, ends, amounts)


def encoded_ends(kind: str, expires_on: bytes, placed: Placed = ALONE) -> tuple[bytes, bytes]:
    """Return what is committed to before the amounts and after the time: equal for many issues."""
    named = _field(kind.encode()) + _field(expires_on)
    return named, _ALONE_ENCODED if placed is ALONE else placed.encoded()


def encoded_amounts(points: int, reduction_g: int, recorded_at: bytes) -> bytes:
    """Return the amounts and the time as they are committed to."""
    return _AMOUNTS(_LONG, points, _LONG, reduction_g, _LONG) + recorded_at


def joined(
    salt: bytes, citizen_id: bytes, transfer_id: bytes, ends: tuple[bytes, bytes], amounts: bytes
) -> bytes:
    """Return the commitment to fields of which some are encoded already."""
    before, after = ends
    return hashlib.sha256(
        b"".join((_SALT, salt, _HEAD, citizen_id, _UUID, transfer_id, before, amounts, after))
    ).digest()


def _optional_in_sql(column: str, sent: str, length: str) -> str:
    return f"coalesce('\\x{length}'::bytea || {sent}({column}), '\\x0000'::bytea)"


COMMITMENT_IN_SQL: Final = " || ".join(
    (
        "sha256('\\x0020'::bytea",
        "sha256(account.secret || uuid_send(transfer.id))",
        f"'\\x{_HEAD.hex()}'::bytea",
        "uuid_send(transfer.citizen_id)",
        "'\\x0010'::bytea",
        "uuid_send(transfer.id)",
        "int2send(length(transfer.kind)::int2)",
        "transfer.kind::bytea",
        "'\\x0004'::bytea",
        "date_send(transfer.expires_on)",
        "'\\x0008'::bytea",
        "int8send(transfer.points)",
        "'\\x0008'::bytea",
        "int8send(transfer.reduction_g)",
        "'\\x0008'::bytea",
        "timestamptz_send(transfer.recorded_at)",
        "CASE WHEN transfer.posting_id IS NULL AND transfer.of_id IS NULL AND transfer.line = 0"
        " AND transfer.hold_id IS NULL AND transfer.party IS NULL"
        f" THEN '\\x{_ALONE_ENCODED.hex()}'::bytea ELSE "
        + " || ".join(
            (
                _optional_in_sql("transfer.posting_id", "uuid_send", "0010"),
                "'\\x0002'::bytea",
                "int2send(transfer.line)",
                _optional_in_sql("transfer.hold_id", "uuid_send", "0010"),
                _optional_in_sql("transfer.hold_line", "int2send", "0002"),
                _optional_in_sql("transfer.of_id", "uuid_send", "0010"),
                _optional_in_sql("transfer.party", "uuid_send", "0010"),
            )
        )
        + " END)",
    )
)
"""The same by the database, of `transfer` joined with `account`; null once the secret is gone."""
