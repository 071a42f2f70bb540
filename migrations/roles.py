"""The database roles: who owns, who works, who may erase, who may only look."""

from sqlalchemy import Connection, text

OWNER = "carbon_owner"
APP = "carbon_app"
ERASER = "carbon_eraser"
AUDITOR = "carbon_auditor"

_ROLES = {
    OWNER: "NOLOGIN",
    # No password is set here: where passwords are asked for, nobody can sign in as these three
    # until the operator of the database gives them one.
    APP: "LOGIN",
    ERASER: "LOGIN",
    AUDITOR: "LOGIN",
}


def prepare_roles(connection: Connection) -> None:
    """Create the roles that are missing and let them into the schema."""
    for role, login in _ROLES.items():
        if not _exists(connection, role):
            connection.execute(text(f"CREATE ROLE {role} {login} NOINHERIT"))
        if not connection.scalar(text(f"SELECT pg_has_role(current_user, '{role}', 'SET')")):
            connection.execute(text(f"GRANT {role} TO current_user"))
    if has_citus(connection):
        # Citus speaks to the other nodes as whoever acts here, the owner included.
        connection.execute(text(f"ALTER ROLE {OWNER} LOGIN"))
    connection.execute(text("REVOKE ALL ON SCHEMA public FROM PUBLIC"))
    connection.execute(text(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {APP}, {ERASER}, {AUDITOR}"))


def has_citus(connection: Connection) -> bool:
    """Say whether this is a database that Citus can spread over several machines."""
    return bool(connection.scalar(text("SELECT to_regclass('pg_dist_partition') IS NOT NULL")))


def _exists(connection: Connection, role: str) -> bool:
    found = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    return found is not None
