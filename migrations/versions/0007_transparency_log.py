"""The public log: events, tiles and bundles that only get longer, seals, and published heads."""

from alembic import op

from migrations.append_only import grant, protect, show_to_auditors

revision = "0007"
down_revision = "0006"

# Who runs the log under which name, once: a changed setting must not begin a second history.
IDENTITY = """
CREATE TABLE log_identity (
    id smallint NOT NULL DEFAULT 1,
    origin text NOT NULL,
    founded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_log_identity PRIMARY KEY (id),
    CONSTRAINT ck_log_identity_there_is_one CHECK (id = 1)
)
"""

EVENT = """
CREATE TABLE log_event (
    id uuid NOT NULL,
    kind text NOT NULL,
    content text NOT NULL,
    salt bytea NOT NULL,
    commitment bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    xact_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT pk_log_event PRIMARY KEY (id),
    CONSTRAINT ck_log_event_kind_is_known CHECK (kind IN ('erasure', 'key_added', 'key_retired')),
    CONSTRAINT ck_log_event_salt_has_32_bytes CHECK (length(salt) = 32),
    CONSTRAINT ck_log_event_commitment_has_32_bytes CHECK (length(commitment) = 32)
)
"""

TILE = """
CREATE TABLE log_tile (
    level smallint NOT NULL,
    index bigint NOT NULL,
    hashes bytea NOT NULL,
    CONSTRAINT pk_log_tile PRIMARY KEY (level, index),
    CONSTRAINT ck_log_tile_whole_hashes
        CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0)
)
"""

BUNDLE = """
CREATE TABLE log_bundle (
    index bigint NOT NULL,
    entries bytea NOT NULL,
    first_recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_log_bundle PRIMARY KEY (index),
    CONSTRAINT ck_log_bundle_whole_entries
        CHECK (length(entries) BETWEEN 32 AND 8192 AND length(entries) % 32 = 0)
)
"""

# Two seals cannot begin at one leaf, nor end at one transaction: there is one history.
SEAL = """
CREATE TABLE log_seal (
    size bigint NOT NULL,
    first_leaf bigint NOT NULL,
    from_xact xid8 NOT NULL,
    until_xact xid8 NOT NULL,
    root bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_log_seal PRIMARY KEY (size),
    CONSTRAINT uq_log_seal_first_leaf UNIQUE (first_leaf),
    CONSTRAINT uq_log_seal_until_xact UNIQUE (until_xact),
    CONSTRAINT ck_log_seal_grows CHECK (first_leaf >= 0 AND size > first_leaf),
    CONSTRAINT ck_log_seal_goes_on CHECK (until_xact > from_xact),
    CONSTRAINT ck_log_seal_root_has_32_bytes CHECK (length(root) = 32)
)
"""

HEAD = """
CREATE TABLE log_head (
    size bigint NOT NULL,
    checkpoint text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_log_head PRIMARY KEY (size),
    CONSTRAINT fk_log_head_size_log_seal FOREIGN KEY (size) REFERENCES log_seal (size)
)
"""

ONLY_GROW = ("log_identity", "log_event", "log_seal", "log_head")
GET_LONGER = {"log_tile": "hashes", "log_bundle": "entries"}


def upgrade() -> None:
    for table in (IDENTITY, EVENT, TILE, BUNDLE, SEAL, HEAD):
        op.execute(table)
    op.execute("CREATE INDEX ix_log_event_xact_id ON log_event (xact_id)")
    for name in ONLY_GROW:
        protect(name)
        show_to_auditors(name)
    for name, column in GET_LONGER.items():
        _let_only_get_longer(name, column)
        show_to_auditors(name)


def _let_only_get_longer(table: str, column: str) -> None:
    """Allow one rewrite: the same bytes with more behind them."""
    grant(table, app=f"SELECT, INSERT, UPDATE ({column})")
    # Hashes do not compress; not to try saves time at every write.
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute(
        f"""
        CREATE FUNCTION {table}_gets_longer() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE shortened {table} := NEW;
        BEGIN
            shortened.{column} := substr(NEW.{column}, 1, length(OLD.{column}));
            IF shortened IS DISTINCT FROM OLD OR length(NEW.{column}) <= length(OLD.{column}) THEN
                RAISE EXCEPTION 'UPDATE on % is refused: this table only grows', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    _always(table, f"{table}_gets_longer", "BEFORE UPDATE", "ROW", f"{table}_gets_longer")
    _always(table, f"{table}_only_grows", "BEFORE DELETE", "ROW", "refuse_rewrite")
    _always(table, f"{table}_is_never_emptied", "BEFORE TRUNCATE", "STATEMENT", "refuse_rewrite")


def _always(table: str, name: str, when: str, each: str, function: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} {when} ON {table} FOR EACH {each} EXECUTE FUNCTION {function}()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def downgrade() -> None:
    for table in ("log_head", "log_seal", "log_bundle", "log_tile", "log_event", "log_identity"):
        op.execute(f"DROP TABLE {table}")
    for table in GET_LONGER:
        op.execute(f"DROP FUNCTION {table}_gets_longer()")
