"""The declared map against the tables as they are: Citus would take it as it stands."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from service.migrate import metadata
from service.runtime import Runtime
from service.sharding.placement import (
    COLUMN,
    DISTRIBUTED,
    LOCAL,
    REFERENCE,
    Placement,
    is_given_up,
    placements,
)

PLACES = placements()
Connection = psycopg.Connection[Any]


class Key(NamedTuple):
    """A unique index, or one side of a foreign key."""

    table: str
    name: str
    columns: tuple[str, ...]


class ForeignKey(NamedTuple):
    """Both sides."""

    referring: Key
    referred: Key


@pytest.fixture(scope="module")
def connection(runtime: Runtime) -> Iterator[Connection]:
    with psycopg.connect(runtime.settings.migration_database_url) as opened:
        yield opened


UNIQUE = """
SELECT c.relname, i.relname, array_agg(a.attname::text ORDER BY k.place)
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace
GROUP BY c.relname, i.relname
"""

FOREIGN = """
SELECT c.conname, s.relname, t.relname,
       array(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (n, place)
             JOIN pg_attribute a ON a.attrelid = s.oid AND a.attnum = k.n ORDER BY place),
       array(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k (n, place)
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n ORDER BY place)
FROM pg_constraint c JOIN pg_class s ON s.oid = c.conrelid JOIN pg_class t ON t.oid = c.confrelid
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
"""

NUMBERED = """
SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
  AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval%')
"""


def unique_keys(connection: Connection) -> list[Key]:
    return [Key(row[0], row[1], tuple(row[2])) for row in connection.execute(UNIQUE)]


def foreign_keys(connection: Connection) -> list[ForeignKey]:
    return [
        ForeignKey(Key(s, name, tuple(s_columns)), Key(t, name, tuple(t_columns)))
        for name, s, t, s_columns, t_columns in connection.execute(FOREIGN)
    ]


class TestTheMap:
    def test_has_every_table_once(self, connection: Connection) -> None:
        made = {
            row[0]
            for row in connection.execute(
                "SELECT relname FROM pg_class"
                " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        }
        modelled = set(metadata().tables)

        homeless = sorted((made | modelled) - set(PLACES))

        assert not homeless, (
            f"{homeless} have no place: put them into DISTRIBUTED (hers alone and hot; every key"
            f" leads with {COLUMN}), REFERENCE (few rows, read beside a citizen's) or LOCAL (the"
            " rest) of service/sharding/placement.py, with the reason"
        )
        assert set(PLACES) == made, "the map names tables that there are not"
        assert len(PLACES) == len(DISTRIBUTED) + len(REFERENCE) + len(LOCAL)

    def test_gives_each_table_a_reason(self) -> None:
        assert all([*DISTRIBUTED.values(), *REFERENCE.values(), *LOCAL.values()])


class TestADistributedTable:
    @pytest.mark.parametrize("table", DISTRIBUTED)
    def test_leads_its_primary_key_with_the_citizen(self, table: str) -> None:
        assert next(iter(metadata().tables[table].primary_key)).name == COLUMN

    def test_has_the_citizen_in_every_unique_key(self, connection: Connection) -> None:
        without = [
            key
            for key in unique_keys(connection)
            if key.table in DISTRIBUTED and COLUMN not in key.columns
        ]

        assert without == []

    def test_is_cut_by_a_column_of_one_type(self) -> None:
        types = {str(metadata().tables[table].c[COLUMN].type) for table in DISTRIBUTED}

        assert len(types) == 1

    def test_counts_nothing_across_machines(self, connection: Connection) -> None:
        numbered = {row[0] for row in connection.execute(NUMBERED)}

        assert not numbered & {*DISTRIBUTED, *REFERENCE}


def is_legal(key: ForeignKey) -> bool:
    """As Citus has it; what is between two local tables is PostgreSQL's own."""
    places = PLACES[key.referring.table], PLACES[key.referred.table]
    if places == (Placement.DISTRIBUTED, Placement.DISTRIBUTED):
        pairs = zip(key.referring.columns, key.referred.columns, strict=True)
        return (COLUMN, COLUMN) in pairs
    return places in {
        (Placement.DISTRIBUTED, Placement.REFERENCE),
        (Placement.REFERENCE, Placement.REFERENCE),
        (Placement.LOCAL, Placement.LOCAL),
    } or is_given_up(*places)


class TestAForeignKey:
    def test_is_one_that_citus_can_keep(self, connection: Connection) -> None:
        refused = [key for key in foreign_keys(connection) if not is_legal(key)]

        assert refused == []

    def test_is_given_up_only_where_a_partner_is_referred_to(self, connection: Connection) -> None:
        given_up = {
            (key.referring.table, key.referred.table)
            for key in foreign_keys(connection)
            if is_given_up(PLACES[key.referring.table], PLACES[key.referred.table])
        }

        assert given_up == {
            ("client_assertion", "partner"),
            ("consent", "partner"),
            ("consent_recipient", "partner"),
            ("offer", "partner"),
            ("partner_profile", "partner"),
            ("person_link", "partner"),
            ("settlement_batch", "partner"),
            ("source_link", "partner"),
            ("staff", "partner"),
            ("webhook_endpoint", "partner"),
        }

    @pytest.mark.parametrize("tables", [DISTRIBUTED, REFERENCE])
    def test_leads_to_a_table_that_was_sent_before(
        self, connection: Connection, tables: dict[str, str]
    ) -> None:
        order = list(tables)

        for key in foreign_keys(connection):
            if key.referring.table in tables and key.referred.table in tables:
                assert order.index(key.referred.table) < order.index(key.referring.table)


def test_nobody_can_take_away_what_a_given_up_key_led_to(connection: Connection) -> None:
    """So that a partner's id never leads nowhere, key or no key."""
    able = connection.execute(
        "SELECT role FROM unnest(ARRAY['carbon_app', 'carbon_eraser', 'carbon_auditor']) AS role"
        " WHERE has_table_privilege(role, 'partner', 'DELETE')"
        "    OR has_column_privilege(role, 'partner', 'id', 'UPDATE')"
    ).fetchall()

    assert able == []
