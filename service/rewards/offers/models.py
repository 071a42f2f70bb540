"""The tables of offers: terms that never change, changes two people decide, and what is taken."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Points, RecordedAt
from service.partners.models import Partner


class Offer(Base):
    """A benefit that a partner gives; what it promises is in its versions."""

    __tablename__ = "offer"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey(Partner.id))
    name: Mapped[str] = mapped_column(comment="a slug, the partner's own word for it")
    state: Mapped[str] = mapped_column(server_default="draft")
    active_version: Mapped[int | None] = mapped_column(comment="whose terms new quotes have")
    version: Mapped[int] = mapped_column(
        server_default=text("1"), comment="of this row; goes up with every change"
    )
    created_by_kind: Mapped[str]
    created_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("partner_id", "name"),
        CheckConstraint("state IN ('draft', 'active', 'paused', 'retired')", name="state_is_known"),
        CheckConstraint(
            "state IN ('draft', 'retired') OR active_version IS NOT NULL",
            name="active_has_version",
        ),
        CheckConstraint("created_by_kind IN ('partner', 'staff')", name="created_by_kind_is_known"),
    )


class OfferVersion(Base):
    """The terms of an offer, as they will always have been."""

    __tablename__ = "offer_version"

    offer_id: Mapped[UUID] = mapped_column(ForeignKey(Offer.id), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mode: Mapped[str] = mapped_column(comment="burn, lock, attest")
    points: Mapped[Points]
    subsidy_minor: Mapped[Points] = mapped_column(comment="fen that one redemption costs its payer")
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    terms_hash: Mapped[str] = mapped_column(comment="hex SHA-256 of the terms by RFC 8785")
    created_by_kind: Mapped[str]
    created_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("mode IN ('burn', 'lock', 'attest')", name="mode_is_known"),
        CheckConstraint("(points = 0) = (mode = 'attest')", name="points_match_mode"),
        CheckConstraint("points >= 0 AND subsidy_minor >= 0", name="not_negative"),
    )


class ChangeRequest(Base):
    """What somebody wants to have changed about an offer."""

    __tablename__ = "change_request"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    offer_id: Mapped[UUID] = mapped_column(ForeignKey(Offer.id))
    kind: Mapped[str]
    offer_version: Mapped[int | None] = mapped_column(comment="to be activated")
    expected_current: Mapped[dict[str, Any]] = mapped_column(JSONB)
    target: Mapped[dict[str, Any]] = mapped_column(JSONB)
    reason: Mapped[str]
    requested_by_kind: Mapped[str]
    requested_by: Mapped[UUID]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('activation', 'pause', 'retirement', 'limits')", name="kind_is_known"
        ),
        CheckConstraint(
            "requested_by_kind IN ('partner', 'staff')", name="requested_by_kind_is_known"
        ),
    )


class ChangeDecision(Base):
    """What a second person said to it."""

    __tablename__ = "change_decision"

    change_request_id: Mapped[UUID] = mapped_column(ForeignKey(ChangeRequest.id), primary_key=True)
    decision: Mapped[str]
    reason: Mapped[str]
    decided_by: Mapped[UUID] = mapped_column(comment="a member of staff")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("decision IN ('approved', 'rejected')", name="decision_is_known"),
    )


class OfferCounter(Base):
    """How much of an offer is taken; equals its redemptions that have not given it back."""

    __tablename__ = "offer_counter"

    offer_id: Mapped[UUID] = mapped_column(ForeignKey(Offer.id), primary_key=True)
    quota: Mapped[Points | None] = mapped_column(comment="redemptions; null: any number")
    taken: Mapped[Points] = mapped_column(server_default=text("0"))
    budget_minor: Mapped[Points | None] = mapped_column(comment="fen; null: any amount")
    budget_taken_minor: Mapped[Points] = mapped_column(server_default=text("0"))

    __table_args__ = (
        CheckConstraint("taken >= 0 AND taken <= quota", name="quota_kept"),
        CheckConstraint(
            "budget_taken_minor >= 0 AND budget_taken_minor <= budget_minor", name="budget_kept"
        ),
        {"postgresql_with": {"fillfactor": "10"}},
    )


class OfferUse(Base):
    """How often somebody has taken an offer in one period."""

    __tablename__ = "offer_use"

    offer_id: Mapped[UUID] = mapped_column(primary_key=True)
    holder_kind: Mapped[str] = mapped_column(primary_key=True, comment="citizen, person")
    holder: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    starts_on: Mapped[date] = mapped_column(primary_key=True, comment="the period's first day")
    taken: Mapped[int]
    most: Mapped[int] = mapped_column(comment="by the terms of who took it last")

    __table_args__ = (
        CheckConstraint("holder_kind IN ('citizen', 'person')", name="holder_kind_is_known"),
        CheckConstraint("taken >= 0 AND taken <= most", name="person_limit_kept"),
    )
