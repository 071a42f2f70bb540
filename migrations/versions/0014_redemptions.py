"""Quotes, redemptions and every step of them, and what partners were asked."""

from alembic import op

from migrations.append_only import grant, never_changed, protect

revision = "0014"
down_revision = "0013"

# No foreign key stands in the way of a sale: each would lock the offer's one row for everybody who
# quotes, and what it holds the transaction has just read. The audit looks for strays.
QUOTE = """
CREATE TABLE quote (
    id uuid NOT NULL,
    citizen_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    offer_id uuid NOT NULL,
    offer_version integer NOT NULL,
    consent_id uuid NOT NULL,
    subject text NOT NULL,
    mode text NOT NULL,
    points bigint NOT NULL,
    terms_hash text NOT NULL,
    facts jsonb NOT NULL,
    valid_until timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_quote PRIMARY KEY (id)
)
"""

REDEMPTION = """
CREATE TABLE redemption (
    id uuid NOT NULL,
    citizen_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    offer_id uuid NOT NULL,
    offer_version integer NOT NULL,
    quote_id uuid NOT NULL,
    consent_id uuid NOT NULL,
    subject text NOT NULL,
    mode text NOT NULL,
    points bigint NOT NULL,
    subsidy_minor bigint NOT NULL,
    person_id bytea,
    citizen_use_on date,
    person_use_on date,
    state text NOT NULL,
    state_before text,
    version integer NOT NULL,
    captured_points bigint NOT NULL DEFAULT 0,
    captured_subsidy_minor bigint NOT NULL DEFAULT 0,
    reversed_points bigint NOT NULL DEFAULT 0,
    deadline_at timestamptz,
    matures_at timestamptz,
    matured_as text,
    closed_at timestamptz,
    void_requested_at timestamptz,
    status_index bigint,
    asked smallint NOT NULL DEFAULT 0,
    needs_human boolean NOT NULL DEFAULT false,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_redemption PRIMARY KEY (id),
    CONSTRAINT uq_redemption_quote_id UNIQUE (quote_id),
    CONSTRAINT ck_redemption_state_is_known CHECK (
        state IN ('reserved', 'submitted', 'unknown', 'captured', 'settled', 'partially_reversed',
            'reversed', 'disputed', 'declined', 'voided', 'expired')),
    CONSTRAINT ck_redemption_mode_is_known CHECK (mode IN ('burn', 'lock', 'attest')),
    CONSTRAINT ck_redemption_matured_as_is_known CHECK (matured_as IN ('burn', 'release')),
    CONSTRAINT ck_redemption_takes_no_more CHECK (
        0 <= reversed_points AND reversed_points <= captured_points AND captured_points <= points
        AND 0 <= captured_subsidy_minor AND captured_subsidy_minor <= subsidy_minor)
)
"""

# Whose it is, of what, and for how much, never changes.
CHANGING = (
    *("state", "state_before", "version", "captured_points", "captured_subsidy_minor"),
    *("reversed_points", "deadline_at", "matures_at", "matured_as", "closed_at"),
    *("void_requested_at", "status_index", "asked", "needs_human"),
)

REDEMPTION_RECORD = """
CREATE TABLE redemption_record (
    redemption_id uuid NOT NULL,
    no integer NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    request_no text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    partner_id uuid NOT NULL,
    partner_reference text,
    points bigint NOT NULL DEFAULT 0,
    reduction_g bigint NOT NULL DEFAULT 0,
    subsidy_minor bigint NOT NULL DEFAULT 0,
    posting_id uuid,
    of_id uuid,
    body jsonb NOT NULL DEFAULT '{}',
    business_date date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_redemption_record PRIMARY KEY (redemption_id, no),
    CONSTRAINT ck_redemption_record_kind_is_known CHECK (
        kind IN ('reservation', 'submission', 'capture', 'decline', 'void_request', 'void',
            'expiry', 'unknown', 'closure', 'maturity', 'reversal', 'dispute', 'resolution',
            'settlement')),
    CONSTRAINT ck_redemption_record_actor_kind_is_known CHECK (
        actor_kind IN ('citizen', 'partner', 'staff', 'service'))
)
"""

DISPUTE_WORDS = """
CREATE TABLE dispute_words (
    citizen_id uuid NOT NULL,
    record_id uuid NOT NULL,
    words text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_dispute_words PRIMARY KEY (citizen_id, record_id)
)
"""

INQUIRY = """
CREATE TABLE inquiry (
    redemption_id uuid NOT NULL,
    no integer NOT NULL,
    answer text NOT NULL,
    body jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_inquiry PRIMARY KEY (redemption_id, no),
    CONSTRAINT fk_inquiry_redemption_id_redemption FOREIGN KEY (redemption_id)
        REFERENCES redemption (id),
    CONSTRAINT ck_inquiry_answer_is_known CHECK (
        answer IN ('none', 'captured', 'declined', 'voided', 'pending', 'contradictory',
            'no_answer'))
)
"""

