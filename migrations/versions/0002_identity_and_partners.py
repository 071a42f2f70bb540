"""Who calls: citizens, their consents and sessions, staff, partner organisations."""

from alembic import op

from migrations.append_only import grant, protect, show_to_auditors
from migrations.roles import ERASER

revision = "0002"
down_revision = "0001"

CREATE_PARTNER = """
CREATE TABLE partner (
    id uuid NOT NULL,
    name text NOT NULL,
    roles text[] NOT NULL,
    region text,
    link_proof text NOT NULL DEFAULT 'none',
    settlement_delay_days smallint NOT NULL DEFAULT 0,
    evidence_tier text NOT NULL DEFAULT 'signed',
    state text NOT NULL DEFAULT 'active',
    jwks jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_partner PRIMARY KEY (id),
    CONSTRAINT uq_partner_name UNIQUE (name),
    CONSTRAINT ck_partner_name_is_a_slug CHECK (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT ck_partner_roles_are_known CHECK (
        cardinality(roles) > 0
        AND roles <@ ARRAY['source', 'bank', 'insurer', 'merchant', 'verifier', 'buyer']),
    CONSTRAINT ck_partner_region_is_gbt_2260 CHECK (region ~ '^[0-9]{6}$'),
    CONSTRAINT ck_partner_link_proof_is_known CHECK (link_proof IN ('none', 'source')),
    CONSTRAINT ck_partner_settlement_delay_is_sane CHECK (settlement_delay_days BETWEEN 0 AND 90),
    CONSTRAINT ck_partner_evidence_tier_is_known CHECK (evidence_tier = 'signed'),
    CONSTRAINT ck_partner_state_is_known CHECK (state IN ('active', 'suspended'))
)
"""

CREATE_PARTNER_CHANGE = """
CREATE TABLE partner_change (
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    key_ids text[] NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_partner_change PRIMARY KEY (id),
    CONSTRAINT fk_partner_change_partner_id_partner
        FOREIGN KEY (partner_id) REFERENCES partner (id),
    CONSTRAINT ck_partner_change_kind_is_known CHECK (
        kind IN ('added', 'suspended', 'resumed', 'keys_rotated'))
)
"""

CREATE_CLIENT_ASSERTION = """
CREATE TABLE client_assertion (
    partner_id uuid NOT NULL,
    jti_digest bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_client_assertion PRIMARY KEY (partner_id, jti_digest),
    CONSTRAINT fk_client_assertion_partner_id_partner
        FOREIGN KEY (partner_id) REFERENCES partner (id)
)
"""

CREATE_CITIZEN = """
CREATE TABLE citizen (
    citizen_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'active',
    simulated boolean NOT NULL DEFAULT false,
    last_seen_at timestamptz NOT NULL,
    spending_held_until timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_citizen PRIMARY KEY (citizen_id),
    CONSTRAINT ck_citizen_state_is_known CHECK (state IN ('active', 'frozen', 'erased'))
) WITH (fillfactor = 90)
"""

CREATE_CITIZEN_IDENTITY = """
CREATE TABLE citizen_identity (
    citizen_id uuid NOT NULL,
    phone_index bytea,
    former_phone_index bytea,
    phone_index_version smallint NOT NULL,
    phone_sealed bytea,
    phone_version integer NOT NULL DEFAULT 1,
    data_key_wrapped bytea NOT NULL,
    data_key_version smallint NOT NULL,
    CONSTRAINT pk_citizen_identity PRIMARY KEY (citizen_id),
    CONSTRAINT fk_citizen_identity_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id),
    CONSTRAINT uq_citizen_identity_phone_index UNIQUE (phone_index),
    CONSTRAINT ck_citizen_identity_number_is_whole CHECK (
        (phone_index IS NULL) = (phone_sealed IS NULL)
        AND (phone_index IS NOT NULL OR former_phone_index IS NOT NULL)),
    CONSTRAINT ck_citizen_identity_index_is_full_length CHECK (
        octet_length(phone_index) = 32 AND octet_length(former_phone_index) = 32)
)
"""

