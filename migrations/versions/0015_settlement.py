"""What a day comes to between a partner and us: batches, manifests, partners' files, exceptions."""

from alembic import op

from migrations.append_only import grant, protect, show_to_auditors

revision = "0015"
down_revision = "0014"

BATCH = """
CREATE TABLE settlement_batch (
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    business_date date NOT NULL,
    no integer NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    lines integer NOT NULL,
    totals jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_settlement_batch PRIMARY KEY (id),
    CONSTRAINT uq_settlement_batch_partner_id_business_date_no
        UNIQUE (partner_id, business_date, no),
    CONSTRAINT fk_settlement_batch_partner_id_partner FOREIGN KEY (partner_id)
        REFERENCES partner (id),
    CONSTRAINT ck_settlement_batch_state_is_known CHECK (
        state IN ('open', 'sent', 'partner_received', 'matched', 'exceptions', 'accepted',
            'superseded'))
)
"""

BATCH_CHANGE = """
CREATE TABLE settlement_batch_change (
    batch_id uuid NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    reason text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_settlement_batch_change PRIMARY KEY (batch_id, version),
    CONSTRAINT fk_settlement_batch_change_batch_id_settlement_batch FOREIGN KEY (batch_id)
        REFERENCES settlement_batch (id),
    CONSTRAINT ck_settlement_batch_change_actor_kind_is_known CHECK (
        actor_kind IN ('partner', 'staff', 'service'))
)
"""

# A record stands in one batch that counts; a rerun of the day takes all lines of the one before.
LINE = """
CREATE TABLE settlement_line (
    batch_id uuid NOT NULL,
    line_no integer NOT NULL,
    record_type text NOT NULL,
    redemption_id uuid NOT NULL,
    record_id uuid NOT NULL,
    state text NOT NULL,
    partner_reference text NOT NULL,
    subject text NOT NULL,
    points bigint NOT NULL,
    reduction_g bigint NOT NULL,
    benefit_value text NOT NULL,
    subsidy_minor bigint NOT NULL,
    payer text NOT NULL,
    effective_from text NOT NULL,
    effective_to text NOT NULL,
    occurred_at timestamptz NOT NULL,
    business_date date NOT NULL,
    terms_hash text NOT NULL,
    written text NOT NULL,
    superseded_by uuid,
    CONSTRAINT pk_settlement_line PRIMARY KEY (batch_id, line_no),
    CONSTRAINT fk_settlement_line_batch_id_settlement_batch FOREIGN KEY (batch_id)
        REFERENCES settlement_batch (id),
    CONSTRAINT fk_settlement_line_superseded_by_settlement_batch FOREIGN KEY (superseded_by)
        REFERENCES settlement_batch (id),
    CONSTRAINT ck_settlement_line_record_type_is_known CHECK (
        record_type IN ('CAPTURE', 'REVERSAL', 'ADJUST'))
)
"""

