"""Run migrations as the owner of the tables, one at a time, without waiting long for a lock."""

from alembic import context
from sqlalchemy import create_engine, text

from migrations.roles import prepare_roles

ONE_AT_A_TIME = 7305806
"""Advisory lock number: two processes that migrate at once go one after the other."""


def run() -> None:
    """Upgrade the database whose URL the caller has put into the configuration."""
    engine = create_engine(context.config.attributes["url"])
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})"))
        prepare_roles(connection)
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.configure(
            connection=connection,
            target_metadata=context.config.attributes.get("target_metadata"),
            transaction_per_migration=False,
        )
        context.run_migrations()
    engine.dispose()


run()
