"""The migrations: they make what the models say, guard what only grows, and lead back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import errors as pg
from sqlalchemy import CheckConstraint, create_engine
from sqlalchemy.dialects.postgresql.base import PGDialect

from service.db import sqlalchemy_url
from service.embedded import engines
from service.ledger.audit import run_audit
from service.ledger.invariants import CHECKS
from service.ledger.models import Xid8
from service.migrate import alembic_config, metadata, migrate
from service.runtime import Runtime

PGDialect.ischema_names["xid8"] = Xid8  # a type that SQLAlchemy does not know by itself

ONLY_GROW = (
    "transfer",
    "posting",
    "refusal",
    "activity",
    "verdict",
    "activity_batch",
    "quantification_basis",
    "scheme_rules",
    "entered_factor",
    "factor_approval",
    "certification_batch",
    "certification_batch_item",
    "certification_decision",
    "certification_outcome",
    "citizen_action",
    "consent_change",
    "erasure",
    "erasure_completion",
    "partner_change",
    "offer_version",
    "change_request",
    "change_decision",
    "quote",
    "redemption_record",
    "inquiry",
    "forced_resolution",
    "forced_resolution_approval",
    "log_identity",
    "log_event",
    "log_tile",
    "log_bundle",
    "log_seal",
    "log_head",
    "correction",
    "invalidation",
    "grade_rules",
    "grade_rules_approval",
    "settlement_batch_change",
    "settlement_manifest",
    "partner_file",
    "exception_step",
)

REWRITES = {
    "UPDATE": "UPDATE {table} SET {column} = {column}",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table} CASCADE",
}


@pytest.fixture(scope="module")
def postgres_16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database of the oldest PostgreSQL that is promised to work."""
    home: Path = tmp_path_factory.mktemp("oldest") / "var"
    with engines(home, small=True, valkey=False, postgres_version=16) as running:
        url = running.dsn("postgres")
        migrate(url)
        yield url


def differences(url: str) -> list[Any]:
    """What the models would change about a database."""
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
            found = compare_metadata(context, metadata())
    finally:
        engine.dispose()
    # Columns that differ come as a list of what differs; comments are for readers of the models.
    changes = [change for each in found for change in (each if isinstance(each, list) else [each])]
    return [change for change in changes if change[0] != "modify_comment"]


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or not (name or "").startswith("procrastinate_")


def tables_that_only_grow(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute(
        "SELECT tgrelid::regclass::text FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
        " WHERE proname = 'refuse_rewrite' AND tgenabled = 'A' GROUP BY tgrelid HAVING count(*) = 2"
    )
    return {row[0] for row in rows}


class TestTheMigrations:
    def test_make_what_the_models_say(self, runtime: Runtime) -> None:
        assert differences(runtime.settings.migration_database_url) == []

    def test_make_the_models_checks(self, runtime: Runtime) -> None:
        modelled = {
            (table.name, constraint.name)
            for table in metadata().tables.values()
            for constraint in table.constraints
            if isinstance(constraint, CheckConstraint)
        }

        with psycopg.connect(runtime.settings.migration_database_url) as connection:
            made = connection.execute(
                "SELECT conrelid::regclass::text, conname FROM pg_constraint"
                " WHERE contype = 'c' AND conrelid <> 0 AND conname LIKE 'ck\\_%'"
            ).fetchall()

        assert set(made) == modelled

    def test_make_the_same_on_the_oldest_postgres(self, postgres_16: str) -> None:
        with psycopg.connect(postgres_16) as connection:
            assert connection.info.server_version // 10_000 == 16
            assert tables_that_only_grow(connection) == set(ONLY_GROW)
        assert differences(postgres_16) == []

    def test_lead_back_to_nothing_and_up_again(self, fresh_runtime: Runtime) -> None:
        url = fresh_runtime.settings.migration_database_url

        command.downgrade(alembic_config(url), "base")
        with psycopg.connect(url) as connection:
            left = connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'S') AND relname <> 'alembic_version'"
            ).fetchall()
        migrate(url)

        assert left == []
        assert differences(url) == []


