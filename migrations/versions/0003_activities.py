"""Activities, their verdicts and details, and what certifies them."""

from alembic import op

from migrations.append_only import grant, never_changed, protect, show_to_auditors

revision = "0003"
down_revision = "0002"

SCHEME_RULES = """
CREATE TABLE scheme_rules (
    version integer NOT NULL,
    in_force_from date NOT NULL,
    points_per_g text NOT NULL,
    expiry_years integer NOT NULL,
    lateness_days integer NOT NULL,
    clock_tolerance_s integer NOT NULL,
    self_recorded_delay_days integer NOT NULL,
    source text NOT NULL,
    proposed_by text NOT NULL,
    approved_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_scheme_rules PRIMARY KEY (version),
    CONSTRAINT ck_scheme_rules_points_per_g_is_decimal CHECK (
        points_per_g ~ '^[0-9]{1,6}(\\.[0-9]{1,12})?$'),
    CONSTRAINT ck_scheme_rules_expiry_within_ten_years CHECK (expiry_years BETWEEN 1 AND 9),
    CONSTRAINT ck_scheme_rules_days_make_sense CHECK (
        lateness_days BETWEEN 0 AND 366 AND self_recorded_delay_days BETWEEN 0 AND 366
        AND clock_tolerance_s BETWEEN 0 AND 3600),
    CONSTRAINT ck_scheme_rules_two_people CHECK (proposed_by <> approved_by)
)
"""

FIRST_RULES = """
INSERT INTO scheme_rules (version, in_force_from, points_per_g, expiry_years, lateness_days,
    clock_tolerance_s, self_recorded_delay_days, source, proposed_by, approved_by)
VALUES (1, '2020-01-01', '1', 3, 7, 60, 3,
    'The scheme''s founding rules: one point for each gram; points expire with the quarter, three'
    ' years after the act (Shenzhen''s rules of 2022-08 allow ten at most); records may come seven'
    ' days late; self-recorded acts wait three days.',
    'founding rules, drafted', 'founding rules, approved')
"""

ENTERED_FACTOR = """
CREATE TABLE entered_factor (
    id uuid NOT NULL,
    key text NOT NULL,
    region text NOT NULL,
    value text NOT NULL,
    unit text NOT NULL,
    in_force_from date NOT NULL,
    source text NOT NULL,
    grade text NOT NULL,
    proposed_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_entered_factor PRIMARY KEY (id),
    CONSTRAINT uq_entered_factor_id_proposed_by UNIQUE (id, proposed_by),
    CONSTRAINT ck_entered_factor_source_is_named CHECK (length(source) >= 10)
)
"""

FACTOR_APPROVAL = """
CREATE TABLE factor_approval (
    entered_factor_id uuid NOT NULL,
    proposed_by text NOT NULL,
    approved_by text NOT NULL,
    impact json NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_factor_approval PRIMARY KEY (entered_factor_id),
    CONSTRAINT fk_factor_approval_entered_factor_id_proposed_by_entered_factor
        FOREIGN KEY (entered_factor_id, proposed_by) REFERENCES entered_factor (id, proposed_by),
    CONSTRAINT ck_factor_approval_two_people CHECK (proposed_by <> approved_by)
)
"""

QUANTIFICATION_BASIS = """
CREATE TABLE quantification_basis (
    id uuid NOT NULL,
    basis json NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_quantification_basis PRIMARY KEY (id)
)
"""

ACTIVITY_BATCH = """
CREATE TABLE activity_batch (
    id uuid NOT NULL,
    part smallint NOT NULL,
    source_id uuid,
    received integer NOT NULL,
    verdicts json NOT NULL,
    reduction_g bigint NOT NULL,
    points bigint NOT NULL,
    simulated boolean NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_activity_batch PRIMARY KEY (id, part)
)
"""

