"""Citizens' tables: who she is, what was decided about her, and that she left."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt
from service.identity.sign_in_models import OneTimeCode, RefreshFamily, RefreshToken, Staff
from service.identity.source_link_models import ReleasedAccount, SourceLink

__all__ = [
    "SECRET_BYTES",
    "Citizen",
    "CitizenAction",
    "CitizenDevice",
    "CitizenIdentity",
    "CitizenSecret",
    "Erasure",
    "ErasureCompletion",
    "OneTimeCode",
    "RefreshFamily",
    "RefreshToken",
    "ReleasedAccount",
    "SourceLink",
    "Staff",
]


SECRET_BYTES = 32
"""Of the random secret that salts what is published about a citizen."""


class Citizen(Base):
    """A person with an account; the row stays when she leaves, and says nothing of her then."""

    __tablename__ = "citizen"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(Text, server_default="active")
    simulated: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="made for an old file or a demonstration"
    )
    last_seen_at: Mapped[Moment] = mapped_column(comment="last sign-in or refresh")
    spending_held_until: Mapped[Moment | None] = mapped_column(
        comment="72 h after a change of number or device"
    )
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("state IN ('active', 'frozen', 'erased')", name="state_is_known"),
    )


class CitizenIdentity(Base):
    """Her phone number: found by a keyed index, read only with her own key."""

    __tablename__ = "citizen_identity"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    phone_index: Mapped[bytes | None] = mapped_column(
        LargeBinary, unique=True, comment="HMAC-SHA-256 of the number she holds"
    )
    former_phone_index: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="of the number somebody else has now; for staff who restore her"
    )
    phone_index_version: Mapped[int] = mapped_column(SmallInteger)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary, comment="AES-256-GCM")
    phone_version: Mapped[int] = mapped_column(server_default="1", comment="part of what is sealed")
    data_key_wrapped: Mapped[bytes] = mapped_column(LargeBinary, comment="her own key")
    data_key_version: Mapped[int] = mapped_column(SmallInteger, comment="of the wrapping key")

    __table_args__ = (
        CheckConstraint(
            "(phone_index IS NULL) = (phone_sealed IS NULL)"
            " AND (phone_index IS NOT NULL OR former_phone_index IS NOT NULL)",
            name="number_is_whole",
        ),
        CheckConstraint(
            "octet_length(phone_index) = 32 AND octet_length(former_phone_index) = 32",
            name="index_is_full_length",
        ),
        Index(
            "ix_citizen_identity_former_phone_index",
            "former_phone_index",
            postgresql_where=text("former_phone_index IS NOT NULL"),
        ),
    )


class CitizenSecret(Base):
    """256 random bits that salt what is published about her; gone when she leaves."""

    __tablename__ = "citizen_secret"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (CheckConstraint("octet_length(secret) = 32", name="is_256_bits"),)


class CitizenDevice(Base):
    """A device she is known to sign in from."""

    __tablename__ = "citizen_device"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    device_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    recorded_at: Mapped[RecordedAt]


class CitizenAction(Base):
    """What was done to an account, by whom and why; never rewritten, names nobody."""

    __tablename__ = "citizen_action"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    reason: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('frozen', 'released', 'phone_changed', 'number_unbound', 'restored',"
            " 'device_added')",
            name="kind_is_known",
        ),
        CheckConstraint(
            "actor_kind IN ('citizen', 'staff', 'command_line')", name="actor_kind_is_known"
        ),
    )


class Erasure(Base):
    """A citizen left; what the books say of her from now on has no name."""

    __tablename__ = "erasure"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    requested_by: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "requested_by IN ('citizen', 'staff', 'command_line')", name="requested_by_is_known"
        ),
    )


class ErasureCompletion(Base):
    """Everything personal of hers has been deleted."""

    __tablename__ = "erasure_completion"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("erasure.citizen_id"), primary_key=True)
    recorded_at: Mapped[RecordedAt]
