"""The doors to PostgreSQL, when somebody slams them."""

from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import text

from service.runtime import Runtime


def end_every_session(runtime: Runtime) -> None:
    with psycopg.connect(runtime.settings.migration_database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def several_transactions(runtime: Runtime, count: int) -> list[int]:
    with ExitStack() as open_at_once:
        connections = [
            open_at_once.enter_context(runtime.database.raw_transaction()) for _ in range(count)
        ]
        return [connection.execute("SELECT 1").fetchall()[0][0] for connection in connections]


def test_one_dead_connection_discredits_the_others_of_the_pool(fresh_runtime: Runtime) -> None:
    several_transactions(fresh_runtime, 4)
    end_every_session(fresh_runtime)

    with (
        pytest.raises(psycopg.OperationalError),
        fresh_runtime.database.raw_transaction() as connection,
    ):
        connection.execute("SELECT 1")

    assert several_transactions(fresh_runtime, 4) == [1, 1, 1, 1]


def test_a_dead_reader_is_replaced_at_the_next_call(fresh_runtime: Runtime) -> None:
    with fresh_runtime.database.one_statement() as reader:
        reader.execute("SELECT 1")
    end_every_session(fresh_runtime)

    with (
        pytest.raises(psycopg.OperationalError),
        fresh_runtime.database.one_statement() as reader,
    ):
        reader.execute("SELECT 1")

    with fresh_runtime.database.one_statement() as reader:
        assert reader.execute("SELECT 1").fetchall() == [(1,)]


def test_a_forgotten_transaction_ends_at_both_doors(runtime: Runtime) -> None:
    shown = "SHOW idle_in_transaction_session_timeout"

    with runtime.database.transaction() as session:
        assert session.scalar(text(shown)) == "10s"
    with runtime.database.raw_transaction() as connection:
        assert connection.execute(shown).fetchone() == ("10s",)