ACTIVITY = """
CREATE TABLE activity (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    source_id uuid,
    batch_id uuid,
    external_id text NOT NULL,
    revision smallint NOT NULL DEFAULT 0,
    behavior text NOT NULL,
    tier text NOT NULL,
    basis_id uuid,
    rules_version integer NOT NULL,
    evidence_digest bytea NOT NULL,
    verdict text NOT NULL,
    code text,
    params json,
    reduction_g bigint NOT NULL,
    points bigint NOT NULL,
    simulated boolean NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_activity PRIMARY KEY (citizen_id, id),
    CONSTRAINT ck_activity_verdict_is_known CHECK (verdict IN ('certified', 'pending', 'refused')),
    CONSTRAINT ck_activity_a_refusal_has_a_reason CHECK (verdict <> 'refused' OR code IS NOT NULL),
    CONSTRAINT ck_activity_only_what_counts_has_grams CHECK (
        (verdict = 'refused' AND reduction_g = 0 AND points = 0)
        OR (verdict <> 'refused' AND reduction_g > 0 AND points >= 0 AND basis_id IS NOT NULL))
)
"""

ACTIVITY_DETAIL = """
CREATE TABLE activity_detail (
    citizen_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    activity_id uuid NOT NULL,
    ended_at timestamptz NOT NULL,
    behavior text NOT NULL,
    counted boolean NOT NULL,
    is_trip boolean NOT NULL,
    account_digest bytea,
    activity_data json NOT NULL,
    CONSTRAINT pk_activity_detail PRIMARY KEY (citizen_id, started_at, activity_id),
    CONSTRAINT ck_activity_detail_ends_after_start CHECK (ended_at >= started_at OR NOT counted)
)
"""

VERDICT = """
CREATE TABLE verdict (
    citizen_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    seq smallint NOT NULL,
    verdict text NOT NULL,
    code text,
    params json,
    cause_id uuid,
    reduction_g bigint,
    points bigint,
    basis_id uuid,
    rules_version integer,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_verdict PRIMARY KEY (citizen_id, activity_id, seq),
    CONSTRAINT ck_verdict_verdict_is_known CHECK (
        verdict IN ('certified', 'pending', 'refused', 'withdrawn', 'superseded', 'erased')),
    CONSTRAINT ck_verdict_grams_come_whole CHECK (
        num_nonnulls(reduction_g, points, basis_id, rules_version) = 0
        OR (num_nulls(reduction_g, points, basis_id, rules_version) = 0
            AND verdict = 'certified' AND reduction_g > 0 AND points >= 0))
)
"""

PENDING_ACTIVITY = """
CREATE TABLE pending_activity (
    citizen_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    source_id uuid,
    methodology_code text NOT NULL,
    happened_on date NOT NULL,
    due_on date NOT NULL,
    expires_on date NOT NULL,
    reduction_g bigint NOT NULL,
    points bigint NOT NULL,
    batch_id uuid,
    CONSTRAINT pk_pending_activity PRIMARY KEY (citizen_id, activity_id)
)
"""

ONCE_CLAIM = """
CREATE TABLE once_claim (
    key_digest bytea NOT NULL,
    citizen_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    CONSTRAINT pk_once_claim PRIMARY KEY (key_digest)
)
"""

CERTIFICATION_BATCH = """
CREATE TABLE certification_batch (
    id uuid NOT NULL,
    source_id uuid,
    methodology_code text NOT NULL,
    happened_on date NOT NULL,
    activities integer NOT NULL,
    reduction_g bigint NOT NULL,
    points bigint NOT NULL,
    digest bytea NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_certification_batch PRIMARY KEY (id),
    CONSTRAINT ck_certification_batch_not_empty CHECK (activities > 0)
)
"""

CERTIFICATION_BATCH_ITEM = """
CREATE TABLE certification_batch_item (
    citizen_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    CONSTRAINT pk_certification_batch_item PRIMARY KEY (citizen_id, activity_id, batch_id)
)
"""

CERTIFICATION_DECISION = """
CREATE TABLE certification_decision (
    batch_id uuid NOT NULL,
    decision text NOT NULL,
    statement text NOT NULL,
    verifier_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_certification_decision PRIMARY KEY (batch_id),
    CONSTRAINT fk_certification_decision_batch_id_certification_batch
        FOREIGN KEY (batch_id) REFERENCES certification_batch (id),
    CONSTRAINT ck_certification_decision_decision_is_known CHECK (
        decision IN ('approved', 'rejected'))
)
"""

