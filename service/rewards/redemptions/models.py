"""Tables of quotes and redemptions; every step of a redemption is a record that stays."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Sequence,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Grams, Moment, Points, RecordedAt

STATUS_INDEX = Sequence("status_index_seq", minvalue=0, start=0, metadata=Base.metadata)


class Quote(Base):
    """What a citizen was told she would get, on which terms and until when."""

    __tablename__ = "quote"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    citizen_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    offer_version: Mapped[int]
    consent_id: Mapped[UUID]
    subject: Mapped[str] = mapped_column(comment="her name for this partner")
    mode: Mapped[str]
    points: Mapped[Points]
    terms_hash: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="what it rests on: the same facts give the same quote"
    )
    valid_until: Mapped[Moment]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (Index("ix_quote_citizen_id", "citizen_id", "recorded_at"),)


class Redemption(Base):
    """How a redemption stands: what its records come to, kept up with each of them."""

    __tablename__ = "redemption"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    citizen_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    offer_version: Mapped[int]
    quote_id: Mapped[UUID] = mapped_column(unique=True)
    consent_id: Mapped[UUID]
    subject: Mapped[str]
    mode: Mapped[str]
    points: Mapped[Points] = mapped_column(comment="held when it was reserved")
    subsidy_minor: Mapped[Points] = mapped_column(comment="taken of the offer's budget, in fen")
    person_id: Mapped[bytes | None] = mapped_column(LargeBinary, comment="whose cap it counts for")
    citizen_use_on: Mapped[date | None] = mapped_column(comment="first day of the cap's period")
    person_use_on: Mapped[date | None]
    state: Mapped[str]
    state_before: Mapped[str | None] = mapped_column(comment="of a dispute")
    version: Mapped[int] = mapped_column(comment="number of its last record")
    captured_points: Mapped[Points] = mapped_column(server_default="0")
    captured_subsidy_minor: Mapped[Points] = mapped_column(server_default="0")
    reversed_points: Mapped[Points] = mapped_column(server_default="0")
    deadline_at: Mapped[Moment | None] = mapped_column(comment="when a timer has to look at it")
    matures_at: Mapped[Moment | None]
    matured_as: Mapped[str | None]
    closed_at: Mapped[Moment | None] = mapped_column(
        comment="since when it takes nothing of quota, budget and caps"
    )
    void_requested_at: Mapped[Moment | None]
    status_index: Mapped[Points | None] = mapped_column(comment="its bits in a status list")
    asked: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    needs_human: Mapped[bool] = mapped_column(server_default=text("false"))
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "state IN ('reserved', 'submitted', 'unknown', 'captured', 'settled',"
            " 'partially_reversed', 'reversed', 'disputed', 'declined', 'voided', 'expired')",
            name="state_is_known",
        ),
        CheckConstraint("mode IN ('burn', 'lock', 'attest')", name="mode_is_known"),
        CheckConstraint("matured_as IN ('burn', 'release')", name="matured_as_is_known"),
        CheckConstraint(
            "0 <= reversed_points AND reversed_points <= captured_points"
            " AND captured_points <= points"
            " AND 0 <= captured_subsidy_minor AND captured_subsidy_minor <= subsidy_minor",
            name="takes_no_more",
        ),
        Index("ix_redemption_citizen_id", "citizen_id", "recorded_at"),
        Index("ix_redemption_partner_id", "partner_id", "recorded_at"),
        Index(
            "ix_redemption_deadline_at",
            "deadline_at",
            postgresql_where=text("deadline_at IS NOT NULL"),
        ),
        Index(
            "ix_redemption_case",
            "recorded_at",
            "id",
            postgresql_where=text("state IN ('unknown', 'disputed')"),
        ),
        Index(
            "uq_redemption_status_index",
            "status_index",
            unique=True,
            postgresql_where=text("status_index IS NOT NULL"),
        ),
    )


class RedemptionRecord(Base):
    """One step of a redemption: who asked for what under which number, and what came of it."""

    __tablename__ = "redemption_record"

    redemption_id: Mapped[UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, comment="the redemption's version")
    id: Mapped[UUID] = mapped_column(comment="follows from the two; also of its posting")
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(comment="of the redemption from now on")
    request_no: Mapped[str] = mapped_column(comment="of the caller: its Idempotency-Key")
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    partner_id: Mapped[UUID]
    partner_reference: Mapped[str | None]
    points: Mapped[Points] = mapped_column(server_default="0")
    reduction_g: Mapped[Grams] = mapped_column(server_default="0")
    subsidy_minor: Mapped[Points] = mapped_column(server_default="0")
    posting_id: Mapped[UUID | None] = mapped_column(comment="what it moved in the ledger")
    of_id: Mapped[UUID | None] = mapped_column(comment="the record that it undoes or answers")
    body: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    business_date: Mapped[date]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('reservation', 'submission', 'capture', 'decline', 'void_request', 'void',"
            " 'expiry', 'unknown', 'closure', 'maturity', 'reversal', 'dispute', 'resolution',"
            " 'settlement')",
            name="kind_is_known",
        ),
        CheckConstraint(
            "actor_kind IN ('citizen', 'partner', 'staff', 'service')", name="actor_kind_is_known"
        ),
        Index(
            "uq_redemption_record_partner_reference",
            "partner_id",
            "kind",
            "partner_reference",
            unique=True,
            postgresql_where=text("partner_reference IS NOT NULL"),
        ),
        Index(
            "uq_redemption_record_request_no", "redemption_id", "kind", "request_no", unique=True
        ),
        Index(
            "ix_redemption_record_to_settle",
            "partner_id",
            "business_date",
            postgresql_where=text("kind IN ('capture', 'reversal')"),
        ),
    )


class DisputeWords(Base):
    """What a citizen says of a benefit that she disputes; leaves with her."""

    __tablename__ = "dispute_words"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    words: Mapped[str]
    recorded_at: Mapped[RecordedAt]


class Inquiry(Base):
    """What a partner answered when it was asked how a redemption stands there."""

    __tablename__ = "inquiry"

    redemption_id: Mapped[UUID] = mapped_column(ForeignKey("redemption.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    answer: Mapped[str]
    body: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "answer IN ('none', 'captured', 'declined', 'voided', 'pending', 'contradictory',"
            " 'no_answer')",
            name="answer_is_known",
        ),
    )


class ForcedResolution(Base):
    """What one of the staff wants to become of a redemption that nobody knows about."""

    __tablename__ = "forced_resolution"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    redemption_id: Mapped[UUID] = mapped_column(ForeignKey("redemption.id"), index=True)
    outcome: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="the evidence, and any capture")
    proposed_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("id", "proposed_by"),
        CheckConstraint("outcome IN ('captured', 'declined', 'voided')", name="outcome_is_known"),
    )


class ForcedResolutionApproval(Base):
    """A second person's word on it, in the moment in which it happens."""

    __tablename__ = "forced_resolution_approval"

    forced_resolution_id: Mapped[UUID] = mapped_column(primary_key=True)
    proposed_by: Mapped[UUID]
    approved_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        ForeignKeyConstraint(
            ["forced_resolution_id", "proposed_by"],
            ["forced_resolution.id", "forced_resolution.proposed_by"],
            name="fk_forced_resolution_approval_forced_resolution",
        ),
        CheckConstraint("proposed_by <> approved_by", name="two_people"),
    )
