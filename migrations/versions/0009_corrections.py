"""Corrections and invalidations: revisions of a record, and verdicts that take back."""

from alembic import op

from migrations.append_only import grant, never_changed, protect, show_to_auditors

revision = "0009"
down_revision = "0008"

CORRECTION = """
CREATE TABLE correction (
    citizen_id uuid NOT NULL,
    first_id uuid NOT NULL,
    id uuid NOT NULL,
    source_id uuid NOT NULL,
    corrected_id uuid NOT NULL,
    activity_id uuid,
    revision smallint NOT NULL,
    invalidated_points bigint NOT NULL,
    invalidated_g bigint NOT NULL,
    owed_points bigint NOT NULL,
    owed_g bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_correction PRIMARY KEY (citizen_id, first_id, id),
    CONSTRAINT ck_correction_nothing_negative CHECK (
        least(invalidated_points, invalidated_g, owed_points, owed_g) >= 0)
)
"""

INVALIDATION = """
CREATE TABLE invalidation (
    citizen_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    proposed_by text NOT NULL,
    approved_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_invalidation PRIMARY KEY (citizen_id, activity_id),
    CONSTRAINT ck_invalidation_two_people CHECK (proposed_by <> approved_by)
)
"""

CORRECTION_REASON = """
CREATE TABLE correction_reason (
    citizen_id uuid NOT NULL,
    correction_id uuid NOT NULL,
    reason text NOT NULL,
    CONSTRAINT pk_correction_reason PRIMARY KEY (citizen_id, correction_id)
)
"""

INVALIDATION_PROPOSAL = """
CREATE TABLE invalidation_proposal (
    citizen_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    reason text NOT NULL,
    proposed_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_invalidation_proposal PRIMARY KEY (citizen_id, activity_id)
)
"""

GROW_ONLY = {"correction": CORRECTION, "invalidation": INVALIDATION}
WORDS = {
    "correction_reason": CORRECTION_REASON,
    "invalidation_proposal": INVALIDATION_PROPOSAL,
}

VERDICTS_BEFORE = "'certified', 'pending', 'refused', 'withdrawn', 'superseded', 'erased'"
VERDICTS = f"{VERDICTS_BEFORE}, 'corrected', 'invalidated'"

# Sources and staff know an activity by its id alone. An ordinary index on it would be written at a
# random place for every act; of this one only a summary of each stretch of the table is kept, made
# for the 2,500 rows that 64 pages hold at most.
FIND_BY_ID = """
CREATE INDEX ix_activity_id ON activity USING brin (
    id uuid_bloom_ops (n_distinct_per_range = 2500, false_positive_rate = 0.003))
WITH (pages_per_range = 64, autosummarize = on)
"""


def upgrade() -> None:
    for table, statement in GROW_ONLY.items():
        op.execute(statement)
        protect(table)
        show_to_auditors(table)
    for table, statement in WORDS.items():
        op.execute(statement)
        grant(table, app="SELECT, INSERT", eraser="SELECT, DELETE")
        never_changed(table)
    _let_verdicts_be(VERDICTS)
    op.execute(FIND_BY_ID)


def _let_verdicts_be(verdicts: str) -> None:
    op.execute(
        "ALTER TABLE verdict DROP CONSTRAINT ck_verdict_verdict_is_known,"
        f" ADD CONSTRAINT ck_verdict_verdict_is_known CHECK (verdict IN ({verdicts})) NOT VALID"
    )
    op.execute("ALTER TABLE verdict VALIDATE CONSTRAINT ck_verdict_verdict_is_known")


def downgrade() -> None:
    op.execute("DROP INDEX ix_activity_id")
    _let_verdicts_be(VERDICTS_BEFORE)
    for table in (*WORDS, *reversed(GROW_ONLY)):
        op.execute(f"DROP TABLE {table}")