CERTIFICATION_OUTCOME = """
CREATE TABLE certification_outcome (
    batch_id uuid NOT NULL,
    approved integer NOT NULL,
    issued integer NOT NULL,
    reduction_g bigint NOT NULL,
    points bigint NOT NULL,
    skipped json NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_certification_outcome PRIMARY KEY (batch_id),
    CONSTRAINT fk_certification_outcome_batch_id_certification_decision
        FOREIGN KEY (batch_id) REFERENCES certification_decision (batch_id)
)
"""

APPEAL = """
CREATE TABLE appeal (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    statement text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_appeal PRIMARY KEY (citizen_id, id),
    CONSTRAINT uq_appeal_citizen_id_activity_id UNIQUE (citizen_id, activity_id)
)
"""

APPEAL_DECISION = """
CREATE TABLE appeal_decision (
    citizen_id uuid NOT NULL,
    appeal_id uuid NOT NULL,
    decision text NOT NULL,
    statement text NOT NULL,
    decided_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_appeal_decision PRIMARY KEY (citizen_id, appeal_id),
    CONSTRAINT fk_appeal_decision_citizen_id_appeal_id_appeal
        FOREIGN KEY (citizen_id, appeal_id) REFERENCES appeal (citizen_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_appeal_decision_decision_is_known CHECK (
        decision IN ('upheld', 'dismissed')),
    CONSTRAINT ck_appeal_decision_nobody_decides_her_own CHECK (decided_by <> citizen_id)
)
"""

GROW_ONLY = {
    "scheme_rules": SCHEME_RULES,
    "entered_factor": ENTERED_FACTOR,
    "factor_approval": FACTOR_APPROVAL,
    "quantification_basis": QUANTIFICATION_BASIS,
    "activity_batch": ACTIVITY_BATCH,
    "activity": ACTIVITY,
    "verdict": VERDICT,
    "certification_batch": CERTIFICATION_BATCH,
    "certification_batch_item": CERTIFICATION_BATCH_ITEM,
    "certification_decision": CERTIFICATION_DECISION,
    "certification_outcome": CERTIFICATION_OUTCOME,
}


def upgrade() -> None:
    for table, statement in GROW_ONLY.items():
        op.execute(statement)
        protect(table)
        show_to_auditors(table)
    op.execute(FIRST_RULES)
    _details()
    _work_tables()
    _appeals()


def _details() -> None:
    """Times, places and quantities: written once, and gone when the person is erased."""
    op.execute(ACTIVITY_DETAIL)
    grant("activity_detail", app="SELECT, INSERT", eraser="SELECT, DELETE")
    never_changed("activity_detail")


def _work_tables() -> None:
    """A queue of what waits, and claims that a withdrawal gives back: they may shrink."""
    op.execute(PENDING_ACTIVITY)
    grant("pending_activity", app="SELECT, INSERT, UPDATE, DELETE")
    op.execute(
        "CREATE INDEX ix_pending_activity_due_on ON pending_activity (due_on)"
        " WHERE batch_id IS NULL"
    )
    op.execute(
        "CREATE INDEX ix_pending_activity_batch_id ON pending_activity"
        " (batch_id, citizen_id, activity_id) WHERE batch_id IS NOT NULL"
    )
    op.execute(ONCE_CLAIM)
    grant("once_claim", app="SELECT, INSERT, DELETE")
    op.execute(
        "CREATE INDEX ix_once_claim_citizen_id_activity_id ON once_claim (citizen_id, activity_id)"
    )
    op.execute(
        "CREATE INDEX ix_certification_batch_item_batch_id ON certification_batch_item"
        " (batch_id, citizen_id)"
    )


def _appeals() -> None:
    """An appeal's words may name people, so the eraser may take them away."""
    for table, statement in {"appeal": APPEAL, "appeal_decision": APPEAL_DECISION}.items():
        op.execute(statement)
        grant(table, app="SELECT, INSERT", eraser="SELECT, DELETE")
        never_changed(table)
    op.execute("CREATE INDEX ix_appeal_id ON appeal (id)")


def downgrade() -> None:
    for table in (
        "appeal_decision",
        "appeal",
        "once_claim",
        "pending_activity",
        "activity_detail",
        *reversed(GROW_ONLY),
    ):
        op.execute(f"DROP TABLE {table}")
