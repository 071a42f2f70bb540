"""The ledger's tables: an account to lock, lots to spend from, postings and transfers for ever."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from service.db import Base, Grams, Moment, Points, RecordedAt


class Xid8(UserDefinedType[Any]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name in SQL."""
        return "xid8"


class Account(Base):
    """A citizen's place in the ledger; its row is the one lock under which her points move."""

    __tablename__ = "account"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[Points] = mapped_column(
        server_default="0", comment="times the account was locked to write"
    )
    secret: Mapped[bytes | None] = mapped_column(
        LargeBinary,
        server_default=text("sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))"),
        comment="opens the log's commitments to her transfers; blotted out when she is erased",
    )
    moved_at: Mapped[Moment] = mapped_column(
        server_default=func.clock_timestamp(),
        comment="grows with each lock: the order of her transfers",
    )
    owed_points: Mapped[Points] = mapped_column(
        server_default="0", comment="of a claw-back not yet recovered"
    )
    owed_g: Mapped[Grams] = mapped_column(server_default="0")

    __table_args__ = (
        CheckConstraint("owed_points >= 0 AND owed_g >= 0", name="owed_is_not_negative"),
    )


class Lot(Base):
    """One citizen's points that expire on one date, and the grams behind them."""

    __tablename__ = "lot"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    expires_on: Mapped[date] = mapped_column(
        primary_key=True, comment="the last day, Asia/Shanghai, on which the points can be spent"
    )
    issued_points: Mapped[Points] = mapped_column(server_default="0")
    issued_g: Mapped[Grams] = mapped_column(server_default="0")
    available_points: Mapped[Points] = mapped_column(server_default="0")
    available_g: Mapped[Grams] = mapped_column(server_default="0")
    held_points: Mapped[Points] = mapped_column(server_default="0")
    held_g: Mapped[Grams] = mapped_column(server_default="0")
    expired_points: Mapped[Points] = mapped_column(server_default="0")
    expired_g: Mapped[Grams] = mapped_column(server_default="0")
    retired_points: Mapped[Points] = mapped_column(server_default="0")
    retired_g: Mapped[Grams] = mapped_column(server_default="0")
    carried_in_points: Mapped[Points] = mapped_column(server_default="0")
    carried_in_g: Mapped[Grams] = mapped_column(server_default="0")
    redeemed_points: Mapped[Points] = mapped_column(server_default="0")
    redeemed_g: Mapped[Grams] = mapped_column(server_default="0")
    pooled_points: Mapped[Points] = mapped_column(server_default="0")
    pooled_g: Mapped[Grams] = mapped_column(server_default="0")
    invalidated_points: Mapped[Points] = mapped_column(server_default="0")
    invalidated_g: Mapped[Grams] = mapped_column(server_default="0")
    carried_out_points: Mapped[Points] = mapped_column(server_default="0")
    carried_out_g: Mapped[Grams] = mapped_column(server_default="0")

    __table_args__ = (
        CheckConstraint(
            "issued_points + carried_in_points"
            " = available_points + held_points + redeemed_points + pooled_points"
            " + expired_points + invalidated_points + retired_points + carried_out_points",
            name="points_have_one_fate",
        ),
        CheckConstraint(
            "issued_g + carried_in_g"
            " = available_g + held_g + redeemed_g + pooled_g"
            " + expired_g + invalidated_g + retired_g + carried_out_g",
            name="grams_have_one_fate",
        ),
        CheckConstraint(
            "least(issued_points, carried_in_points, available_points, held_points,"
            " redeemed_points, pooled_points, expired_points, invalidated_points,"
            " retired_points, carried_out_points, issued_g, carried_in_g, available_g, held_g,"
            " redeemed_g, pooled_g, expired_g, invalidated_g, retired_g, carried_out_g) >= 0",
            name="nothing_negative",
        ),
    )


