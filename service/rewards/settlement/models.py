"""Tables of settlement: a day's batch and its lines, the partner's file, and what differs."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Grams, Moment, Points, RecordedAt


class SettlementBatch(Base):
    """What one business date comes to with one partner; a rerun has a higher number."""

    __tablename__ = "settlement_batch"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    business_date: Mapped[date] = mapped_column(comment="Asia/Shanghai; closed at 24:00")
    no: Mapped[int] = mapped_column(comment="n: of this partner and date")
    state: Mapped[str]
    version: Mapped[int] = mapped_column(comment="number of its last change")
    lines: Mapped[int]
    totals: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="sums by record type")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint(
            "partner_id",
            "business_date",
            "no",
            name="uq_settlement_batch_partner_id_business_date_no",
        ),
        CheckConstraint(
            "state IN ('open', 'sent', 'partner_received', 'matched', 'exceptions', 'accepted',"
            " 'superseded')",
            name="state_is_known",
        ),
        Index(
            "uq_settlement_batch_that_counts",
            "partner_id",
            "business_date",
            unique=True,
            postgresql_where=text("state <> 'superseded'"),
        ),
    )


class SettlementBatchChange(Base):
    """A batch's step from one state to the next; never rewritten."""

    __tablename__ = "settlement_batch_change"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_batch.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "actor_kind IN ('partner', 'staff', 'service')", name="actor_kind_is_known"
        ),
    )


class SettlementLine(Base):
    """One capture or reversal in a batch, as the file says it."""

    __tablename__ = "settlement_line"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_batch.id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True)
    record_type: Mapped[str]
    redemption_id: Mapped[UUID]
    record_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(comment="of the redemption after this record")
    partner_reference: Mapped[str] = mapped_column(comment="empty: none was given")
    subject: Mapped[str]
    points: Mapped[Points]
    reduction_g: Mapped[Grams]
    benefit_value: Mapped[str]
    subsidy_minor: Mapped[Points]
    payer: Mapped[str]
    effective_from: Mapped[str]
    effective_to: Mapped[str]
    occurred_at: Mapped[Moment]
    business_date: Mapped[date] = mapped_column(comment="of the record; an earlier one is late")
    terms_hash: Mapped[str]
    written: Mapped[str] = mapped_column(comment="the file's line, without its end")
    superseded_by: Mapped[UUID | None] = mapped_column(ForeignKey("settlement_batch.id"))

    __table_args__ = (
        CheckConstraint(
            "record_type IN ('CAPTURE', 'REVERSAL', 'ADJUST')", name="record_type_is_known"
        ),
        Index(
            "uq_settlement_line_that_counts",
            "record_id",
            unique=True,
            postgresql_where=text("superseded_by IS NULL"),
        ),
        Index("ix_settlement_line_redemption_id", "redemption_id"),
    )


class SettlementManifest(Base):
    """What we sign of a batch; each names the one before it."""

    __tablename__ = "settlement_manifest"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_batch.id"), primary_key=True)
    partner_id: Mapped[UUID]
    no: Mapped[int] = mapped_column(comment="place in the partner's chain")
    previous_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="of the document")
    file_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    last_event_seq: Mapped[Points] = mapped_column(comment="of the partner, when it was closed")
    document: Mapped[str] = mapped_column(comment="compact JWS")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("partner_id", "no"),
        CheckConstraint("(no = 1) = (previous_sha256 IS NULL)", name="first_has_none_before"),
        CheckConstraint(
            "octet_length(sha256) = 32 AND octet_length(file_sha256) = 32"
            " AND octet_length(previous_sha256) = 32",
            name="digests_are_sha256",
        ),
    )


class PartnerFile(Base):
    """What a partner sent as its own account of a batch, as it came."""

    __tablename__ = "partner_file"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_batch.id"))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    stated_lines: Mapped[int | None] = mapped_column(comment="what the partner says it sent")
    stated_points: Mapped[Points | None]
    lines: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint(
            "batch_id",
            "sha256",
            "stated_lines",
            "stated_points",
            name="uq_partner_file_batch_id_sha256",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("octet_length(sha256) = 32", name="digest_is_sha256"),
    )


class ReconciliationRun(Base):
    """The comparison of one partner's file with its batch."""

    __tablename__ = "reconciliation_run"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    file_id: Mapped[UUID] = mapped_column(ForeignKey("partner_file.id"), unique=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_batch.id"))
    partner_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="queued")
    matched_lines: Mapped[int | None]
    exceptions: Mapped[int | None]
    ended_at: Mapped[Moment | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'matched', 'exceptions', 'overtaken')", name="state_is_known"
        ),
    )


class ReconciliationException(Base):
    """One difference between a batch and the partner's file, until somebody has resolved it."""

    __tablename__ = "reconciliation_exception"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("settlement_batch.id"))
    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("reconciliation_run.id"), comment="that has found it last"
    )
    partner_id: Mapped[UUID]
    code: Mapped[str]
    about: Mapped[str] = mapped_column(comment="by which a later run finds it again")
    redemption_id: Mapped[UUID | None]
    record_id: Mapped[UUID | None]
    ours: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    theirs: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    points: Mapped[Points] = mapped_column(comment="at risk")
    subsidy_minor: Mapped[Points] = mapped_column(comment="at risk, in fen")
    state: Mapped[str] = mapped_column(server_default="open")
    version: Mapped[int] = mapped_column(server_default="1", comment="number of its last step")
    owner_kind: Mapped[str]
    owner_id: Mapped[UUID | None]
    opened_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]

    __table_args__ = (
        UniqueConstraint(
            "batch_id", "code", "about", name="uq_reconciliation_exception_batch_id_code_about"
        ),
        CheckConstraint(
            "code IN ('MISSING_AT_PARTNER', 'MISSING_HERE', 'STATE_MISMATCH', 'AMOUNT_MISMATCH',"
            " 'TERMS_MISMATCH', 'DUPLICATE_LINE', 'LATE', 'UNKNOWN_REFERENCE',"
            " 'SUBJECT_MISMATCH', 'TOTAL_MISMATCH')",
            name="code_is_known",
        ),
        CheckConstraint(
            "state IN ('open', 'proposed', 'resolved', 'cleared')", name="state_is_known"
        ),
        CheckConstraint(
            "owner_kind IN ('partner', 'platform', 'staff')", name="owner_kind_is_known"
        ),
        Index(
            "ix_reconciliation_exception_open",
            "batch_id",
            postgresql_where=text("state IN ('open', 'proposed')"),
        ),
    )


class ExceptionStep(Base):
    """What was done about an exception, by whom and why; never rewritten."""

    __tablename__ = "exception_step"

    exception_id: Mapped[UUID] = mapped_column(
        ForeignKey("reconciliation_exception.id"), primary_key=True
    )
    no: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(comment="of the exception from now on")
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    owner_kind: Mapped[str | None]
    owner_id: Mapped[UUID | None]
    resolution: Mapped[str | None]
    reason: Mapped[str | None]
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('opened', 'assigned', 'proposed', 'resolved', 'cleared', 'opened_again')",
            name="kind_is_known",
        ),
        CheckConstraint("actor_kind IN ('staff', 'service')", name="actor_kind_is_known"),
        CheckConstraint(
            "resolution IN ('accept_partner', 'accept_ours', 'reverse', 'write_off')",
            name="resolution_is_known",
        ),
    )