CITIZEN_PRIVATE_SALT = """
CREATE TABLE citizen_secret (
    citizen_id uuid NOT NULL,
    secret bytea NOT NULL,
    CONSTRAINT pk_citizen_secret PRIMARY KEY (citizen_id),
    CONSTRAINT fk_citizen_secret_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id),
    CONSTRAINT ck_citizen_secret_is_256_bits CHECK (octet_length(secret) = 32)
)
"""

CREATE_CITIZEN_DEVICE = """
CREATE TABLE citizen_device (
    citizen_id uuid NOT NULL,
    device_digest bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_citizen_device PRIMARY KEY (citizen_id, device_digest),
    CONSTRAINT fk_citizen_device_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id)
)
"""

CREATE_CITIZEN_ACTION = """
CREATE TABLE citizen_action (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_citizen_action PRIMARY KEY (citizen_id, id),
    CONSTRAINT fk_citizen_action_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id),
    CONSTRAINT ck_citizen_action_kind_is_known CHECK (
        kind IN ('frozen', 'released', 'phone_changed', 'number_unbound', 'restored',
                 'device_added')),
    CONSTRAINT ck_citizen_action_actor_kind_is_known CHECK (
        actor_kind IN ('citizen', 'staff', 'command_line'))
)
"""

CREATE_ERASURE = """
CREATE TABLE erasure (
    citizen_id uuid NOT NULL,
    requested_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_erasure PRIMARY KEY (citizen_id),
    CONSTRAINT fk_erasure_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id),
    CONSTRAINT ck_erasure_requested_by_is_known CHECK (
        requested_by IN ('citizen', 'staff', 'command_line'))
)
"""

CREATE_ERASURE_COMPLETION = """
CREATE TABLE erasure_completion (
    citizen_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_erasure_completion PRIMARY KEY (citizen_id),
    CONSTRAINT fk_erasure_completion_citizen_id_erasure
        FOREIGN KEY (citizen_id) REFERENCES erasure (citizen_id)
)
"""

CREATE_ONE_TIME_CODE = """
CREATE TABLE one_time_code (
    id uuid NOT NULL,
    phone_index bytea NOT NULL,
    phone_sealed bytea,
    sealed_key_version smallint NOT NULL,
    code_digest bytea NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    sent_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_one_time_code PRIMARY KEY (id),
    CONSTRAINT ck_one_time_code_tries_are_few CHECK (tries BETWEEN 0 AND 5),
    CONSTRAINT ck_one_time_code_used_codes_know_no_number CHECK (
        used_at IS NULL OR phone_sealed IS NULL)
)
"""

CREATE_REFRESH_FAMILIES = """
CREATE TABLE refresh_family (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    device_digest bytea NOT NULL,
    signed_in_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_because text,
    CONSTRAINT pk_refresh_family PRIMARY KEY (citizen_id, id),
    CONSTRAINT uq_refresh_family_id UNIQUE (id),
    CONSTRAINT fk_refresh_family_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id),
    CONSTRAINT ck_refresh_family_revoked_has_a_reason CHECK (
        (revoked_at IS NULL) = (revoked_because IS NULL))
);
CREATE TABLE refresh_token (
    token_digest bytea NOT NULL,
    citizen_id uuid NOT NULL,
    family_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_refresh_token PRIMARY KEY (token_digest),
    CONSTRAINT fk_refresh_token_citizen_id_refresh_family
        FOREIGN KEY (citizen_id, family_id) REFERENCES refresh_family (citizen_id, id)
        ON DELETE CASCADE
)
"""