SUPERSEDED_ONCE = """
CREATE FUNCTION refuse_other_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE superseded settlement_line := OLD;
BEGIN
    superseded.superseded_by := NEW.superseded_by;
    IF OLD.superseded_by IS NOT NULL OR NEW.superseded_by IS NULL OR superseded IS DISTINCT FROM NEW
    THEN
        RAISE EXCEPTION 'a line never changes, and is superseded once'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

MANIFEST = """
CREATE TABLE settlement_manifest (
    batch_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    no integer NOT NULL,
    previous_sha256 bytea,
    sha256 bytea NOT NULL,
    file_sha256 bytea NOT NULL,
    last_event_seq bigint NOT NULL,
    document text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_settlement_manifest PRIMARY KEY (batch_id),
    CONSTRAINT uq_settlement_manifest_partner_id_no UNIQUE (partner_id, no),
    CONSTRAINT fk_settlement_manifest_batch_id_settlement_batch FOREIGN KEY (batch_id)
        REFERENCES settlement_batch (id),
    CONSTRAINT ck_settlement_manifest_first_has_none_before CHECK (
        (no = 1) = (previous_sha256 IS NULL)),
    CONSTRAINT ck_settlement_manifest_digests_are_sha256 CHECK (
        octet_length(sha256) = 32 AND octet_length(file_sha256) = 32
        AND octet_length(previous_sha256) = 32)
)
"""

PARTNER_FILE = """
CREATE TABLE partner_file (
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    stated_lines integer,
    stated_points bigint,
    lines integer NOT NULL,
    content bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_partner_file PRIMARY KEY (id),
    CONSTRAINT uq_partner_file_batch_id_sha256
        UNIQUE NULLS NOT DISTINCT (batch_id, sha256, stated_lines, stated_points),
    CONSTRAINT fk_partner_file_batch_id_settlement_batch FOREIGN KEY (batch_id)
        REFERENCES settlement_batch (id),
    CONSTRAINT ck_partner_file_digest_is_sha256 CHECK (octet_length(sha256) = 32)
)
"""

RUN = """
CREATE TABLE reconciliation_run (
    id uuid NOT NULL,
    file_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'queued',
    matched_lines integer,
    exceptions integer,
    ended_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_reconciliation_run PRIMARY KEY (id),
    CONSTRAINT uq_reconciliation_run_file_id UNIQUE (file_id),
    CONSTRAINT fk_reconciliation_run_file_id_partner_file FOREIGN KEY (file_id)
        REFERENCES partner_file (id),
    CONSTRAINT fk_reconciliation_run_batch_id_settlement_batch FOREIGN KEY (batch_id)
        REFERENCES settlement_batch (id),
    CONSTRAINT ck_reconciliation_run_state_is_known CHECK (
        state IN ('queued', 'matched', 'exceptions', 'overtaken'))
)
"""

EXCEPTION = """
CREATE TABLE reconciliation_exception (
    id uuid NOT NULL,
    batch_id uuid NOT NULL,
    run_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    code text NOT NULL,
    about text NOT NULL,
    redemption_id uuid,
    record_id uuid,
    ours jsonb,
    theirs jsonb,
    points bigint NOT NULL,
    subsidy_minor bigint NOT NULL,
    state text NOT NULL DEFAULT 'open',
    version integer NOT NULL DEFAULT 1,
    owner_kind text NOT NULL,
    owner_id uuid,
    opened_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT pk_reconciliation_exception PRIMARY KEY (id),
    CONSTRAINT uq_reconciliation_exception_batch_id_code_about UNIQUE (batch_id, code, about),
    CONSTRAINT fk_reconciliation_exception_batch_id_settlement_batch FOREIGN KEY (batch_id)
        REFERENCES settlement_batch (id),
    CONSTRAINT fk_reconciliation_exception_run_id_reconciliation_run FOREIGN KEY (run_id)
        REFERENCES reconciliation_run (id),
    CONSTRAINT ck_reconciliation_exception_code_is_known CHECK (
        code IN ('MISSING_AT_PARTNER', 'MISSING_HERE', 'STATE_MISMATCH', 'AMOUNT_MISMATCH',
            'TERMS_MISMATCH', 'DUPLICATE_LINE', 'LATE', 'UNKNOWN_REFERENCE', 'SUBJECT_MISMATCH',
            'TOTAL_MISMATCH')),
    CONSTRAINT ck_reconciliation_exception_state_is_known CHECK (
        state IN ('open', 'proposed', 'resolved', 'cleared')),
    CONSTRAINT ck_reconciliation_exception_owner_kind_is_known CHECK (
        owner_kind IN ('partner', 'platform', 'staff'))
)
"""

EXCEPTION_STEP = """
CREATE TABLE exception_step (
    exception_id uuid NOT NULL,
    no integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    owner_kind text,
    owner_id uuid,
    resolution text,
    reason text,
    evidence jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_exception_step PRIMARY KEY (exception_id, no),
    CONSTRAINT fk_exception_step_exception_id_reconciliation_exception
        FOREIGN KEY (exception_id) REFERENCES reconciliation_exception (id),
    CONSTRAINT ck_exception_step_kind_is_known CHECK (
        kind IN ('opened', 'assigned', 'proposed', 'resolved', 'cleared', 'opened_again')),
    CONSTRAINT ck_exception_step_actor_kind_is_known CHECK (
        actor_kind IN ('staff', 'service')),
    CONSTRAINT ck_exception_step_resolution_is_known CHECK (
        resolution IN ('accept_partner', 'accept_ours', 'reverse', 'write_off'))
)
"""

INDEXES = (
    (
        "CREATE UNIQUE INDEX uq_settlement_batch_that_counts"
        " ON settlement_batch (partner_id, business_date) WHERE state <> 'superseded'"
    ),
    (
        "CREATE UNIQUE INDEX uq_settlement_line_that_counts"
        " ON settlement_line (record_id) WHERE superseded_by IS NULL"
    ),
    "CREATE INDEX ix_settlement_line_redemption_id ON settlement_line (redemption_id)",
    (
        "CREATE INDEX ix_reconciliation_exception_open ON reconciliation_exception (batch_id)"
        " WHERE state IN ('open', 'proposed')"
    ),
)

KINDS = "ALTER TABLE log_event ADD CONSTRAINT ck_log_event_kind_is_known CHECK (kind IN ({}))"
KINDS_BEFORE = "'erasure', 'key_added', 'key_retired'"


def upgrade() -> None:
    op.execute(BATCH)
    grant("settlement_batch", app="SELECT, INSERT, UPDATE (state, version)")
    op.execute(BATCH_CHANGE)
    protect("settlement_batch_change")
    op.execute(LINE)
    op.execute(SUPERSEDED_ONCE)
    op.execute(
        "CREATE TRIGGER settlement_line_is_superseded_once BEFORE UPDATE ON settlement_line"
        " FOR EACH ROW EXECUTE FUNCTION refuse_other_line()"
    )
    op.execute(
        "ALTER TABLE settlement_line ENABLE ALWAYS TRIGGER settlement_line_is_superseded_once"
    )
    grant("settlement_line", app="SELECT, INSERT, UPDATE (superseded_by)")
    op.execute(MANIFEST)
    protect("settlement_manifest")
    op.execute(PARTNER_FILE)
    protect("partner_file")
    op.execute(RUN)
    grant("reconciliation_run", app="SELECT, INSERT, UPDATE")
    op.execute(EXCEPTION)
    grant("reconciliation_exception", app="SELECT, INSERT, UPDATE")
    op.execute(EXCEPTION_STEP)
    protect("exception_step")
    for statement in INDEXES:
        op.execute(statement)
    for table in ("settlement_batch", "settlement_batch_change", "settlement_manifest"):
        show_to_auditors(table)
    op.execute("ALTER TABLE log_event DROP CONSTRAINT ck_log_event_kind_is_known")
    op.execute(KINDS.format(f"{KINDS_BEFORE}, 'settlement_manifest'"))


def downgrade() -> None:
    op.execute("ALTER TABLE log_event DROP CONSTRAINT ck_log_event_kind_is_known")
    # What the log holds stays: an older version refuses no entry that is there.
    op.execute(KINDS.format(KINDS_BEFORE) + " NOT VALID")
    for table in (
        "exception_step",
        "reconciliation_exception",
        "reconciliation_run",
        "partner_file",
        "settlement_manifest",
        "settlement_line",
        "settlement_batch_change",
        "settlement_batch",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_other_line")
