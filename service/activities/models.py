"""The tables of activities: what was recorded, what was decided, what waits."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Grams, Moment, Points, RecordedAt


class SchemeRules(Base):
    """The scheme's own rules, one version after another, each decided by two people."""

    __tablename__ = "scheme_rules"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    in_force_from: Mapped[date] = mapped_column(comment="first day of acts it applies to")
    points_per_g: Mapped[str] = mapped_column(comment="decimal text")
    expiry_years: Mapped[int] = mapped_column(comment="after the act, to the end of its quarter")
    lateness_days: Mapped[int]
    clock_tolerance_s: Mapped[int] = mapped_column(comment="how far ahead a source's clock may be")
    self_recorded_delay_days: Mapped[int]
    source: Mapped[str]
    proposed_by: Mapped[str]
    approved_by: Mapped[str]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "points_per_g ~ '^[0-9]{1,6}(\\.[0-9]{1,12})?$'", name="points_per_g_is_decimal"
        ),
        CheckConstraint("expiry_years BETWEEN 1 AND 9", name="expiry_within_ten_years"),
        CheckConstraint(
            "lateness_days BETWEEN 0 AND 366 AND self_recorded_delay_days BETWEEN 0 AND 366"
            " AND clock_tolerance_s BETWEEN 0 AND 3600",
            name="days_make_sense",
        ),
        CheckConstraint("proposed_by <> approved_by", name="two_people"),
    )


class EnteredFactor(Base):
    """A factor that an authority enters because no published source gives it."""

    __tablename__ = "entered_factor"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str]
    region: Mapped[str]
    value: Mapped[str] = mapped_column(comment="decimal text")
    unit: Mapped[str]
    in_force_from: Mapped[date]
    source: Mapped[str]
    grade: Mapped[str]
    proposed_by: Mapped[str]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("id", "proposed_by"),
        CheckConstraint("length(source) >= 10", name="source_is_named"),
    )


class FactorApproval(Base):
    """A second person's approval of an entered factor, with the impact report she saw."""

    __tablename__ = "factor_approval"

    entered_factor_id: Mapped[UUID] = mapped_column(primary_key=True)
    proposed_by: Mapped[str]
    approved_by: Mapped[str]
    impact: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        ForeignKeyConstraint(
            ["entered_factor_id", "proposed_by"],
            ["entered_factor.id", "entered_factor.proposed_by"],
        ),
        CheckConstraint("proposed_by <> approved_by", name="two_people"),
    )


class QuantificationBasis(Base):
    """Methodology version, region and factor versions with which grams were computed."""

    __tablename__ = "quantification_basis"

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="from the digest of its content")
    basis: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[RecordedAt]


class ActivityBatch(Base):
    """A part of one feed and what became of its lines, also of those that were not stored."""

    __tablename__ = "activity_batch"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(
        SmallInteger, primary_key=True, comment="each part is a transaction of its own"
    )
    source_id: Mapped[UUID | None]
    received: Mapped[int]
    verdicts: Mapped[dict[str, int]] = mapped_column(JSON, comment="verdict or code to lines")
    reduction_g: Mapped[Grams]
    points: Mapped[Points]
    simulated: Mapped[bool]
    recorded_at: Mapped[RecordedAt]


class Activity(Base):
    """One act, recorded once, with its first verdict; nothing in it is ever changed."""

    __tablename__ = "activity"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="derived from citizen, source, external id and revision"
    )
    source_id: Mapped[UUID | None] = mapped_column(comment="null: recorded by the citizen")
    batch_id: Mapped[UUID | None]
    external_id: Mapped[str]
    revision: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    behavior: Mapped[str]
    tier: Mapped[str] = mapped_column(comment="signed or self_recorded: who vouches")
    basis_id: Mapped[UUID | None]
    rules_version: Mapped[int]
    evidence_digest: Mapped[bytes] = mapped_column(LargeBinary)
    verdict: Mapped[str] = mapped_column(comment="the first; later ones are in verdict")
    code: Mapped[str | None]
    params: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    reduction_g: Mapped[Grams]
    points: Mapped[Points]
    simulated: Mapped[bool]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        Index(
            "ix_activity_id",
            "id",
            postgresql_using="brin",
            postgresql_ops={
                "id": "uuid_bloom_ops (n_distinct_per_range = 2500, false_positive_rate = 0.003)"
            },
            postgresql_with={"pages_per_range": 64, "autosummarize": "on"},
        ),
        CheckConstraint("verdict IN ('certified', 'pending', 'refused')", name="verdict_is_known"),
        CheckConstraint("verdict <> 'refused' OR code IS NOT NULL", name="a_refusal_has_a_reason"),
        CheckConstraint(
            "(verdict = 'refused' AND reduction_g = 0 AND points = 0)"
            " OR (verdict <> 'refused' AND reduction_g > 0 AND points >= 0"
            " AND basis_id IS NOT NULL)",
            name="only_what_counts_has_grams",
        ),
    )


