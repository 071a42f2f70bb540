"""The tables of what partners are told: events in a row, endpoints, and what is sent to them."""

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt


class PartnerEvent(Base):
    """One change that a partner is told of; its place is given once, after the commit."""

    __tablename__ = "partner_event"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(comment="noun, full stop, past tense")
    object: Mapped[str] = mapped_column(comment="the noun")
    object_id: Mapped[str] = mapped_column(comment="the object's public id")
    state: Mapped[str] = mapped_column(comment="of the object, from this change on")
    object_version: Mapped[int] = mapped_column(comment="grows by one with each of its changes")
    occurred_at: Mapped[RecordedAt]
    seq: Mapped[int | None] = mapped_column(
        BigInteger, comment="its place among the partner's events; none is left out"
    )

    __table_args__ = (
        UniqueConstraint("partner_id", "seq", name="uq_partner_event_partner_id_seq"),
        Index("ix_partner_event_waiting", "partner_id", postgresql_where=text("seq IS NULL")),
    )


class EventSequencer(Base):
    """The one lock under which a partner's events get their places, and the last place given."""

    __tablename__ = "event_sequencer"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")


class WebhookEndpoint(Base):
    """An address of a partner's to which its events are sent, and what they are signed with."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner.id"), index=True)
    url: Mapped[str]
    description: Mapped[str | None]
    event_types: Mapped[list[str] | None] = mapped_column(ARRAY(Text), comment="none: all")
    signatures: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="v1: HMAC, v1a: Ed25519")
    secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    signing_key_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_signing_key_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealing_key_version: Mapped[int] = mapped_column(
        SmallInteger, comment="of the data key that all four are sealed with"
    )
    former_until: Mapped[Moment | None] = mapped_column(
        comment="the former ones sign beside the present ones up to then"
    )
    state: Mapped[str] = mapped_column(server_default="active")
    state_reason: Mapped[str | None] = mapped_column(comment="disabled: gone or failing")
    failing_since: Mapped[Moment | None] = mapped_column(comment="nothing has arrived since")
    paused_until: Mapped[Moment | None] = mapped_column(comment="the receiver asked for rest")
    after_seq: Mapped[int] = mapped_column(BigInteger, comment="deliveries are made up to here")
    version: Mapped[int] = mapped_column(server_default="1")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("state IN ('active', 'disabled', 'removed')", name="state_is_known"),
    )


class WebhookDelivery(Base):
    """One event on its way to one endpoint."""

    __tablename__ = "webhook_delivery"

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    partner_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_attempt_at: Mapped[RecordedAt] = mapped_column(
        comment="due from then on; while it is being sent, the end of the lease"
    )
    last_status: Mapped[int | None] = mapped_column(SmallInteger)
    last_error: Mapped[str | None]
    ended_at: Mapped[Moment | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state_is_known"),
        Index(
            "ix_webhook_delivery_due",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_webhook_delivery_partner_id", "partner_id", "state", "seq", "endpoint_id"),
        Index("uq_webhook_delivery_id", "id", unique=True),
    )