LEDGER_OF_BEFORE = """
INSERT INTO citizen (citizen_id, last_seen_at)
SELECT citizen_id, now() FROM unnest(%(citizens)s::uuid[]) AS citizen_id;
INSERT INTO account (citizen_id) SELECT unnest(%(citizens)s::uuid[]);
INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g)
SELECT citizen_id, gen_random_uuid(), kind, '2020-03-31', 7, 8
FROM unnest(%(citizens)s::uuid[]) AS citizen_id, unnest(ARRAY['issue', 'expire']) AS kind;
INSERT INTO lot (citizen_id, expires_on, issued_points, issued_g, available_points, available_g,
    expired_points, expired_g)
SELECT unnest(%(citizens)s::uuid[]), '2020-03-31', 7, 8, 0, 0, 7, 8;
INSERT INTO erasure (citizen_id, requested_by) VALUES (%(erased)s, 'citizen')
"""


class TestALedgerOfBeforePostings:
    @pytest.fixture
    def erased_id(self, fresh_runtime: Runtime) -> UUID:
        """One of two citizens whose transfers were there before the others' migrations."""
        url, erased = fresh_runtime.settings.migration_database_url, uuid4()
        command.downgrade(alembic_config(url), "0005")
        with psycopg.ClientCursor(psycopg.connect(url)) as cursor, cursor.connection:
            cursor.execute("SET ROLE carbon_owner")
            cursor.execute(LEDGER_OF_BEFORE, {"citizens": [uuid4(), erased], "erased": erased})
        migrate(url)
        return erased

    @pytest.mark.usefixtures("erased_id")
    def test_passes_the_audit(self, fresh_runtime: Runtime) -> None:
        found = run_audit(fresh_runtime.database, CHECKS)

        assert [each.name for each in found if each.differences] == []

    def test_gives_no_secret_to_whoever_was_erased(
        self, fresh_runtime: Runtime, erased_id: UUID
    ) -> None:
        with fresh_runtime.database.raw_transaction() as connection:
            without = connection.execute("SELECT citizen_id FROM account WHERE secret IS NULL")

            assert without.fetchall() == [(erased_id,)]


class TestATableThatOnlyGrows:
    def test_is_one_of_these(self, runtime: Runtime) -> None:
        with psycopg.connect(runtime.settings.migration_database_url) as connection:
            assert tables_that_only_grow(connection) == set(ONLY_GROW)

    @pytest.mark.parametrize("rewrite", REWRITES)
    @pytest.mark.parametrize("table", ONLY_GROW)
    @pytest.mark.parametrize("role", ["carbon_app", "carbon_eraser", "carbon_auditor"])
    def test_cannot_be_rewritten_by_a_working_role(
        self, runtime: Runtime, role: str, table: str, rewrite: str
    ) -> None:
        with psycopg.connect(runtime.settings.migration_database_url) as connection:
            statement = rewriting(connection, rewrite, table)
            connection.execute(f"SET ROLE {role}")

            with pytest.raises(pg.InsufficientPrivilege):
                connection.execute(statement)

    @pytest.mark.parametrize("replication_role", ["origin", "replica"])
    @pytest.mark.parametrize("rewrite", REWRITES)
    @pytest.mark.parametrize("table", ["scheme_rules", "transfer"])
    def test_cannot_be_rewritten_by_the_superuser(
        self, books_with_a_transfer: Runtime, table: str, rewrite: str, replication_role: str
    ) -> None:
        url = books_with_a_transfer.settings.migration_database_url
        with psycopg.connect(url) as connection:
            connection.execute(f"SET session_replication_role = {replication_role}")
            statement = rewriting(connection, rewrite, table)

            with pytest.raises(pg.RestrictViolation, match="only grows"):
                connection.execute(statement)


@pytest.mark.parametrize(
    "table",
    [
        "activity_detail",
        "appeal",
        "appeal_decision",
        "correction_reason",
        "invalidation_proposal",
        "retirement",
        "notice",
    ],
)
def test_details_can_be_taken_away_but_not_changed(runtime: Runtime, table: str) -> None:
    with psycopg.connect(runtime.settings.migration_database_url) as connection:
        enabled = connection.execute(
            "SELECT tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s",
            [table, f"{table}_never_changes"],
        ).fetchall()

    assert enabled == [("A",)]


@pytest.fixture
def books_with_a_transfer(runtime: Runtime) -> Runtime:
    with runtime.database.raw_transaction() as connection:
        connection.execute(
            "INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g,"
            " recorded_at, commitment)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), 'issue', '2030-12-31', 1, 1, now(),"
            " sha256(''))"
        )
    return runtime


def rewriting(connection: psycopg.Connection[Any], rewrite: str, table: str) -> str:
    row = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [table]
    ).fetchone()
    assert row is not None
    return REWRITES[rewrite].format(table=table, column=row[0])