class ActivityDetail(Base):
    """When, where and how much: what recomputation needs and an erasure takes away."""

    __tablename__ = "activity_detail"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    started_at: Mapped[Moment] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    ended_at: Mapped[Moment]
    behavior: Mapped[str]
    counted: Mapped[bool] = mapped_column(comment="its first verdict was certified or pending")
    is_trip: Mapped[bool]
    account_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    activity_data: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        CheckConstraint("ended_at >= started_at OR NOT counted", name="ends_after_start"),
    )


class Verdict(Base):
    """A later decision about an activity; the one with the largest number holds."""

    __tablename__ = "verdict"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    verdict: Mapped[str]
    code: Mapped[str | None]
    params: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    cause_id: Mapped[UUID | None] = mapped_column(comment="the batch, appeal or activity behind it")
    reduction_g: Mapped[Grams | None] = mapped_column(
        comment="of an upheld appeal: what a refused activity gives after all"
    )
    points: Mapped[Points | None]
    basis_id: Mapped[UUID | None] = mapped_column(comment="with which these grams are recomputed")
    rules_version: Mapped[int | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "verdict IN ('certified', 'pending', 'refused', 'withdrawn', 'superseded', 'erased',"
            " 'corrected', 'invalidated')",
            name="verdict_is_known",
        ),
        CheckConstraint(
            "num_nonnulls(reduction_g, points, basis_id, rules_version) = 0"
            " OR (num_nulls(reduction_g, points, basis_id, rules_version) = 0"
            " AND verdict = 'certified' AND reduction_g > 0 AND points >= 0)",
            name="grams_come_whole",
        ),
    )


class PendingActivity(Base):
    """A work table: what waits for certification, and what it would give."""

    __tablename__ = "pending_activity"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID | None]
    methodology_code: Mapped[str]
    happened_on: Mapped[date]
    due_on: Mapped[date] = mapped_column(comment="the day from which its batch may close")
    expires_on: Mapped[date]
    reduction_g: Mapped[Grams]
    points: Mapped[Points]
    batch_id: Mapped[UUID | None] = mapped_column(comment="the closed batch that holds it")

    __table_args__ = (
        Index("ix_pending_activity_due_on", "due_on", postgresql_where="batch_id IS NULL"),
        Index(
            "ix_pending_activity_batch_id",
            "batch_id",
            "citizen_id",
            "activity_id",
            postgresql_where="batch_id IS NOT NULL",
        ),
    )


class OnceClaim(Base):
    """A work table: a bill, document or order that counts once, whoever reports it."""

    __tablename__ = "once_claim"

    key_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    citizen_id: Mapped[UUID]
    activity_id: Mapped[UUID]

    __table_args__ = (Index("ix_once_claim_citizen_id_activity_id", "citizen_id", "activity_id"),)


class CertificationBatch(Base):
    """A day's pending activities of one source and methodology, frozen for a verifier."""

    __tablename__ = "certification_batch"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID | None]
    methodology_code: Mapped[str]
    happened_on: Mapped[date]
    activities: Mapped[int]
    reduction_g: Mapped[Grams]
    points: Mapped[Points]
    digest: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 over its activities")
    closed_at: Mapped[RecordedAt]

    __table_args__ = (CheckConstraint("activities > 0", name="not_empty"),)


class CertificationBatchItem(Base):
    """An activity's membership in a batch; in a second one if a freeze kept it from the first."""

    __tablename__ = "certification_batch_item"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(primary_key=True)

    __table_args__ = (Index("ix_certification_batch_item_batch_id", "batch_id", "citizen_id"),)


class CertificationDecision(Base):
    """A verifier's word on a batch, once."""

    __tablename__ = "certification_decision"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("certification_batch.id"), primary_key=True)
    decision: Mapped[str]
    statement: Mapped[str]
    verifier_id: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("decision IN ('approved', 'rejected')", name="decision_is_known"),
    )


class CertificationOutcome(Base):
    """What the decision brought about: how many were issued, and why others were not."""

    __tablename__ = "certification_outcome"

    batch_id: Mapped[UUID] = mapped_column(
        ForeignKey("certification_decision.batch_id"), primary_key=True
    )
    approved: Mapped[int]
    issued: Mapped[int]
    reduction_g: Mapped[Grams]
    points: Mapped[Points]
    skipped: Mapped[dict[str, int]] = mapped_column(JSON, comment="reason to activities")
    recorded_at: Mapped[RecordedAt]


class Appeal(Base):
    """A citizen asks a human to look again."""

    __tablename__ = "appeal"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID]
    statement: Mapped[str]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("citizen_id", "activity_id"),
        Index("ix_appeal_id", "id"),
    )


class AppealDecision(Base):
    """What the human decided, and why."""

    __tablename__ = "appeal_decision"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    appeal_id: Mapped[UUID] = mapped_column(primary_key=True)
    decision: Mapped[str]
    statement: Mapped[str]
    decided_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        # An erasure deletes table after table, in any order.
        ForeignKeyConstraint(
            ["citizen_id", "appeal_id"], ["appeal.citizen_id", "appeal.id"], ondelete="CASCADE"
        ),
        CheckConstraint("decision IN ('upheld', 'dismissed')", name="decision_is_known"),
        CheckConstraint("decided_by <> citizen_id", name="nobody_decides_her_own"),
    )
