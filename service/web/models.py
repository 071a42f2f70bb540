"""The edge's one table: first answers to requests that may be sent again."""

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, RecordedAt


class IdempotencyKey(Base):
    """The first answer to one request of one caller, written with the request's effect."""

    __tablename__ = "idempotency_key"

    principal_id: Mapped[UUID] = mapped_column(primary_key=True, comment="citizen, partner, staff")
    operation: Mapped[str] = mapped_column(primary_key=True, comment="method and route")
    key: Mapped[str] = mapped_column(primary_key=True, comment="chosen by the caller")
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of path and body")
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[str] = mapped_column(comment="JSON, as it was sent")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("octet_length(fingerprint) = 32", name="fingerprint_is_sha256"),
        CheckConstraint("status BETWEEN 200 AND 499", name="answer_is_no_fault"),
        Index(None, "recorded_at"),
    )
