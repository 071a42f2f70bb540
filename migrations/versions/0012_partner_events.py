"""What partners are told: events in a gapless row for each, and where they are sent to."""

from alembic import op

from migrations.append_only import grant

revision = "0012"
down_revision = "0011"

PARTNER_PROFILE = """
CREATE TABLE partner_profile (
    partner_id uuid NOT NULL,
    reach text NOT NULL DEFAULT 'public',
    signatures text NOT NULL DEFAULT 'optional',
    scopes text[],
    status_url text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_partner_profile PRIMARY KEY (partner_id),
    CONSTRAINT fk_partner_profile_partner_id_partner FOREIGN KEY (partner_id)
        REFERENCES partner (id),
    CONSTRAINT ck_partner_profile_reach_is_known CHECK (reach IN ('public', 'loopback')),
    CONSTRAINT ck_partner_profile_signatures_is_known CHECK (
        signatures IN ('optional', 'required'))
)
"""

CHANGE_KINDS = "'added', 'suspended', 'resumed', 'keys_rotated'"

PARTNER_EVENT = """
CREATE TABLE partner_event (
    partner_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    object text NOT NULL,
    object_id text NOT NULL,
    state text NOT NULL,
    object_version integer NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seq bigint,
    CONSTRAINT pk_partner_event PRIMARY KEY (partner_id, id),
    CONSTRAINT uq_partner_event_partner_id_seq UNIQUE (partner_id, seq)
)
"""

# Its place in the row is given once, after the commit; nothing else of it ever changes.
SEQUENCED_ONCE = """
CREATE FUNCTION refuse_second_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.seq IS NOT NULL OR NEW.seq IS NULL OR (OLD.partner_id, OLD.id, OLD.type, OLD.object,
        OLD.object_id, OLD.state, OLD.object_version, OLD.occurred_at) IS DISTINCT FROM
        (NEW.partner_id, NEW.id, NEW.type, NEW.object, NEW.object_id, NEW.state,
        NEW.object_version, NEW.occurred_at)
    THEN
        RAISE EXCEPTION 'an event never changes, and has one place in its row'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

EVENT_SEQUENCER = """
CREATE TABLE event_sequencer (
    partner_id uuid NOT NULL,
    last_seq bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_event_sequencer PRIMARY KEY (partner_id)
)
"""

WEBHOOK_ENDPOINT = """
CREATE TABLE webhook_endpoint (
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    url text NOT NULL,
    description text,
    event_types text[],
    signatures text[] NOT NULL,
    secret_sealed bytea,
    former_secret_sealed bytea,
    signing_key_sealed bytea,
    former_signing_key_sealed bytea,
    sealing_key_version smallint NOT NULL,
    former_until timestamptz,
    state text NOT NULL DEFAULT 'active',
    state_reason text,
    failing_since timestamptz,
    paused_until timestamptz,
    after_seq bigint NOT NULL,
    version integer NOT NULL DEFAULT 1,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_webhook_endpoint PRIMARY KEY (id),
    CONSTRAINT fk_webhook_endpoint_partner_id_partner FOREIGN KEY (partner_id)
        REFERENCES partner (id),
    CONSTRAINT ck_webhook_endpoint_state_is_known CHECK (
        state IN ('active', 'disabled', 'removed'))
)
"""

WEBHOOK_DELIVERY = """
CREATE TABLE webhook_delivery (
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    partner_id uuid NOT NULL,
    seq bigint NOT NULL,
    state text NOT NULL DEFAULT 'waiting',
    attempts smallint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_status smallint,
    last_error text,
    ended_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_webhook_delivery PRIMARY KEY (endpoint_id, event_id),
    CONSTRAINT fk_webhook_delivery_endpoint_id_webhook_endpoint FOREIGN KEY (endpoint_id)
        REFERENCES webhook_endpoint (id),
    CONSTRAINT ck_webhook_delivery_state_is_known CHECK (
        state IN ('waiting', 'delivered', 'failed'))
)
"""


def upgrade() -> None:
    kinds = f"{CHANGE_KINDS}, 'profile_changed'"
    op.execute("ALTER TABLE partner_change DROP CONSTRAINT ck_partner_change_kind_is_known")
    op.execute(
        "ALTER TABLE partner_change ADD CONSTRAINT ck_partner_change_kind_is_known"
        f" CHECK (kind IN ({kinds}))"
    )
    op.execute(PARTNER_PROFILE)
    grant("partner_profile", app="SELECT, INSERT, UPDATE")
    op.execute(PARTNER_EVENT)
    op.execute(
        "CREATE INDEX ix_partner_event_waiting ON partner_event (partner_id) WHERE seq IS NULL"
    )
    op.execute(SEQUENCED_ONCE)
    op.execute(
        "CREATE TRIGGER partner_event_is_sequenced_once BEFORE UPDATE ON partner_event"
        " FOR EACH ROW EXECUTE FUNCTION refuse_second_place()"
    )
    op.execute("ALTER TABLE partner_event ENABLE ALWAYS TRIGGER partner_event_is_sequenced_once")
    grant("partner_event", app="SELECT, INSERT, UPDATE (seq)")
    op.execute(EVENT_SEQUENCER)
    grant("event_sequencer", app="SELECT, INSERT, UPDATE")
    op.execute(WEBHOOK_ENDPOINT)
    op.execute("CREATE INDEX ix_webhook_endpoint_partner_id ON webhook_endpoint (partner_id)")
    grant("webhook_endpoint", app="SELECT, INSERT, UPDATE")
    op.execute(WEBHOOK_DELIVERY)
    op.execute(
        "CREATE INDEX ix_webhook_delivery_due ON webhook_delivery (endpoint_id, next_attempt_at)"
        " WHERE state = 'waiting'"
    )
    # For a partner's own list, newest first, of one state or of each.
    op.execute(
        "CREATE INDEX ix_webhook_delivery_partner_id"
        " ON webhook_delivery (partner_id, state, seq, endpoint_id)"
    )
    op.execute("CREATE UNIQUE INDEX uq_webhook_delivery_id ON webhook_delivery (id)")
    grant("webhook_delivery", app="SELECT, INSERT, UPDATE, DELETE")


def downgrade() -> None:
    for table in (
        "webhook_delivery",
        "webhook_endpoint",
        "event_sequencer",
        "partner_event",
        "partner_profile",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_second_place")
    op.execute("ALTER TABLE partner_change DROP CONSTRAINT ck_partner_change_kind_is_known")
    # The changes of profiles that were written down stay: that table only grows.
    op.execute(
        "ALTER TABLE partner_change ADD CONSTRAINT ck_partner_change_kind_is_known"
        f" CHECK (kind IN ({CHANGE_KINDS})) NOT VALID"
    )
