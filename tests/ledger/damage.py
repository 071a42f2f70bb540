"""What a mighty and careless hand can do to the books: the superuser's, with triggers taken off."""

from typing import Any

import psycopg

from service.runtime import Runtime


def damaged(runtime: Runtime, *statements: str, **values: Any) -> None:
    """Run statements as the superuser, past every trigger."""
    with psycopg.connect(runtime.settings.migration_database_url) as connection:
        triggers = connection.execute(
            "SELECT tgrelid::regclass::text, quote_ident(tgname) FROM pg_trigger"
            " WHERE tgname LIKE ANY(%s)",
            [["%only_grows", "%never_emptied", "%never_changes", "%gets_longer"]],
        ).fetchall()
        for table, trigger in triggers:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement, values)
        for table, trigger in triggers:
            connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
