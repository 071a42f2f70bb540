"""The log's tables: events, tiles and bundles that only get longer, seals, published heads."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt
from service.ledger.models import Xid8


class LogIdentity(Base):
    """The name of the log, written once: a changed setting must not begin a second history."""

    __tablename__ = "log_identity"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    origin: Mapped[str] = mapped_column(comment="first line of every checkpoint")
    founded_at: Mapped[RecordedAt]

    __table_args__ = (CheckConstraint("id = 1", name="there_is_one"),)


class LogEvent(Base):
    """A leaf that is no transfer: an erasure, a log key, a settlement manifest."""

    __tablename__ = "log_event"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    content: Mapped[str] = mapped_column(comment="JSON, as it is committed to")
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    commitment: Mapped[bytes] = mapped_column(
        LargeBinary, comment="the log's entry: see service/transparency/events.py"
    )
    recorded_at: Mapped[Moment]
    xact_id: Mapped[Any] = mapped_column(
        Xid8, server_default=text("pg_current_xact_id()"), comment="what the sealer goes by"
    )

    __table_args__ = (
        CheckConstraint(
            "kind IN ('erasure', 'key_added', 'key_retired', 'settlement_manifest')",
            name="kind_is_known",
        ),
        CheckConstraint("length(salt) = 32", name="salt_has_32_bytes"),
        CheckConstraint("length(commitment) = 32", name="commitment_has_32_bytes"),
        Index("ix_log_event_xact_id", "xact_id"),
    )


class LogTile(Base):
    """Up to 256 hashes of the Merkle tree (C2SP tlog-tiles)."""

    __tablename__ = "log_tile"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint(
            "length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0", name="whole_hashes"
        ),
    )


class LogBundle(Base):
    """Up to 256 entries of the log, which are commitments, one after another."""

    __tablename__ = "log_bundle"

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entries: Mapped[bytes] = mapped_column(LargeBinary)
    first_recorded_at: Mapped[Moment] = mapped_column(comment="of its first entry")

    __table_args__ = (
        CheckConstraint(
            "length(entries) BETWEEN 32 AND 8192 AND length(entries) % 32 = 0",
            name="whole_entries",
        ),
    )


class LogSeal(Base):
    """What one sealing took: every entry of a range of transactions, and the tree after it."""

    __tablename__ = "log_seal"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_leaf: Mapped[int] = mapped_column(BigInteger, comment="the size before")
    from_xact: Mapped[Any] = mapped_column(Xid8)
    until_xact: Mapped[Any] = mapped_column(Xid8, comment="itself not in the range")
    root: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("first_leaf"),
        UniqueConstraint("until_xact"),
        CheckConstraint("first_leaf >= 0 AND size > first_leaf", name="grows"),
        CheckConstraint("until_xact > from_xact", name="goes_on"),
        CheckConstraint("length(root) = 32", name="root_has_32_bytes"),
    )


class LogHead(Base):
    """A checkpoint that was signed and published, for ever."""

    __tablename__ = "log_head"

    size: Mapped[int] = mapped_column(
        ForeignKey("log_seal.size"), primary_key=True, autoincrement=False
    )
    checkpoint: Mapped[str] = mapped_column(comment="C2SP tlog-checkpoint, with its signatures")
    published_at: Mapped[RecordedAt]
