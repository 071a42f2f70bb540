"""What each role may do with a table, and the three locks of a table that only grows."""

from alembic import op

from migrations.roles import APP, AUDITOR, ERASER

REFUSE_REWRITE = """
CREATE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: this table only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""


def protect(table: str) -> None:
    """Make a table append-only: no grant to rewrite it, and triggers that fire for everybody.

    `ENABLE ALWAYS` matters: an ordinary trigger is silent under `session_replication_role =
    replica`.
    """
    grant(table, app="SELECT, INSERT")
    op.execute(
        f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_rewrite()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_is_never_emptied BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewrite()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_only_grows")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_is_never_emptied")


def never_changed(table: str) -> None:
    """Refuse, to everybody, to change a row; the eraser may still take one away."""
    op.execute(
        f"CREATE TRIGGER {table}_never_changes BEFORE UPDATE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_rewrite()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_never_changes")


def grant(table: str, *, app: str, eraser: str = "") -> None:
    """Say what the application and the eraser may do; auditors look at everything but identity."""
    op.execute(f"GRANT {app} ON {table} TO {APP}")
    if eraser:
        op.execute(f"GRANT {eraser} ON {table} TO {ERASER}")


def show_to_auditors(table: str) -> None:
    """Let the auditor's role read a table that holds nobody's identity."""
    op.execute(f"GRANT SELECT ON {table} TO {AUDITOR}")
