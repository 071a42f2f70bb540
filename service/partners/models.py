"""The partners' tables: organisations, what was decided about them, assertions already used."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt


class Partner(Base):
    """An organisation with one or several roles towards the scheme."""

    __tablename__ = "partner"

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="also its OAuth client id")
    name: Mapped[str] = mapped_column(Text, comment="a slug; citizens name their source by it")
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    region: Mapped[str | None] = mapped_column(Text, comment="GB/T 2260 code of its activities")
    link_proof: Mapped[str] = mapped_column(
        Text, server_default="none", comment="source: it confirms each link before it counts"
    )
    settlement_delay_days: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    evidence_tier: Mapped[str] = mapped_column(Text, server_default="signed")
    state: Mapped[str] = mapped_column(Text, server_default="active")
    jwks: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="public keys only")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("name ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="name_is_a_slug"),
        CheckConstraint(
            "cardinality(roles) > 0 AND roles <@"
            " ARRAY['source', 'bank', 'insurer', 'merchant', 'verifier', 'buyer']",
            name="roles_are_known",
        ),
        CheckConstraint("region ~ '^[0-9]{6}$'", name="region_is_gbt_2260"),
        CheckConstraint("link_proof IN ('none', 'source')", name="link_proof_is_known"),
        CheckConstraint("settlement_delay_days BETWEEN 0 AND 90", name="settlement_delay_is_sane"),
        CheckConstraint("evidence_tier = 'signed'", name="evidence_tier_is_known"),
        CheckConstraint("state IN ('active', 'suspended')", name="state_is_known"),
    )


class PartnerChange(Base):
    """What was decided about a partner, and why; never rewritten."""

    __tablename__ = "partner_change"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"))
    kind: Mapped[str] = mapped_column(
        Text, comment="added, suspended, resumed, keys_rotated, profile_changed"
    )
    reason: Mapped[str] = mapped_column(Text)
    key_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="the keys from then on")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('added', 'suspended', 'resumed', 'keys_rotated', 'profile_changed')",
            name="kind_is_known",
        ),
    )


class PartnerProfile(Base):
    """How a partner is spoken with; without a row, by the defaults."""

    __tablename__ = "partner_profile"

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"), primary_key=True)
    reach: Mapped[str] = mapped_column(
        Text, server_default="public", comment="loopback: it runs beside the service"
    )
    signatures: Mapped[str] = mapped_column(
        Text, server_default="optional", comment="required: it signs each message that changes"
    )
    scopes: Mapped[list[str] | None] = mapped_column(
        ARRAY(Text), comment="the most it can get; null: whatever its roles bring"
    )
    status_url: Mapped[str | None] = mapped_column(
        Text, comment="where we ask it what became of a redemption"
    )
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("reach IN ('public', 'loopback')", name="reach_is_known"),
        CheckConstraint("signatures IN ('optional', 'required')", name="signatures_is_known"),
    )


class ClientAssertion(Base):
    """A client assertion or message signature that was used once and is not accepted again."""

    __tablename__ = "client_assertion"

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"), primary_key=True)
    jti_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="SHA-256")
    expires_at: Mapped[Moment] = mapped_column(index=True, comment="may be pruned after this")
