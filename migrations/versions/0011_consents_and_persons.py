"""What a citizen lets a partner know and for how long, and which accounts are one person's."""

from alembic import op

from migrations.append_only import grant, never_changed, protect

revision = "0011"
down_revision = "0010"

CONSENT = """
CREATE TABLE consent (
    id uuid NOT NULL,
    citizen_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    subject text NOT NULL,
    recipient_name text NOT NULL DEFAULT '',
    recipient_contact text NOT NULL DEFAULT '',
    purpose text NOT NULL,
    text_version smallint NOT NULL,
    text_digest bytea NOT NULL,
    data_clusters text[] NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    max_uses integer,
    uses integer NOT NULL DEFAULT 0,
    periodic_limits jsonb NOT NULL DEFAULT '[]',
    renews uuid,
    state text NOT NULL DEFAULT 'authorised',
    status_reason text,
    version integer NOT NULL DEFAULT 1,
    acknowledged_at timestamptz,
    expiry_told_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_consent PRIMARY KEY (id),
    CONSTRAINT fk_consent_citizen_id_citizen FOREIGN KEY (citizen_id)
        REFERENCES citizen (citizen_id),
    CONSTRAINT fk_consent_partner_id_partner FOREIGN KEY (partner_id) REFERENCES partner (id),
    CONSTRAINT fk_consent_renews_consent FOREIGN KEY (renews) REFERENCES consent (id),
    CONSTRAINT ck_consent_state_is_known CHECK (
        state IN ('authorised', 'revoked', 'expired', 'renewed')),
    CONSTRAINT ck_consent_purpose_is_known CHECK (
        purpose IN ('benefit', 'report', 'identity_verification')),
    CONSTRAINT ck_consent_lasts CHECK (valid_from < valid_to),
    CONSTRAINT ck_consent_uses_within_limit CHECK (uses >= 0 AND uses <= max_uses),
    CONSTRAINT ck_consent_digest_is_sha256 CHECK (octet_length(text_digest) = 32)
)
"""

CONSENT_RECIPIENT = """
CREATE TABLE consent_recipient (
    partner_id uuid NOT NULL,
    name text NOT NULL,
    contact text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_consent_recipient PRIMARY KEY (partner_id),
    CONSTRAINT fk_consent_recipient_partner_id_partner FOREIGN KEY (partner_id)
        REFERENCES partner (id)
)
"""

CONSENT_CHANGE = """
CREATE TABLE consent_change (
    consent_id uuid NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    reason text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_consent_change PRIMARY KEY (consent_id, version),
    CONSTRAINT fk_consent_change_consent_id_consent FOREIGN KEY (consent_id)
        REFERENCES consent (id),
    CONSTRAINT ck_consent_change_kind_is_known CHECK (
        kind IN ('authorised', 'revoked', 'acknowledged', 'expiring', 'expired', 'renewed')),
    CONSTRAINT ck_consent_change_actor_kind_is_known CHECK (
        actor_kind IN ('citizen', 'partner', 'service'))
)
"""

CONSENT_USE = """
CREATE TABLE consent_use (
    consent_id uuid NOT NULL,
    period text NOT NULL,
    starts_at timestamptz NOT NULL,
    uses integer NOT NULL,
    most integer NOT NULL,
    CONSTRAINT pk_consent_use PRIMARY KEY (consent_id, period, starts_at),
    CONSTRAINT fk_consent_use_consent_id_consent FOREIGN KEY (consent_id) REFERENCES consent (id),
    CONSTRAINT ck_consent_use_within_limit CHECK (uses >= 0 AND uses <= most)
)
"""

CONSENT_ACCESS = """
CREATE TABLE consent_access (
    citizen_id uuid NOT NULL,
    id uuid NOT NULL,
    consent_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    operation text NOT NULL,
    about text,
    is_use boolean NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_consent_access PRIMARY KEY (citizen_id, id)
)
"""

PERSON_LINK = """
CREATE TABLE person_link (
    citizen_id uuid NOT NULL,
    person_id bytea NOT NULL,
    key_version smallint NOT NULL,
    verifier_id uuid NOT NULL,
    consent_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_person_link PRIMARY KEY (citizen_id),
    CONSTRAINT fk_person_link_citizen_id_citizen FOREIGN KEY (citizen_id)
        REFERENCES citizen (citizen_id),
    CONSTRAINT fk_person_link_verifier_id_partner FOREIGN KEY (verifier_id)
        REFERENCES partner (id),
    CONSTRAINT fk_person_link_consent_id_consent FOREIGN KEY (consent_id) REFERENCES consent (id),
    CONSTRAINT ck_person_link_digest_is_sha256 CHECK (octet_length(person_id) = 32)
)
"""


def upgrade() -> None:
    op.execute(CONSENT_RECIPIENT)
    grant("consent_recipient", app="SELECT, INSERT, UPDATE")
    op.execute(CONSENT)
    op.execute("CREATE INDEX ix_consent_citizen_id ON consent (citizen_id)")
    op.execute(
        "CREATE UNIQUE INDEX uq_consent_authorised ON consent (citizen_id, partner_id, purpose)"
        " WHERE state = 'authorised'"
    )
    op.execute("CREATE INDEX ix_consent_partner_id_subject ON consent (partner_id, subject)")
    op.execute("CREATE INDEX ix_consent_valid_to ON consent (valid_to) WHERE state = 'authorised'")
    grant("consent", app="SELECT, INSERT, UPDATE")
    op.execute(CONSENT_CHANGE)
    protect("consent_change")
    op.execute(CONSENT_USE)
    grant("consent_use", app="SELECT, INSERT, UPDATE")
    # Who looked at what is hers to read, and leaves with her.
    op.execute(CONSENT_ACCESS)
    grant("consent_access", app="SELECT, INSERT", eraser="SELECT, DELETE")
    never_changed("consent_access")
    op.execute(PERSON_LINK)
    op.execute("CREATE INDEX ix_person_link_person_id ON person_link (person_id)")
    grant("person_link", app="SELECT, INSERT", eraser="SELECT, DELETE")
    never_changed("person_link")


def downgrade() -> None:
    for table in (
        "person_link",
        "consent_access",
        "consent_use",
        "consent_change",
        "consent",
        "consent_recipient",
    ):
        op.execute(f"DROP TABLE {table}")