CREATE_SOURCE_LINK = """
CREATE TABLE source_link (
    source_id uuid NOT NULL,
    account_digest bytea NOT NULL,
    id uuid NOT NULL,
    citizen_id uuid NOT NULL,
    account_key_version smallint NOT NULL,
    account_masked text NOT NULL,
    account_sealed bytea,
    sealed_key_version smallint,
    state text NOT NULL,
    holder_state text NOT NULL DEFAULT 'active',
    simulated boolean NOT NULL DEFAULT false,
    consent_purpose text NOT NULL,
    consent_version smallint NOT NULL,
    consent_digest bytea NOT NULL,
    requested_at timestamptz NOT NULL,
    linked_at timestamptz,
    covers_from timestamptz,
    ended_at timestamptz,
    CONSTRAINT pk_source_link PRIMARY KEY (source_id, account_digest, id),
    CONSTRAINT fk_source_link_source_id_partner FOREIGN KEY (source_id) REFERENCES partner (id),
    CONSTRAINT fk_source_link_citizen_id_citizen
        FOREIGN KEY (citizen_id) REFERENCES citizen (citizen_id),
    CONSTRAINT ck_source_link_digest_is_full_length CHECK (octet_length(account_digest) = 32),
    CONSTRAINT ck_source_link_holder_state_is_known CHECK (
        holder_state IN ('active', 'frozen', 'erased')),
    CONSTRAINT ck_source_link_state_says_its_times CHECK (
        CASE state
            WHEN 'awaiting_confirmation' THEN linked_at IS NULL AND ended_at IS NULL
            WHEN 'active' THEN linked_at IS NOT NULL AND ended_at IS NULL
            WHEN 'ended' THEN ended_at IS NOT NULL
            ELSE false
        END),
    CONSTRAINT ck_source_link_account_readable_only_while_awaiting CHECK (
        (account_sealed IS NOT NULL) = (state = 'awaiting_confirmation')
        AND (account_sealed IS NULL) = (sealed_key_version IS NULL))
) WITH (fillfactor = 90)
"""

CREATE_RELEASED_ACCOUNT = """
CREATE TABLE released_account (
    source_id uuid NOT NULL,
    account_trace bytea NOT NULL,
    released_at timestamptz NOT NULL,
    CONSTRAINT pk_released_account PRIMARY KEY (source_id, account_trace)
)
"""

CREATE_STAFF = """
CREATE TABLE staff (
    id uuid NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    partner_id uuid,
    password_hash text NOT NULL,
    totp_sealed bytea,
    totp_key_version smallint,
    totp_last_step bigint NOT NULL DEFAULT 0,
    failed_logins smallint NOT NULL DEFAULT 0,
    locked_until timestamptz,
    state text NOT NULL DEFAULT 'active',
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_staff PRIMARY KEY (id),
    CONSTRAINT uq_staff_name UNIQUE (name),
    CONSTRAINT fk_staff_partner_id_partner FOREIGN KEY (partner_id) REFERENCES partner (id),
    CONSTRAINT ck_staff_role_is_known CHECK (role IN ('operator', 'verifier', 'auditor')),
    CONSTRAINT ck_staff_state_is_known CHECK (state IN ('active', 'suspended')),
    CONSTRAINT ck_staff_second_factor_is_whole CHECK (
        (totp_sealed IS NULL) = (totp_key_version IS NULL))
)
"""

INDEXES = """
CREATE INDEX ix_client_assertion_expires_at ON client_assertion (expires_at);
CREATE INDEX ix_citizen_identity_former_phone_index ON citizen_identity (former_phone_index)
    WHERE former_phone_index IS NOT NULL;
CREATE INDEX ix_one_time_code_phone_index ON one_time_code (phone_index, sent_at);
CREATE INDEX ix_one_time_code_sent_at ON one_time_code (sent_at);
CREATE INDEX ix_refresh_token_citizen_id ON refresh_token (citizen_id, family_id);
-- One account is one person's at a time; the index decides the race.
CREATE UNIQUE INDEX uq_source_link_active ON source_link (source_id, account_digest)
    WHERE state = 'active';
CREATE UNIQUE INDEX uq_source_link_claim ON source_link (source_id, account_digest, citizen_id)
    WHERE state = 'awaiting_confirmation';
CREATE INDEX ix_source_link_citizen_id ON source_link (citizen_id);
CREATE INDEX ix_source_link_awaiting ON source_link (source_id, requested_at)
    WHERE state = 'awaiting_confirmation';
"""

