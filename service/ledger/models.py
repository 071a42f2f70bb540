"""The ledger's tables: an account to lock, lots to spend from, transfers for ever."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db import Base, Grams, Points, RecordedAt


class Account(Base):
    """A citizen's place in the ledger; its row is the one lock under which her points move."""

    __tablename__ = "account"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[Points] = mapped_column(
        server_default="0", comment="times the account was locked to write"
    )


class Lot(Base):
    """One citizen's points that expire on one date, and the grams behind them."""

    __tablename__ = "lot"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    expires_on: Mapped[date] = mapped_column(
        primary_key=True, comment="the last day, Asia/Shanghai, on which the points can be spent"
    )
    issued_points: Mapped[Points]
    issued_g: Mapped[Grams]
    available_points: Mapped[Points]
    available_g: Mapped[Grams]
    held_points: Mapped[Points] = mapped_column(server_default="0")
    held_g: Mapped[Grams] = mapped_column(server_default="0")
    expired_points: Mapped[Points] = mapped_column(server_default="0")
    expired_g: Mapped[Grams] = mapped_column(server_default="0")
    retired_points: Mapped[Points] = mapped_column(server_default="0")
    retired_g: Mapped[Grams] = mapped_column(server_default="0")

    __table_args__ = (
        CheckConstraint(
            "issued_points = available_points + held_points + expired_points + retired_points",
            name="points_have_one_fate",
        ),
        CheckConstraint(
            "issued_g = available_g + held_g + expired_g + retired_g", name="grams_have_one_fate"
        ),
        CheckConstraint(
            "least(issued_points, available_points, held_points, expired_points, retired_points,"
            " issued_g, available_g, held_g, expired_g, retired_g) >= 0",
            name="nothing_negative",
        ),
    )


class Transfer(Base):
    """Points and the grams behind them moved inside one lot, once, for ever."""

    __tablename__ = "transfer"

    citizen_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="chosen by the caller: its idempotency key for ever"
    )
    kind: Mapped[str] = mapped_column(comment="issue or expire: from where to where")
    expires_on: Mapped[date] = mapped_column(comment="the lot")
    points: Mapped[Points]
    reduction_g: Mapped[Grams]
    recorded_at: Mapped[RecordedAt]

    __table_args__ = (
        CheckConstraint("kind IN ('issue', 'expire')", name="kind_is_known"),
        CheckConstraint(
            "points >= 0 AND reduction_g >= 0 AND (points > 0 OR reduction_g > 0)",
            name="moves_something",
        ),
    )
