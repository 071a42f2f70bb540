"""The ledger: accounts, lots and transfers that only grow."""

from alembic import op

from migrations.append_only import REFUSE_REWRITE, grant, protect, show_to_auditors

revision = "0001"
down_revision = None

ACCOUNT = """
CREATE TABLE account (
    citizen_id uuid NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_account PRIMARY KEY (citizen_id)
) WITH (fillfactor = 70)
"""

LOT = """
CREATE TABLE lot (
    citizen_id uuid NOT NULL,
    expires_on date NOT NULL,
    issued_points bigint NOT NULL,
    issued_g bigint NOT NULL,
    available_points bigint NOT NULL,
    available_g bigint NOT NULL,
    held_points bigint NOT NULL DEFAULT 0,
    held_g bigint NOT NULL DEFAULT 0,
    expired_points bigint NOT NULL DEFAULT 0,
    expired_g bigint NOT NULL DEFAULT 0,
    retired_points bigint NOT NULL DEFAULT 0,
    retired_g bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_lot PRIMARY KEY (citizen_id, expires_on),
    CONSTRAINT ck_lot_points_have_one_fate CHECK (
        issued_points = available_points + held_points + expired_points + retired_points),
    CONSTRAINT ck_lot_grams_have_one_fate CHECK (
        issued_g = available_g + held_g + expired_g + retired_g),
    CONSTRAINT ck_lot_nothing_negative CHECK (
        least(issued_points, available_points, held_points, expired_points, retired_points,
              issued_g, available_g, held_g, expired_g, retired_g) >= 0)
) WITH (fillfactor = 70)
"""

TRANSFER = """
CREATE TABLE transfer (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    expires_on date NOT NULL,
    points bigint NOT NULL,
    reduction_g bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_transfer PRIMARY KEY (citizen_id, id),
    CONSTRAINT ck_transfer_kind_is_known CHECK (kind IN ('issue', 'expire')),
    CONSTRAINT ck_transfer_moves_something CHECK (
        points >= 0 AND reduction_g >= 0 AND (points > 0 OR reduction_g > 0))
)
"""


def upgrade() -> None:
    op.execute(REFUSE_REWRITE)
    op.execute(ACCOUNT)
    op.execute(LOT)
    op.execute(TRANSFER)
    # Accounts and lots are the running sums of transfers: written again, never taken away.
    grant("account", app="SELECT, INSERT, UPDATE")
    grant("lot", app="SELECT, INSERT, UPDATE")
    protect("transfer")
    for table in ("account", "lot", "transfer"):
        show_to_auditors(table)


def downgrade() -> None:
    for table in ("transfer", "lot", "account"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_rewrite()")
