"""The tables of corrections: what was restated or taken back, why, and who decided it."""

from uuid import UUID

from sqlalchemy import CheckConstraint, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Grams, Points, RecordedAt


class Correction(Base):
    """A source restated one of its records, or said that the act never was."""

    __tablename__ = "correction"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    first_id: Mapped[UUID] = mapped_column(primary_key=True, comment="the record's revision 0")
    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="derived from what is corrected and what takes its place"
    )
    source_id: Mapped[UUID]
    corrected_id: Mapped[UUID] = mapped_column(comment="the revision that no longer counts")
    activity_id: Mapped[UUID | None] = mapped_column(comment="the new one; null: there never was")
    revision: Mapped[int] = mapped_column(SmallInteger, comment="the record's newest, from now on")
    invalidated_points: Mapped[Points] = mapped_column(comment="of the corrected one's issue")
    invalidated_g: Mapped[Grams]
    owed_points: Mapped[Points] = mapped_column(comment="by so much she owed more afterwards")
    owed_g: Mapped[Grams]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "least(invalidated_points, invalidated_g, owed_points, owed_g) >= 0",
            name="nothing_negative",
        ),
    )


class CorrectionReason(Base):
    """Why a source corrected: its own words, which an erasure takes away."""

    __tablename__ = "correction_reason"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    correction_id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str]


class InvalidationProposal(Base):
    """Staff found an activity false and say why; an erasure takes the words away."""

    __tablename__ = "invalidation_proposal"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str]
    proposed_by: Mapped[str]
    recorded_at: Mapped[RecordedAt]


class Invalidation(Base):
    """Two people decided that an activity is false."""

    __tablename__ = "invalidation"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    activity_id: Mapped[UUID] = mapped_column(primary_key=True)
    proposed_by: Mapped[str]
    approved_by: Mapped[str]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (CheckConstraint("proposed_by <> approved_by", name="two_people"),)
