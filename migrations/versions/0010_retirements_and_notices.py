"""What a citizen retires her grams for, and what she is told before her points expire."""

from alembic import op

from migrations.append_only import grant, never_changed

revision = "0010"
down_revision = "0009"

RETIREMENT = """
CREATE TABLE retirement (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose text,
    beneficiary text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_retirement PRIMARY KEY (citizen_id, id),
    CONSTRAINT ck_retirement_says_something CHECK (num_nonnulls(purpose, beneficiary) > 0)
)
"""

NOTICE = """
CREATE TABLE notice (
    citizen_id uuid NOT NULL,
    kind text NOT NULL,
    expires_on date NOT NULL,
    lead_days smallint NOT NULL,
    points bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_notice PRIMARY KEY (citizen_id, kind, expires_on, lead_days),
    CONSTRAINT ck_notice_kind_is_known CHECK (kind IN ('points-expire-soon')),
    CONSTRAINT ck_notice_points_positive CHECK (points > 0)
)
"""


def upgrade() -> None:
    # Both may say something of a person, so an erasure takes them; nobody changes them.
    for table, statement in {"retirement": RETIREMENT, "notice": NOTICE}.items():
        op.execute(statement)
        grant(table, app="SELECT, INSERT", eraser="SELECT, DELETE")
        never_changed(table)


def downgrade() -> None:
    for table in ("notice", "retirement"):
        op.execute(f"DROP TABLE {table}")