class Posting(Base):
    """What a caller asked the ledger to do, once, under an id of its choice.

    Its transfers are its lot lines. A refused one has a refusal in their place, for ever.
    """

    __tablename__ = "posting"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="chosen by the caller: its idempotency key for ever"
    )
    kind: Mapped[str]
    points: Mapped[Points | None] = mapped_column(comment="asked for; null: all there are")
    reduction_g: Mapped[Grams | None] = mapped_column(comment="asked for")
    hold_id: Mapped[UUID | None] = mapped_column(comment="the hold that is gone on with")
    of_id: Mapped[UUID | None] = mapped_column(
        comment="the capture, or the issue, that is undone or gone on with"
    )
    party: Mapped[UUID | None] = mapped_column(comment="who honours the points, or whose pool")
    expires_on: Mapped[date | None] = mapped_column(comment="of an extension: the lot")
    carry_to: Mapped[date | None] = mapped_column(comment="the lot that lapsed points move to")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('hold', 'release', 'capture', 'restore', 'pool', 'retire', 'donate',"
            " 'extend', 'invalidate')",
            name="kind_is_known",
        ),
    )


class Refusal(Base):
    """Why a posting was refused; what is refused once stays refused."""

    __tablename__ = "refusal"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    posting_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(JSON, comment="what makes its sentence again")
    recorded_at: Mapped[Moment] = mapped_column(comment="the account's moved_at")

    __table_args__ = (
        ForeignKeyConstraint(["citizen_id", "posting_id"], ["posting.citizen_id", "posting.id"]),
    )


class Transfer(Base):
    """Points and the grams behind them moved inside one lot, once, for ever."""

    __tablename__ = "transfer"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="chosen by the caller, or made of the posting's id and the line"
    )
    kind: Mapped[str] = mapped_column(comment="from where to where: see service/ledger/chart.py")
    expires_on: Mapped[date] = mapped_column(comment="the lot")
    points: Mapped[Points]
    reduction_g: Mapped[Grams]
    recorded_at: Mapped[Moment] = mapped_column(comment="the account's moved_at")
    posting_id: Mapped[UUID | None] = mapped_column(comment="whose lot line it is")
    line: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    hold_id: Mapped[UUID | None] = mapped_column(comment="the hold in whose story it is a line")
    hold_line: Mapped[int | None] = mapped_column(SmallInteger)
    of_id: Mapped[UUID | None] = mapped_column(
        comment="the capture or issue that it undoes or goes on with"
    )
    party: Mapped[UUID | None]
    commitment: Mapped[bytes] = mapped_column(
        LargeBinary, comment="the log's entry: see service/ledger/commitments.py"
    )
    xact_id: Mapped[Any] = mapped_column(
        Xid8, server_default=text("pg_current_xact_id()"), comment="what the sealer goes by"
    )

    __table_args__ = (
        CheckConstraint(
            "kind IN ('issue', 'hold', 'release', 'capture', 'restore', 'carry_out', 'carry_in',"
            " 'expire', 'invalidate', 'recover', 'retire', 'donate', 'pool')",
            name="kind_is_known",
        ),
        CheckConstraint(
            "points >= 0 AND reduction_g >= 0 AND (points > 0 OR reduction_g > 0)",
            name="moves_something",
        ),
        CheckConstraint("(hold_id IS NULL) = (hold_line IS NULL)", name="a_hold_has_lines"),
        CheckConstraint("length(commitment) = 32", name="commitment_has_32_bytes"),
        Index(
            "ix_transfer_citizen_id_hold_id",
            "citizen_id",
            "hold_id",
            postgresql_where="hold_id IS NOT NULL",
        ),
        Index("ix_transfer_xact_id", "xact_id"),
    )


class Retirement(Base):
    """What a citizen has said of a retirement: her words, which leave with her."""

    __tablename__ = "retirement"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, comment="the posting's")
    purpose: Mapped[str | None]
    beneficiary: Mapped[str | None]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("num_nonnulls(purpose, beneficiary) > 0", name="says_something"),
    )


class Notice(Base):
    """Something that a citizen should know in time, told once."""

    __tablename__ = "notice"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    expires_on: Mapped[date] = mapped_column(primary_key=True, comment="the lot it is about")
    lead_days: Mapped[int] = mapped_column(
        SmallInteger, primary_key=True, comment="told when no more days than these were left"
    )
    points: Mapped[Points] = mapped_column(comment="available in the lot when it was told")
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("kind IN ('points-expire-soon')", name="kind_is_known"),
        CheckConstraint("points > 0", name="points_positive"),
    )
