"""The whole chart of accounts: postings, holds, claw-backs, and a commitment for each transfer."""

from alembic import op

from migrations.append_only import grant, protect, show_to_auditors
from migrations.roles import AUDITOR, ERASER

revision = "0006"
down_revision = "0005"

# The secret is made by the database with the account, so that no path can forget it; two random
# UUIDs have 244 random bits. `moved_at` grows strictly: it is the order of a citizen's transfers.
ACCOUNT = """
ALTER TABLE account
    ADD COLUMN secret bytea
        DEFAULT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
    ADD COLUMN moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN owed_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN owed_g bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT ck_account_owed_is_not_negative CHECK (owed_points >= 0 AND owed_g >= 0)
"""

LOT = """
ALTER TABLE lot
    ADD COLUMN carried_in_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN carried_in_g bigint NOT NULL DEFAULT 0,
    ADD COLUMN redeemed_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN redeemed_g bigint NOT NULL DEFAULT 0,
    ADD COLUMN pooled_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN pooled_g bigint NOT NULL DEFAULT 0,
    ADD COLUMN invalidated_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN invalidated_g bigint NOT NULL DEFAULT 0,
    ADD COLUMN carried_out_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN carried_out_g bigint NOT NULL DEFAULT 0,
    ALTER COLUMN issued_points SET DEFAULT 0,
    ALTER COLUMN issued_g SET DEFAULT 0,
    ALTER COLUMN available_points SET DEFAULT 0,
    ALTER COLUMN available_g SET DEFAULT 0,
    DROP CONSTRAINT ck_lot_points_have_one_fate,
    DROP CONSTRAINT ck_lot_grams_have_one_fate,
    DROP CONSTRAINT ck_lot_nothing_negative,
    ADD CONSTRAINT ck_lot_points_have_one_fate CHECK (
        issued_points + carried_in_points
        = available_points + held_points + redeemed_points + pooled_points + expired_points
          + invalidated_points + retired_points + carried_out_points),
    ADD CONSTRAINT ck_lot_grams_have_one_fate CHECK (
        issued_g + carried_in_g
        = available_g + held_g + redeemed_g + pooled_g + expired_g + invalidated_g + retired_g
          + carried_out_g),
    ADD CONSTRAINT ck_lot_nothing_negative CHECK (
        least(issued_points, carried_in_points, available_points, held_points, redeemed_points,
              pooled_points, expired_points, invalidated_points, retired_points,
              carried_out_points, issued_g, carried_in_g, available_g, held_g, redeemed_g,
              pooled_g, expired_g, invalidated_g, retired_g, carried_out_g) >= 0)
"""

KINDS = (
    "'issue', 'hold', 'release', 'capture', 'restore', 'carry_out', 'carry_in', 'expire',"
    " 'invalidate', 'recover', 'retire', 'donate', 'pool'"
)

# `xact_id` is what the sealer goes by: every transfer of a transaction older than the oldest one
# running has been committed or will never be seen.
TRANSFER = f"""
ALTER TABLE transfer
    ADD COLUMN posting_id uuid,
    ADD COLUMN line smallint NOT NULL DEFAULT 0,
    ADD COLUMN hold_id uuid,
    ADD COLUMN hold_line smallint,
    ADD COLUMN of_id uuid,
    ADD COLUMN party uuid,
    ADD COLUMN commitment bytea,
    ADD COLUMN xact_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ALTER COLUMN recorded_at DROP DEFAULT,
    DROP CONSTRAINT ck_transfer_kind_is_known,
    ADD CONSTRAINT ck_transfer_kind_is_known CHECK (kind IN ({KINDS})),
    ADD CONSTRAINT ck_transfer_a_hold_has_lines CHECK ((hold_id IS NULL) = (hold_line IS NULL)),
    ADD CONSTRAINT ck_transfer_commitment_has_32_bytes CHECK (length(commitment) = 32)
"""

COMMIT_TO_OLD_ROWS = """
UPDATE transfer t SET commitment = sha256(
    '\\x0020'::bytea || sha256(a.secret || uuid_send(t.id))
    || '\\x0011'::bytea || 'carbon-transfer/1'::bytea
    || '\\x0010'::bytea || uuid_send(t.citizen_id) || '\\x0010'::bytea || uuid_send(t.id)
    || int2send(length(t.kind)::int2) || t.kind::bytea
    || '\\x0004'::bytea || date_send(t.expires_on)
    || '\\x0008'::bytea || int8send(t.points) || '\\x0008'::bytea || int8send(t.reduction_g)
    || '\\x0008'::bytea || timestamptz_send(t.recorded_at)
    || '\\x0000'::bytea || '\\x0002'::bytea || int2send(t.line)
    || '\\x0000'::bytea || '\\x0000'::bytea || '\\x0000'::bytea || '\\x0000'::bytea)
FROM account a WHERE a.citizen_id = t.citizen_id
"""

