"""`carbon distribute`, beside functions that go by the names of Citus' and write down their calls.

There is no Citus in the embedded wheels. What is stood in for is only what is outside: whether the
real one takes these calls is not shown here.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from service.db import Database
from service.runtime import Runtime
from service.sharding.command import distribute_command
from service.sharding.placement import DISTRIBUTED, REFERENCE

STAND_IN = """
CREATE SCHEMA stand_in;
GRANT USAGE ON SCHEMA stand_in TO PUBLIC;
CREATE TABLE stand_in.call (place int GENERATED ALWAYS AS IDENTITY, name text, terms text);
CREATE TABLE stand_in.pg_dist_partition (logicalrelid regclass, partmethod text, repmodel text);
CREATE TABLE stand_in.pg_dist_node (
    groupid int, isactive boolean DEFAULT true, shouldhaveshards boolean DEFAULT true);
INSERT INTO stand_in.pg_dist_node (groupid) VALUES (1), (2);

CREATE FUNCTION stand_in.create_reference_table(table_name regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, stand_in, public AS $$
BEGIN
    INSERT INTO call (name, terms) VALUES ('reference', table_name::text);
    INSERT INTO pg_dist_partition VALUES (table_name, 'n', 't');
END $$;

CREATE FUNCTION stand_in.create_distributed_table(
    table_name regclass, distribution_column text, colocate_with text DEFAULT 'default',
    shard_count int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, stand_in, public AS $$
BEGIN
    IF NOT current_setting('citus.enable_unsafe_triggers')::bool
       OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = table_name AND tgtype & 1 = 0) THEN
        RAISE EXCEPTION 'triggers are not supported';
    END IF;
    INSERT INTO call (name, terms) VALUES ('distributed', concat_ws(
        ' ', table_name::text, distribution_column, colocate_with, shard_count));
    INSERT INTO pg_dist_partition VALUES (table_name, 'h', 's');
END $$;

CREATE FUNCTION stand_in.create_distributed_function(function_name regprocedure) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO stand_in.call (name, terms) VALUES ('function', function_name::text);
$$;

CREATE FUNCTION stand_in.citus_set_coordinator_host(host text, port int) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO stand_in.call (name, terms) VALUES ('coordinator', host);
    INSERT INTO stand_in.pg_dist_node VALUES (0, true, false);
$$;

CREATE FUNCTION stand_in.run_command_on_workers(command text)
RETURNS TABLE (nodename text, nodeport int, success boolean, result text)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stand_in.call (name, terms) VALUES ('workers', command);
    EXECUTE command;
    RETURN QUERY SELECT 'worker-1', 5432, terms <> 'no', 'down' FROM stand_in.call
        ORDER BY place LIMIT 1;
END $$;

CREATE FUNCTION stand_in.truncate_local_data_after_distributing_table(table_name regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stand_in.call (name, terms) VALUES ('emptied', table_name::text);
    EXECUTE format('TRUNCATE %s CASCADE', table_name);
END $$;
"""


Cluster = psycopg.Connection[Any]


@pytest.fixture
def cluster(fresh_runtime: Runtime) -> Iterator[Cluster]:
    """A database that looks as if Citus were in it, with two workers."""
    url = fresh_runtime.settings.migration_database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(STAND_IN)
        database = connection.info.dbname
        connection.execute(f"ALTER DATABASE {database} SET search_path = public, stand_in".encode())
        yield connection


def distribute(runtime: Runtime, *words: str) -> Result:
    return CliRunner().invoke(distribute_command, words, obj=runtime)


def calls(connection: Cluster, name: str) -> list[str]:
    query = "SELECT terms FROM stand_in.call WHERE name = %s ORDER BY place"
    return [row[0] for row in connection.execute(query, [name])]


class TestDistributing:
    def test_sends_every_table_to_its_place_in_order(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        done = distribute(fresh_runtime, "--shards", "8")

        assert done.exit_code == 0, done.output
        assert calls(cluster, "reference") == list(REFERENCE)
        anchor, *others = DISTRIBUTED
        assert calls(cluster, "distributed") == [
            f"{anchor} citizen_id none 8",
            *(f"{each} citizen_id public.{anchor}" for each in others),
        ]

    def test_gives_up_the_keys_of_local_tables_to_partners(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        distribute(fresh_runtime)

        left = cluster.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint"
            " WHERE contype = 'f' AND confrelid = 'partner'::regclass"
        ).fetchall()
        assert left == [("partner_change",)]

    def test_drops_triggers_on_truncate_and_says_so(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        done = distribute(fresh_runtime)

        left = cluster.execute(
            "SELECT tgrelid::regclass::text, tgenabled::text FROM pg_trigger"
            " WHERE tgname IN ('transfer_only_grows', 'transfer_is_never_emptied')"
        ).fetchall()
        assert left == [("transfer", "A")]
        assert "drops transfer_is_never_emptied: Citus takes no statement trigger" in done.output

    def test_empties_what_was_copied_and_nothing_else(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        distribute(fresh_runtime)

        assert calls(cluster, "emptied") == ["scheme_rules"]

    def test_sends_the_function_that_shards_call(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        distribute(fresh_runtime)

        assert calls(cluster, "function") == ["moved_after(timestamp with time zone)"]

    def test_tells_citus_where_the_coordinator_is(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        distribute(fresh_runtime)

        assert calls(cluster, "coordinator") == ["localhost"]

    def test_twice_does_nothing_the_second_time(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        distribute(fresh_runtime)
        before = cluster.execute("SELECT count(*) FROM stand_in.call").fetchone()

        again = distribute(fresh_runtime)

        assert again.exit_code == 0
        assert again.output.count("\n") == 1
        assert cluster.execute("SELECT count(*) FROM stand_in.call").fetchone() == before

    def test_after_a_stop_goes_on_where_it_stopped(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        cluster.execute("INSERT INTO stand_in.pg_dist_partition VALUES ('account', 'h', 's')")

        distribute(fresh_runtime)

        assert [each.split()[0] for each in calls(cluster, "distributed")] == list(DISTRIBUTED)[1:]

    def test_dry_says_what_it_would_do_and_does_nothing(
        self, fresh_runtime: Runtime, cluster: Cluster
    ) -> None:
        told = distribute(fresh_runtime, "--dry-run")

        assert told.exit_code == 0
        wanted = "SELECT \"create_distributed_table\"('public.lot', 'citizen_id', "
        assert wanted in told.output
        assert cluster.execute("SELECT count(*) FROM stand_in.call").fetchone() == (0,)


class TestDistributingIsRefused:
    def test_without_citus(self, fresh_runtime: Runtime) -> None:
        refused = distribute(fresh_runtime)

        assert refused.exit_code == 1
        assert "This PostgreSQL has no Citus" in refused.output

    @pytest.mark.parametrize(
        ("spoiled", "sentence"),
        [
            ("DROP TABLE appeal_decision", "please run carbon migrate: appeal_decision"),
            (
                "INSERT INTO stand_in.pg_dist_partition VALUES ('citizen', 'n', 't')",
                "elsewhere than the map says",
            ),
            ("UPDATE stand_in.pg_dist_node SET shouldhaveshards = false", "may hold shards"),
            ("INSERT INTO stand_in.call (name, terms) VALUES ('worker', 'no')", "worker-1:5432"),
            ("CREATE TRIGGER t AFTER INSERT ON account EXECUTE FUNCTION refuse_rewrite()", ""),
        ],
    )
    def test_with_a_sentence_when_something_stands_in_the_way(
        self, fresh_runtime: Runtime, cluster: Cluster, spoiled: str, sentence: str
    ) -> None:
        cluster.execute(spoiled.encode())

        refused = distribute(fresh_runtime)

        assert (refused.exit_code == 1) == bool(sentence), refused.output
        assert sentence in refused.output


@pytest.mark.parametrize(("on_citus", "mode"), [(False, "force_generic_plan"), (True, "auto")])
def test_plans_are_left_to_citus_where_it_is(
    fresh_runtime: Runtime, request: pytest.FixtureRequest, mode: str, *, on_citus: bool
) -> None:
    if on_citus:
        request.getfixturevalue("cluster")
    database = Database(fresh_runtime.settings.database_url, size=1)

    with database.raw_transaction() as connection, database.one_statement() as reader:
        for door in (connection, reader):
            row = door.execute("SHOW plan_cache_mode").fetchone()
            assert row == (mode,)

    database.close()
