"""What Citus says of this database: its nodes, and what is where already."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg

from service.sharding.placement import Placement, placements

HAS_CITUS: Final = "SELECT to_regproc('create_reference_table') IS NOT NULL"
CAN_HAVE_CITUS: Final = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citus')"

# A table with a single copy on the coordinator ("n" without "t") is no reference table yet.
PLACED: Final = """
SELECT c.relname, CASE WHEN p.partmethod = 'h' THEN 'distributed' ELSE 'reference' END
FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
WHERE c.relnamespace = 'public'::regnamespace
  AND (p.partmethod = 'h' OR (p.partmethod = 'n' AND p.repmodel = 't'))
"""

NODES: Final = """
SELECT count(*), coalesce(bool_or(groupid = 0), false),
       count(*) FILTER (WHERE isactive AND shouldhaveshards)
FROM pg_dist_node
"""

TABLES: Final = """
SELECT relname, pg_relation_size(oid) > 0 FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""

# Shards and their copies of keys and triggers are no tables of ours, so these go by our names.
FOREIGN_KEYS: Final = """
SELECT k.conname, referring.relname, referred.relname FROM pg_constraint k
JOIN pg_class referring ON referring.oid = k.conrelid
JOIN pg_class referred ON referred.oid = k.confrelid
WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
  AND referring.relname = ANY(%(ours)s) AND referred.relname = ANY(%(ours)s)
ORDER BY referring.relname, k.conname
"""

# Statement triggers: bit 0 of tgtype is "for each row".
STATEMENT_TRIGGERS: Final = """
SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%(ours)s)
  AND NOT t.tgisinternal AND t.tgtype & 1 = 0
ORDER BY t.tgname
"""

OWNER_MAY_LOG_IN: Final = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'carbon_owner'"


class ForeignKey(NamedTuple):
    """A foreign key between two tables."""

    name: str
    referring: str
    referred: str


class Nodes(NamedTuple):
    """The machines that Citus knows."""

    known: int
    has_coordinator: bool
    with_shards: int


@dataclass(frozen=True, slots=True)
class State:
    """What there is, before anything is done about it."""

    tables: dict[str, bool]
    """Every table, and whether rows lie in it on this machine."""
    placed: dict[str, Placement]
    nodes: Nodes
    foreign_keys: list[ForeignKey]
    statement_triggers: list[tuple[str, str]]
    owner_may_log_in: bool

    @property
    def missing(self) -> list[str]:
        """The tables that the map has and the database has not."""
        return sorted(set(placements()) - set(self.tables))

    @property
    def misplaced(self) -> list[str]:
        """The tables that are elsewhere than the map says."""
        wanted = placements()
        return sorted(name for name, place in self.placed.items() if wanted.get(name) != place)


def read_state(connection: psycopg.Connection[Any]) -> State:
    """Return what there is."""
    ours = {"ours": list(placements())}
    nodes = connection.execute(NODES).fetchone()
    owner = connection.execute(OWNER_MAY_LOG_IN).fetchone()
    assert nodes is not None  # noqa: S101  an aggregate always has a row
    return State(
        tables=dict(connection.execute(TABLES).fetchall()),
        placed={name: Placement(place) for name, place in connection.execute(PLACED)},
        nodes=Nodes(*nodes),
        foreign_keys=[ForeignKey(*row) for row in connection.execute(FOREIGN_KEYS, ours)],
        statement_triggers=connection.execute(STATEMENT_TRIGGERS, ours).fetchall(),
        owner_may_log_in=owner is not None and bool(owner[0]),
    )


def is_true(connection: psycopg.Connection[Any], question: str) -> bool:
    """Return the answer to a question of one boolean."""
    row = connection.execute(question.encode()).fetchone()
    return row is not None and bool(row[0])