# Whoever was erased before has just been given a secret with everybody else.
FORGET_THE_ERASED = """
UPDATE account SET secret = NULL FROM erasure WHERE erasure.citizen_id = account.citizen_id
"""

POSTING = """
CREATE TABLE posting (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    points bigint,
    reduction_g bigint,
    hold_id uuid,
    of_id uuid,
    party uuid,
    expires_on date,
    carry_to date,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_posting PRIMARY KEY (citizen_id, id),
    CONSTRAINT ck_posting_kind_is_known CHECK (kind IN (
        'hold', 'release', 'capture', 'restore', 'pool', 'retire', 'donate', 'extend',
        'invalidate'))
)
"""

REFUSAL = """
CREATE TABLE refusal (
    citizen_id uuid NOT NULL,
    posting_id uuid NOT NULL,
    code text NOT NULL,
    params json NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_refusal PRIMARY KEY (citizen_id, posting_id),
    CONSTRAINT fk_refusal_citizen_id_posting_id_posting
        FOREIGN KEY (citizen_id, posting_id) REFERENCES posting (citizen_id, id)
)
"""


def upgrade() -> None:
    op.execute(ACCOUNT)
    op.execute(LOT)
    op.execute(TRANSFER)
    _commit_to_old_rows()
    op.execute(FORGET_THE_ERASED)
    # Of a hold and what follows from it only: an issue does not pay for it.
    op.execute(
        "CREATE INDEX ix_transfer_citizen_id_hold_id ON transfer (citizen_id, hold_id)"
        " WHERE hold_id IS NOT NULL"
    )
    op.execute("CREATE INDEX ix_transfer_xact_id ON transfer (xact_id)")
    for table, statement in {"posting": POSTING, "refusal": REFUSAL}.items():
        op.execute(statement)
        protect(table)
        show_to_auditors(table)
    # An erasure blots out the secret: what the log committed to can then never be opened again.
    grant("account", app="SELECT", eraser="SELECT, UPDATE (secret)")
    # Whoever has the secret can open the log's commitments: an auditor need not.
    op.execute(f"REVOKE SELECT ON account FROM {AUDITOR}")
    op.execute(
        f"GRANT SELECT (citizen_id, version, moved_at, owed_points, owed_g) ON account TO {AUDITOR}"
    )


def _commit_to_old_rows() -> None:
    """Add the commitment that transfers of before lack; only the owner can, and only here."""
    for state in ("DISABLE", "ENABLE ALWAYS"):
        op.execute(f"ALTER TABLE transfer {state} TRIGGER transfer_only_grows")
        if state == "DISABLE":
            op.execute(COMMIT_TO_OLD_ROWS)
    op.execute("ALTER TABLE transfer ALTER COLUMN commitment SET NOT NULL")


def downgrade() -> None:
    op.execute("DROP TABLE refusal")
    op.execute("DROP TABLE posting")
    op.execute(f"REVOKE SELECT, UPDATE (secret) ON account FROM {ERASER}")
    op.execute(f"GRANT SELECT ON account TO {AUDITOR}")
    op.execute(
        "ALTER TABLE transfer DROP CONSTRAINT ck_transfer_kind_is_known,"
        " DROP COLUMN posting_id, DROP COLUMN line, DROP COLUMN hold_id, DROP COLUMN hold_line,"
        " DROP COLUMN of_id, DROP COLUMN party, DROP COLUMN commitment, DROP COLUMN xact_id,"
        " ALTER COLUMN recorded_at SET DEFAULT clock_timestamp(),"
        " ADD CONSTRAINT ck_transfer_kind_is_known CHECK (kind IN ('issue', 'expire'))"
    )
    op.execute(
        "ALTER TABLE lot DROP COLUMN carried_in_points, DROP COLUMN carried_in_g,"
        " DROP COLUMN redeemed_points, DROP COLUMN redeemed_g, DROP COLUMN pooled_points,"
        " DROP COLUMN pooled_g, DROP COLUMN invalidated_points, DROP COLUMN invalidated_g,"
        " DROP COLUMN carried_out_points, DROP COLUMN carried_out_g,"
        " ALTER COLUMN issued_points DROP DEFAULT, ALTER COLUMN issued_g DROP DEFAULT,"
        " ALTER COLUMN available_points DROP DEFAULT, ALTER COLUMN available_g DROP DEFAULT,"
        " ADD CONSTRAINT ck_lot_points_have_one_fate CHECK ("
        "  issued_points = available_points + held_points + expired_points + retired_points),"
        " ADD CONSTRAINT ck_lot_grams_have_one_fate CHECK ("
        "  issued_g = available_g + held_g + expired_g + retired_g),"
        " ADD CONSTRAINT ck_lot_nothing_negative CHECK ("
        "  least(issued_points, available_points, held_points, expired_points, retired_points,"
        "        issued_g, available_g, held_g, expired_g, retired_g) >= 0)"
    )
    op.execute(
        "ALTER TABLE account DROP COLUMN secret, DROP COLUMN moved_at, DROP COLUMN owed_points,"
        " DROP COLUMN owed_g"
    )
