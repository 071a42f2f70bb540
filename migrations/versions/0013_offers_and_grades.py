"""What partners offer and on which terms, how much of it is taken, and how grades are earned."""

from alembic import op

from migrations.append_only import grant, never_changed, protect

revision = "0013"
down_revision = "0012"

OFFER = """
CREATE TABLE offer (
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'draft',
    active_version integer,
    version integer NOT NULL DEFAULT 1,
    created_by_kind text NOT NULL,
    created_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_offer PRIMARY KEY (id),
    CONSTRAINT uq_offer_partner_id_name UNIQUE (partner_id, name),
    CONSTRAINT fk_offer_partner_id_partner FOREIGN KEY (partner_id) REFERENCES partner (id),
    CONSTRAINT ck_offer_state_is_known CHECK (state IN ('draft', 'active', 'paused', 'retired')),
    CONSTRAINT ck_offer_active_has_version CHECK (
        state IN ('draft', 'retired') OR active_version IS NOT NULL),
    CONSTRAINT ck_offer_created_by_kind_is_known CHECK (created_by_kind IN ('partner', 'staff'))
)
"""

OFFER_VERSION = """
CREATE TABLE offer_version (
    offer_id uuid NOT NULL,
    version integer NOT NULL,
    mode text NOT NULL,
    points bigint NOT NULL,
    subsidy_minor bigint NOT NULL,
    terms jsonb NOT NULL,
    terms_hash text NOT NULL,
    created_by_kind text NOT NULL,
    created_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_offer_version PRIMARY KEY (offer_id, version),
    CONSTRAINT fk_offer_version_offer_id_offer FOREIGN KEY (offer_id) REFERENCES offer (id),
    CONSTRAINT ck_offer_version_mode_is_known CHECK (mode IN ('burn', 'lock', 'attest')),
    CONSTRAINT ck_offer_version_points_match_mode CHECK ((points = 0) = (mode = 'attest')),
    CONSTRAINT ck_offer_version_not_negative CHECK (points >= 0 AND subsidy_minor >= 0)
)
"""

CHANGE_REQUEST = """
CREATE TABLE change_request (
    id uuid NOT NULL,
    offer_id uuid NOT NULL,
    kind text NOT NULL,
    offer_version integer,
    expected_current jsonb NOT NULL,
    target jsonb NOT NULL,
    reason text NOT NULL,
    requested_by_kind text NOT NULL,
    requested_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_change_request PRIMARY KEY (id),
    CONSTRAINT fk_change_request_offer_id_offer FOREIGN KEY (offer_id) REFERENCES offer (id),
    CONSTRAINT ck_change_request_kind_is_known CHECK (
        kind IN ('activation', 'pause', 'retirement', 'limits')),
    CONSTRAINT ck_change_request_requested_by_kind_is_known CHECK (
        requested_by_kind IN ('partner', 'staff'))
)
"""

CHANGE_DECISION = """
CREATE TABLE change_decision (
    change_request_id uuid NOT NULL,
    decision text NOT NULL,
    reason text NOT NULL,
    decided_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_change_decision PRIMARY KEY (change_request_id),
    CONSTRAINT fk_change_decision_change_request_id_change_request FOREIGN KEY (change_request_id)
        REFERENCES change_request (id),
    CONSTRAINT ck_change_decision_decision_is_known CHECK (decision IN ('approved', 'rejected'))
)
"""

# How much is taken is changed together with the redemption that takes it or gives it back. The
# checks decide, so that a statement needs no answer before the commit.
OFFER_COUNTER = """
CREATE TABLE offer_counter (
    offer_id uuid NOT NULL,
    quota bigint,
    taken bigint NOT NULL DEFAULT 0,
    budget_minor bigint,
    budget_taken_minor bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_offer_counter PRIMARY KEY (offer_id),
    CONSTRAINT fk_offer_counter_offer_id_offer FOREIGN KEY (offer_id) REFERENCES offer (id),
    CONSTRAINT ck_offer_counter_quota_kept CHECK (taken >= 0 AND taken <= quota),
    CONSTRAINT ck_offer_counter_budget_kept CHECK (
        budget_taken_minor >= 0 AND budget_taken_minor <= budget_minor)
) WITH (fillfactor = 10)
"""

