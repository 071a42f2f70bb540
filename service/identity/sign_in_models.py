"""The tables behind signing in: one-time codes, rotating refresh tokens, staff."""

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt
from service.partners.models import Partner


class OneTimeCode(Base):
    """A code sent to a number: good for five minutes, five tries and one use."""

    __tablename__ = "one_time_code"

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="the request the code is bound to")
    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    phone_sealed: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="only until the code is used"
    )
    sealed_key_version: Mapped[int] = mapped_column(SmallInteger)
    code_digest: Mapped[bytes] = mapped_column(LargeBinary, comment="HMAC-SHA-256")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    sent_at: Mapped[Moment] = mapped_column(index=True)
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("tries BETWEEN 0 AND 5", name="tries_are_few"),
        CheckConstraint(
            "used_at IS NULL OR phone_sealed IS NULL", name="used_codes_know_no_number"
        ),
        Index("ix_one_time_code_phone_index", "phone_index", "sent_at"),
    )


class RefreshFamily(Base):
    """One sign-in and every refresh token that descends from it."""

    __tablename__ = "refresh_family"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, unique=True, comment="sid of the access tokens"
    )
    device_digest: Mapped[bytes] = mapped_column(LargeBinary)
    signed_in_at: Mapped[Moment] = mapped_column(comment="when a one-time code last proved her")
    expires_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]
    revoked_because: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint(
            "(revoked_at IS NULL) = (revoked_because IS NULL)", name="revoked_has_a_reason"
        ),
    )


class RefreshToken(Base):
    """One refresh token of a family, good for one use."""

    __tablename__ = "refresh_token"

    token_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="SHA-256")
    citizen_id: Mapped[UUID]
    family_id: Mapped[UUID]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["citizen_id", "family_id"],
            ["refresh_family.citizen_id", "refresh_family.id"],
            ondelete="CASCADE",
        ),
        Index("ix_refresh_token_citizen_id", "citizen_id", "family_id"),
    )


class Staff(Base):
    """A person who works for the scheme, in exactly one role."""

    __tablename__ = "staff"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(Text)
    partner_id: Mapped[UUID | None] = mapped_column(
        ForeignKey(Partner.id), comment="the verification body a verifier works for"
    )
    password_hash: Mapped[str] = mapped_column(Text, comment="Argon2id")
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_key_version: Mapped[int | None] = mapped_column(SmallInteger)
    totp_last_step: Mapped[int] = mapped_column(
        BigInteger, server_default="0", comment="a second factor is good for one use"
    )
    failed_logins: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    locked_until: Mapped[Moment | None]
    state: Mapped[str] = mapped_column(Text, server_default="active")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("role IN ('operator', 'verifier', 'auditor')", name="role_is_known"),
        CheckConstraint("state IN ('active', 'suspended')", name="state_is_known"),
        CheckConstraint(
            "(totp_sealed IS NULL) = (totp_key_version IS NULL)", name="second_factor_is_whole"
        ),
    )
