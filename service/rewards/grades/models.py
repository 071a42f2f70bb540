"""The tables of grades: rules and who approved them, and what humans were asked to look at."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, SmallInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, RecordedAt


class GradeRules(Base):
    """One version of what each grade takes, and where that was decided."""

    __tablename__ = "grade_rules"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    effective_from: Mapped[date] = mapped_column(comment="Asia/Shanghai; counts once approved")
    window_months: Mapped[int] = mapped_column(SmallInteger, comment="back from the day asked for")
    thresholds: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, comment="lowest grade first")
    source: Mapped[str] = mapped_column(comment="who decided it, where it stands")
    entered_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (CheckConstraint("window_months BETWEEN 1 AND 60", name="window_is_possible"),)


class GradeRulesApproval(Base):
    """A second person's yes to a version of the rules."""

    __tablename__ = "grade_rules_approval"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    approved_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        ForeignKeyConstraint(["name", "version"], ["grade_rules.name", "grade_rules.version"]),
    )


class GradeReview(Base):
    """A citizen asks a human to look at her grade; deleted when she leaves."""

    __tablename__ = "grade_review"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    rules_name: Mapped[str]
    rules_version: Mapped[int | None]
    grade: Mapped[str | None]
    assessment: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="as it was when she asked")
    words: Mapped[str]
    recorded_at: Mapped[RecordedAt]


class GradeReviewDecision(Base):
    """What the human decided, and why; deleted when she leaves."""

    __tablename__ = "grade_review_decision"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    review_id: Mapped[UUID] = mapped_column(primary_key=True)
    decision: Mapped[str]
    grade: Mapped[str | None]
    holds_until: Mapped[date | None] = mapped_column(comment="last day, Asia/Shanghai")
    reason: Mapped[str]
    decided_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("decision IN ('upheld', 'changed')", name="decision_is_known"),
        CheckConstraint(
            "(decision = 'changed') = (grade IS NOT NULL AND holds_until IS NOT NULL)",
            name="change_has_grade",
        ),
    )