OFFER_USE = """
CREATE TABLE offer_use (
    offer_id uuid NOT NULL,
    holder_kind text NOT NULL,
    holder bytea NOT NULL,
    starts_on date NOT NULL,
    taken integer NOT NULL,
    most integer NOT NULL,
    CONSTRAINT pk_offer_use PRIMARY KEY (offer_id, holder_kind, holder, starts_on),
    CONSTRAINT ck_offer_use_holder_kind_is_known CHECK (holder_kind IN ('citizen', 'person')),
    CONSTRAINT ck_offer_use_person_limit_kept CHECK (taken >= 0 AND taken <= most)
)
"""

GRADE_RULES = """
CREATE TABLE grade_rules (
    name text NOT NULL,
    version integer NOT NULL,
    effective_from date NOT NULL,
    window_months smallint NOT NULL,
    thresholds jsonb NOT NULL,
    source text NOT NULL,
    entered_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_grade_rules PRIMARY KEY (name, version),
    CONSTRAINT ck_grade_rules_window_is_possible CHECK (window_months BETWEEN 1 AND 60)
)
"""

GRADE_RULES_APPROVAL = """
CREATE TABLE grade_rules_approval (
    name text NOT NULL,
    version integer NOT NULL,
    approved_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_grade_rules_approval PRIMARY KEY (name, version),
    CONSTRAINT fk_grade_rules_approval_name_version_grade_rules FOREIGN KEY (name, version)
        REFERENCES grade_rules (name, version)
)
"""

GRADE_REVIEW = """
CREATE TABLE grade_review (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    rules_name text NOT NULL,
    rules_version integer,
    grade text,
    assessment jsonb NOT NULL,
    words text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_grade_review PRIMARY KEY (citizen_id, id)
)
"""

GRADE_REVIEW_DECISION = """
CREATE TABLE grade_review_decision (
    citizen_id uuid NOT NULL,
    review_id uuid NOT NULL,
    decision text NOT NULL,
    grade text,
    holds_until date,
    reason text NOT NULL,
    decided_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_grade_review_decision PRIMARY KEY (citizen_id, review_id),
    CONSTRAINT ck_grade_review_decision_decision_is_known CHECK (
        decision IN ('upheld', 'changed')),
    CONSTRAINT ck_grade_review_decision_change_has_grade CHECK (
        (decision = 'changed') = (grade IS NOT NULL AND holds_until IS NOT NULL))
)
"""

CARBON_REPORT = """
CREATE TABLE carbon_report (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    content_digest bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_carbon_report PRIMARY KEY (citizen_id, id),
    CONSTRAINT uq_carbon_report_id UNIQUE (id),
    CONSTRAINT ck_carbon_report_digest_is_sha256 CHECK (octet_length(content_digest) = 32)
)
"""

GROW_ONLY = {
    "offer_version": OFFER_VERSION,
    "change_request": CHANGE_REQUEST,
    "change_decision": CHANGE_DECISION,
    "grade_rules": GRADE_RULES,
    "grade_rules_approval": GRADE_RULES_APPROVAL,
}
CHANGING = {"offer_counter": OFFER_COUNTER, "offer_use": OFFER_USE}
WORDS = {"grade_review": GRADE_REVIEW, "grade_review_decision": GRADE_REVIEW_DECISION}


def upgrade() -> None:
    op.execute(OFFER)
    grant("offer", app="SELECT, INSERT, UPDATE")
    for table, statement in GROW_ONLY.items():
        op.execute(statement)
        protect(table)
    for table, statement in CHANGING.items():
        op.execute(statement)
        grant(table, app="SELECT, INSERT, UPDATE")
    for table, statement in WORDS.items():
        op.execute(statement)
        grant(table, app="SELECT, INSERT", eraser="SELECT, DELETE")
        never_changed(table)
    op.execute(CARBON_REPORT)
    grant("carbon_report", app="SELECT, INSERT, UPDATE (withdrawn_at)", eraser="SELECT, DELETE")


def downgrade() -> None:
    for table in ("carbon_report", *reversed(WORDS), *reversed(CHANGING), *reversed(GROW_ONLY)):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP TABLE offer")
