"""The job queue's tables, functions and triggers, as the pinned library brings them.

The SQL is procrastinate's own `sql/schema.sql` (3.10, the version that requirements.lock pins). It
needs no superuser: it only makes sure that plpgsql exists, which every PostgreSQL has. When the pin
moves to a version that changes the schema, a new migration runs that version's
`sql/migrations/*.sql`, and this one must then read a copy of the schema of 3.10.
"""

import psycopg
from alembic import op
from procrastinate.schema import SchemaManager

from migrations.append_only import grant
from migrations.roles import APP

revision = "0005"
down_revision = "0004"

TABLES = (
    "procrastinate_workers",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_events",
)
SEQUENCES = (
    "procrastinate_jobs_id_seq",
    "procrastinate_periodic_defers_id_seq",
    "procrastinate_events_id_seq",
)


def upgrade() -> None:
    _run(SchemaManager.get_schema())
    for table in TABLES:
        # Work tables: a job that is done is deleted.
        grant(table, app="SELECT, INSERT, UPDATE, DELETE")
    op.execute(f"GRANT USAGE ON SEQUENCE {', '.join(SEQUENCES)} TO {APP}")


def _run(statements: str) -> None:
    """Run a script as it stands: SQLAlchemy would look for parameters after its % and colons."""
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101  the driver is fixed in the URL
    connection.execute(statements.encode())


def downgrade() -> None:
    _run(
        f"DROP TABLE {', '.join(TABLES)} CASCADE;"
        "DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status,"
        " procrastinate_job_event_type CASCADE;"
        "DO $$ DECLARE found regprocedure; BEGIN"
        " FOR found IN SELECT oid::regprocedure FROM pg_proc WHERE proname LIKE 'procrastinate\\_%'"
        " LOOP EXECUTE 'DROP FUNCTION ' || found || ' CASCADE'; END LOOP; END $$"
    )
