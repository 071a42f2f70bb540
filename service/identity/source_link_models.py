"""The tables of consent: which source's account is whose, and since when.

`source_link` is the one hot table that is not led by the citizen: a feed names accounts, and asks
whose they are. (With Citus it is not cut by citizen, but stays on the coordinator.)
"""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Moment
from service.partners.models import Partner


class SourceLink(Base):
    """A citizen's consent that what a source reports of an account is hers."""

    __tablename__ = "source_link"

    source_id: Mapped[UUID] = mapped_column(ForeignKey(Partner.id), primary_key=True)
    account_digest: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, comment="HMAC-SHA-256 of source and account_ref"
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    citizen_id: Mapped[UUID] = mapped_column(ForeignKey("citizen.citizen_id"), index=True)
    account_key_version: Mapped[int] = mapped_column(SmallInteger)
    account_masked: Mapped[str] = mapped_column(Text, comment="what the citizen is shown")
    account_sealed: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="only while the source has to confirm it"
    )
    sealed_key_version: Mapped[int | None] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(Text, comment="awaiting_confirmation, active, ended")
    holder_state: Mapped[str] = mapped_column(
        Text, server_default="active", comment="copy of citizen.state: saves the hot path a join"
    )
    simulated: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="copy of citizen.simulated"
    )
    consent_purpose: Mapped[str] = mapped_column(Text)
    consent_version: Mapped[int] = mapped_column(SmallInteger)
    consent_digest: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the words shown")
    requested_at: Mapped[Moment]
    linked_at: Mapped[Moment | None] = mapped_column(comment="since when it counts")
    covers_from: Mapped[Moment | None] = mapped_column(
        comment="acts before this belonged to another link of the account"
    )
    ended_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("octet_length(account_digest) = 32", name="digest_is_full_length"),
        CheckConstraint(
            "holder_state IN ('active', 'frozen', 'erased')", name="holder_state_is_known"
        ),
        CheckConstraint(
            "CASE state"
            " WHEN 'awaiting_confirmation' THEN linked_at IS NULL AND ended_at IS NULL"
            " WHEN 'active' THEN linked_at IS NOT NULL AND ended_at IS NULL"
            " WHEN 'ended' THEN ended_at IS NOT NULL"
            " ELSE false END",
            name="state_says_its_times",
        ),
        CheckConstraint(
            "(account_sealed IS NOT NULL) = (state = 'awaiting_confirmation')"
            " AND (account_sealed IS NULL) = (sealed_key_version IS NULL)",
            name="account_readable_only_while_awaiting",
        ),
        Index(
            "uq_source_link_active",
            "source_id",
            "account_digest",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
        Index(
            "uq_source_link_claim",
            "source_id",
            "account_digest",
            "citizen_id",
            unique=True,
            postgresql_where=text("state = 'awaiting_confirmation'"),
        ),
        Index(
            "ix_source_link_awaiting",
            "source_id",
            "requested_at",
            postgresql_where=text("state = 'awaiting_confirmation'"),
        ),
    )


class ReleasedAccount(Base):
    """Until when an account was somebody's who has left; so no act of hers counts twice."""

    __tablename__ = "released_account"

    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_trace: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, comment="SHA-256 of the account digest, which is deleted"
    )
    released_at: Mapped[Moment]
