"""The table of carbon reports: which there are and until when they hold, never what they say."""

from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment, RecordedAt


class CarbonReport(Base):
    """A report that a citizen took with her; deleted when she leaves."""

    __tablename__ = "carbon_report"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    content_digest: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of the claims by RFC 8785"
    )
    expires_at: Mapped[Moment]
    withdrawn_at: Mapped[Moment | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        UniqueConstraint("id"),
        CheckConstraint("octet_length(content_digest) = 32", name="digest_is_sha256"),
    )