TABLES = (
    CREATE_PARTNER,
    CREATE_PARTNER_CHANGE,
    CREATE_CLIENT_ASSERTION,
    CREATE_CITIZEN,
    CREATE_CITIZEN_IDENTITY,
    CITIZEN_PRIVATE_SALT,
    CREATE_CITIZEN_DEVICE,
    CREATE_CITIZEN_ACTION,
    CREATE_ERASURE,
    CREATE_ERASURE_COMPLETION,
    CREATE_ONE_TIME_CODE,
    CREATE_REFRESH_FAMILIES,
    CREATE_SOURCE_LINK,
    CREATE_RELEASED_ACCOUNT,
    CREATE_STAFF,
)

NAMES = (
    "staff",
    "released_account",
    "source_link",
    "refresh_token",
    "refresh_family",
    "one_time_code",
    "erasure_completion",
    "erasure",
    "citizen_action",
    "citizen_device",
    "citizen_secret",
    "citizen_identity",
    "citizen",
    "client_assertion",
    "partner_change",
    "partner",
)


def upgrade() -> None:
    for statement in (*TABLES, INDEXES):
        op.execute(statement)
    _grant_partners()
    _grant_citizens()
    _grant_what_erasure_deletes()
    # Staff log in: counters move, nobody is deleted.
    grant("staff", app="SELECT, INSERT, UPDATE")
    for table in ("partner", "partner_change", "citizen", "citizen_action", "erasure",
                  "erasure_completion"):  # fmt: skip
        show_to_auditors(table)


def _grant_partners() -> None:
    grant(
        "partner",
        app="SELECT, INSERT, UPDATE (region, link_proof, settlement_delay_days, state, jwks)",
    )
    protect("partner_change")
    # A work table: a number used once matters until its assertion would have expired.
    grant("client_assertion", app="SELECT, INSERT, DELETE")


def _grant_citizens() -> None:
    grant("citizen", app="SELECT, INSERT, UPDATE (state, last_seen_at, spending_held_until)")
    protect("citizen_action")
    protect("erasure")
    protect("erasure_completion")
    op.execute(f"GRANT SELECT ON citizen, erasure TO {ERASER}")
    op.execute(f"GRANT SELECT, INSERT ON erasure_completion TO {ERASER}")
    # A work table: codes live five minutes, and their rows one day, for the sending limits.
    grant(
        "one_time_code",
        app="SELECT, INSERT, UPDATE, DELETE",
        eraser="SELECT, UPDATE (phone_sealed)",
    )


def _grant_what_erasure_deletes() -> None:
    """Only the eraser deletes; what it may delete and names a citizen is what an erasure takes."""
    may_delete = "SELECT, DELETE"
    grant(
        "citizen_identity",
        app="SELECT, INSERT, UPDATE (phone_index, former_phone_index, phone_index_version,"
        " phone_sealed, phone_version)",
        eraser=may_delete,
    )
    grant("citizen_secret", app="SELECT, INSERT", eraser=may_delete)
    # A work table: staff who restore an account make it forget its devices.
    grant("citizen_device", app="SELECT, INSERT, DELETE", eraser=may_delete)
    grant(
        "refresh_family",
        app="SELECT, INSERT, UPDATE (revoked_at, revoked_because)",
        eraser=may_delete,
    )
    grant("refresh_token", app="SELECT, INSERT, UPDATE (used_at)", eraser=may_delete)
    grant(
        "source_link",
        app="SELECT, INSERT, UPDATE (state, holder_state, account_sealed, sealed_key_version,"
        " linked_at, covers_from, ended_at)",
        eraser=may_delete,
    )
    grant("released_account", app="SELECT", eraser="SELECT, INSERT, UPDATE")


def downgrade() -> None:
    for table in NAMES:
        op.execute(f"DROP TABLE {table}")
