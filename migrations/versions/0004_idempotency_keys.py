"""First answers to repeatable requests: a work table, kept for thirty days."""

from alembic import op

from migrations.append_only import grant

revision = "0004"
down_revision = "0003"

CREATE = """
CREATE TABLE idempotency_key (
    principal_id uuid NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    body text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_idempotency_key PRIMARY KEY (principal_id, operation, key),
    CONSTRAINT ck_idempotency_key_fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT ck_idempotency_key_answer_is_a_success CHECK (status BETWEEN 200 AND 299)
)
"""


def upgrade() -> None:
    op.execute(CREATE)
    op.execute("CREATE INDEX ix_idempotency_key_recorded_at ON idempotency_key (recorded_at)")
    # Old answers are forgotten by a job; a person's answers leave with her.
    grant("idempotency_key", app="SELECT, INSERT, DELETE", eraser="SELECT, DELETE")


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_key")
