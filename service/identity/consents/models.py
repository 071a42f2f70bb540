"""The tables of consents to partners, of their use, and of who is the same natural person."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt
from service.partners.models import Partner


class Consent(Base):
    """What a citizen lets one partner know, what for, and until when."""

    __tablename__ = "consent"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), index=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey(Partner.id))
    subject: Mapped[str] = mapped_column(Text, comment="the citizen, to this partner only")
    recipient_name: Mapped[str] = mapped_column(Text, server_default="", comment="as shown")
    recipient_contact: Mapped[str] = mapped_column(Text, server_default="", comment="as shown")
    purpose: Mapped[str] = mapped_column(Text)
    text_version: Mapped[int] = mapped_column(SmallInteger)
    text_digest: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the words shown")
    data_clusters: Mapped[list[str]] = mapped_column(ARRAY(Text))
    valid_from: Mapped[Moment]
    valid_to: Mapped[Moment]
    max_uses: Mapped[int | None]
    uses: Mapped[int] = mapped_column(server_default="0")
    periodic_limits: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    renews: Mapped[UUID | None] = mapped_column(ForeignKey("consent.id"))
    state: Mapped[str] = mapped_column(Text, server_default="authorised")
    status_reason: Mapped[str | None] = mapped_column(Text, comment="goes when the citizen leaves")
    version: Mapped[int] = mapped_column(server_default="1", comment="grows with each change")
    acknowledged_at: Mapped[Moment | None] = mapped_column(comment="the other side knows it ended")
    expiry_told_at: Mapped[Moment | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "state IN ('authorised', 'revoked', 'expired', 'renewed')", name="state_is_known"
        ),
        CheckConstraint(
            "purpose IN ('benefit', 'report', 'identity_verification')", name="purpose_is_known"
        ),
        CheckConstraint("valid_from < valid_to", name="lasts"),
        CheckConstraint("uses >= 0 AND uses <= max_uses", name="uses_within_limit"),
        CheckConstraint("octet_length(text_digest) = 32", name="digest_is_sha256"),
        Index(
            "uq_consent_authorised",
            "citizen_id",
            "partner_id",
            "purpose",
            unique=True,
            postgresql_where=text("state = 'authorised'"),
        ),
        Index("ix_consent_partner_id_subject", "partner_id", "subject"),
        Index("ix_consent_valid_to", "valid_to", postgresql_where=text("state = 'authorised'")),
    )


class ConsentRecipient(Base):
    """What citizens are told of an organisation before they consent; without a row, its slug."""

    __tablename__ = "consent_recipient"

    partner_id: Mapped[UUID] = mapped_column(ForeignKey(Partner.id), primary_key=True)
    name: Mapped[str] = mapped_column(Text, comment="as it is registered")
    contact: Mapped[str] = mapped_column(Text, comment="of whoever answers for personal data")
    recorded_at: Mapped[RecordedAt]


class ConsentChange(Base):
    """One change of a consent: which, by whom; never rewritten, and without anybody's words."""

    __tablename__ = "consent_change"

    consent_id: Mapped[UUID] = mapped_column(ForeignKey("consent.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(Text, comment="the service's own, never free words")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('authorised', 'revoked', 'acknowledged', 'expiring', 'expired', 'renewed')",
            name="kind_is_known",
        ),
        CheckConstraint(
            "actor_kind IN ('citizen', 'partner', 'service')", name="actor_kind_is_known"
        ),
    )


class ConsentUse(Base):
    """How often a consent was used in one of its periods."""

    __tablename__ = "consent_use"

    consent_id: Mapped[UUID] = mapped_column(ForeignKey("consent.id"), primary_key=True)
    period: Mapped[str] = mapped_column(Text, primary_key=True)
    starts_at: Mapped[Moment] = mapped_column(primary_key=True)
    uses: Mapped[int]
    most: Mapped[int]

    __table_args__ = (CheckConstraint("uses >= 0 AND uses <= most", name="within_limit"),)


class ConsentAccess(Base):
    """A partner did something about a citizen; hers to read, and deleted when she leaves."""

    __tablename__ = "consent_access"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    consent_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    operation: Mapped[str] = mapped_column(Text)
    about: Mapped[str | None] = mapped_column(Text, comment="public id of what it was about")
    is_use: Mapped[bool] = mapped_column(comment="it counts against the limits")
    recorded_at: Mapped[RecordedAt]


class PersonLink(Base):
    """Which verified natural person a citizen is, by a keyed digest; deleted when she leaves."""

    __tablename__ = "person_link"

    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), primary_key=True)
    person_id: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    key_version: Mapped[int] = mapped_column(SmallInteger)
    verifier_id: Mapped[UUID] = mapped_column(ForeignKey(Partner.id))
    consent_id: Mapped[UUID] = mapped_column(ForeignKey("consent.id"))
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (CheckConstraint("octet_length(person_id) = 32", name="digest_is_sha256"),)
