"""Run migrations as the owner of the tables, one at a time, without waiting long for a lock."""

from alembic import context
from sqlalchemy import Connection, create_engine, text

from migrations.roles import OWNER, has_citus, prepare_roles

ONE_AT_A_TIME = 7305806
"""Advisory lock number: two processes that migrate at once go one after the other."""
TAKE_TURNS = text(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")


def run() -> None:
    """Upgrade the database whose URL the caller has put into the configuration."""
    engine = create_engine(context.config.attributes["url"])
    with engine.begin() as connection:
        connection.execute(TAKE_TURNS)
        prepare_roles(connection)
    # The roles are committed first: what Citus does elsewhere in their name needs them there.
    with engine.begin() as connection:
        connection.execute(TAKE_TURNS)
        connection.execute(text(f"SET LOCAL ROLE {OWNER}"))
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        _prepare_citus(connection)
        context.configure(
            connection=connection,
            target_metadata=context.config.attributes.get("target_metadata"),
            transaction_per_migration=False,
        )
        context.run_migrations()
    engine.dispose()


def _prepare_citus(connection: Connection) -> None:
    """Keep new tables here until `carbon distribute` sends them; then one node after the other."""
    if not has_citus(connection):
        return
    if connection.scalar(text("SELECT count(*) FROM pg_dist_partition")):
        connection.execute(text("SET LOCAL citus.multi_shard_modify_mode = 'sequential'"))
        connection.execute(text("SET LOCAL citus.enable_unsafe_triggers = on"))
    else:
        connection.execute(text("SET LOCAL citus.enable_ddl_propagation = off"))


run()