# An unknown redemption that two people decide: what one of them wants, and the other's approval.
FORCED_RESOLUTION = """
CREATE TABLE forced_resolution (
    id uuid NOT NULL,
    redemption_id uuid NOT NULL,
    outcome text NOT NULL,
    body jsonb NOT NULL,
    proposed_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_forced_resolution PRIMARY KEY (id),
    CONSTRAINT uq_forced_resolution_id_proposed_by UNIQUE (id, proposed_by),
    CONSTRAINT fk_forced_resolution_redemption_id_redemption FOREIGN KEY (redemption_id)
        REFERENCES redemption (id),
    CONSTRAINT ck_forced_resolution_outcome_is_known CHECK (
        outcome IN ('captured', 'declined', 'voided'))
)
"""

FORCED_RESOLUTION_APPROVAL = """
CREATE TABLE forced_resolution_approval (
    forced_resolution_id uuid NOT NULL,
    proposed_by uuid NOT NULL,
    approved_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_forced_resolution_approval PRIMARY KEY (forced_resolution_id),
    CONSTRAINT fk_forced_resolution_approval_forced_resolution FOREIGN KEY
        (forced_resolution_id, proposed_by) REFERENCES forced_resolution (id, proposed_by),
    CONSTRAINT ck_forced_resolution_approval_two_people CHECK (proposed_by <> approved_by)
)
"""

INDEXES = (
    "CREATE INDEX ix_quote_citizen_id ON quote (citizen_id, recorded_at)",
    "CREATE INDEX ix_redemption_citizen_id ON redemption (citizen_id, recorded_at)",
    "CREATE INDEX ix_redemption_partner_id ON redemption (partner_id, recorded_at)",
    (
        "CREATE INDEX ix_redemption_deadline_at ON redemption (deadline_at)"
        " WHERE deadline_at IS NOT NULL"
    ),
    (
        "CREATE INDEX ix_redemption_case ON redemption (recorded_at, id)"
        " WHERE state IN ('unknown', 'disputed')"
    ),
    "CREATE INDEX ix_forced_resolution_redemption_id ON forced_resolution (redemption_id)",
    (
        "CREATE UNIQUE INDEX uq_redemption_status_index ON redemption (status_index)"
        " WHERE status_index IS NOT NULL"
    ),
    (
        "CREATE UNIQUE INDEX uq_redemption_record_partner_reference"
        " ON redemption_record (partner_id, kind, partner_reference)"
        " WHERE partner_reference IS NOT NULL"
    ),
    (
        "CREATE UNIQUE INDEX uq_redemption_record_request_no"
        " ON redemption_record (redemption_id, kind, request_no)"
    ),
    (
        "CREATE INDEX ix_redemption_record_to_settle"
        " ON redemption_record (partner_id, business_date) WHERE kind IN ('capture', 'reversal')"
    ),
)


TABLES = (
    "quote",
    "redemption",
    "redemption_record",
    "dispute_words",
    "inquiry",
    "forced_resolution",
    "forced_resolution_approval",
)


def upgrade() -> None:
    op.execute(QUOTE)
    protect("quote")
    op.execute(REDEMPTION)
    grant("redemption", app=f"SELECT, INSERT, UPDATE ({', '.join(CHANGING)})")
    op.execute(REDEMPTION_RECORD)
    protect("redemption_record")
    # Her own words leave with her.
    op.execute(DISPUTE_WORDS)
    grant("dispute_words", app="SELECT, INSERT", eraser="SELECT, DELETE")
    never_changed("dispute_words")
    op.execute(INQUIRY)
    protect("inquiry")
    op.execute(FORCED_RESOLUTION)
    protect("forced_resolution")
    op.execute(FORCED_RESOLUTION_APPROVAL)
    protect("forced_resolution_approval")
    op.execute("CREATE SEQUENCE status_index_seq AS bigint MINVALUE 0 START 0")
    op.execute("GRANT USAGE ON SEQUENCE status_index_seq TO carbon_app")
    for statement in INDEXES:
        op.execute(statement)
    # A refusal of something that moves value is an answer too, and is kept as one.
    op.execute("ALTER TABLE idempotency_key DROP CONSTRAINT ck_idempotency_key_answer_is_a_success")
    op.execute(
        "ALTER TABLE idempotency_key ADD CONSTRAINT ck_idempotency_key_answer_is_no_fault"
        " CHECK (status BETWEEN 200 AND 499)"
    )


def downgrade() -> None:
    op.execute("DELETE FROM idempotency_key WHERE status >= 300")
    op.execute("ALTER TABLE idempotency_key DROP CONSTRAINT ck_idempotency_key_answer_is_no_fault")
    op.execute(
        "ALTER TABLE idempotency_key ADD CONSTRAINT ck_idempotency_key_answer_is_a_success"
        " CHECK (status BETWEEN 200 AND 299)"
    )
    op.execute("DROP SEQUENCE status_index_seq")
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
