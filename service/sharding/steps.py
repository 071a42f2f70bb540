"""What is left to be done until every table is where the map says, in order.

A step is one transaction and is left out once it is done, so a run that was stopped is simply run
again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from service.sharding.placement import (
    ANCHOR,
    COLUMN,
    DISTRIBUTED,
    REFERENCE,
    is_given_up,
    placements,
)
from service.sharding.state import ForeignKey, State

SESSION: Final = (
    # Row triggers go along to the shards, where they refuse to rewrite as they did here.
    "SET citus.enable_unsafe_triggers = on",
    # One node after the other: in parallel, tables that refer to each other disturb each other.
    "SET citus.multi_shard_modify_mode = 'sequential'",
    "SET lock_timeout = '10s'",
)

# In an older database the roles were made before Citus was there, and the other nodes lack them.
# The switch keeps a node from refusing or passing on what is meant for it alone.
ROLES_ELSEWHERE: Final = """
DO $do$
DECLARE missing text;
BEGIN
    PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
    FOREACH missing IN ARRAY
        ARRAY['carbon_owner', 'carbon_app', 'carbon_eraser', 'carbon_auditor']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = missing) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', missing);
        END IF;
    END LOOP;
    GRANT USAGE ON SCHEMA public TO carbon_owner, carbon_app, carbon_eraser, carbon_auditor;
    GRANT CREATE ON SCHEMA public TO carbon_owner;
END $do$
"""


FUNCTION: Final = "public.moved_after(timestamptz)"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, in words and in SQL."""

    says: str
    statements: tuple[sql.SQL | sql.Composed, ...]


def steps_left(state: State, *, host: str, port: int, shards: int | None) -> Iterator[Step]:
    """Yield what is left to be done.

    Args:
        state: what there is.
        host: where the other machines reach this one, if Citus has not been told.
        port: likewise.
        shards: how many pieces, if nothing is distributed yet; None: as Citus is set.
    """
    yield from _prepared_nodes(state, host, port)
    wanted = placements()
    for key in state.foreign_keys:
        if is_given_up(wanted[key.referring], wanted[key.referred]):
            yield _give_up(key)
    for table, reason in REFERENCE.items():
        if table not in state.placed:
            yield _to_every_machine(state, table, reason)
    for table, reason in DISTRIBUTED.items():
        if table not in state.placed:
            yield _by_citizen(state, table, reason, shards)
    for table in (*REFERENCE, *DISTRIBUTED):
        if state.tables[table]:
            yield _drop_what_was_copied(table)


def _prepared_nodes(state: State, host: str, port: int) -> Iterator[Step]:
    if state.nodes.known and not state.nodes.has_coordinator:
        yield Step(
            f"tell Citus that the coordinator is at {host}:{port}",
            (_call("citus_set_coordinator_host", host, port),),
        )
    if not state.owner_may_log_in:
        yield Step(
            "let carbon_owner log in: Citus speaks to other machines as the tables' owner",
            (sql.SQL("ALTER ROLE carbon_owner LOGIN"),),
        )
    if set(state.placed) >= {*REFERENCE, *DISTRIBUTED}:
        return
    everywhere = sql.SQL(
        "SELECT nodename || ':' || nodeport || ': ' || result"
        " FROM run_command_on_workers({}) WHERE NOT success"
    ).format(sql.Literal(ROLES_ELSEWHERE))
    yield Step("make sure that every machine has the roles", (everywhere,))
    yield Step(
        f"{FUNCTION}: to every machine, where the shards call it",
        (_call("create_distributed_function", FUNCTION),),
    )


def _give_up(key: ForeignKey) -> Step:
    return Step(
        f"{key.referring}: give up the foreign key to {key.referred}; a local table keeps none to"
        " a reference table",
        (
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.Identifier(key.referring), sql.Identifier(key.name)
            ),
        ),
    )


def _to_every_machine(state: State, table: str, reason: str) -> Step:
    return Step(
        f"{table}: to every machine; {reason}{_without_triggers(state, table)}",
        (*_dropped_triggers(state, table), _call("create_reference_table", _name(table))),
    )


def _by_citizen(state: State, table: str, reason: str, shards: int | None) -> Step:
    options: dict[str, str | int] = {"colocate_with": _name(ANCHOR)}
    if table == ANCHOR:
        options = {"colocate_with": "none", **({"shard_count": shards} if shards else {})}
    created = _call("create_distributed_table", _name(table), COLUMN, **options)
    return Step(
        f"{table}: by {COLUMN}; {reason}{_without_triggers(state, table)}",
        (*_dropped_triggers(state, table), created),
    )


def _drop_what_was_copied(table: str) -> Step:
    return Step(
        f"{table}: empty what stayed behind here when its rows were copied",
        (_call("truncate_local_data_after_distributing_table", _name(table)),),
    )


def _dropped_triggers(state: State, table: str) -> Iterator[sql.SQL | sql.Composed]:
    for name in _triggers_of(state, table):
        yield sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(name), sql.Identifier(table))


def _without_triggers(state: State, table: str) -> str:
    names = ", ".join(_triggers_of(state, table))
    return f" (drops {names}: Citus takes no statement trigger)" if names else ""


def _triggers_of(state: State, table: str) -> list[str]:
    return [name for of_table, name in state.statement_triggers if of_table == table]


def _name(table: str) -> str:
    return f"public.{table}"


def _call(function: str, *arguments: str | int, **options: str | int) -> sql.SQL | sql.Composed:
    given = [sql.Literal(each) for each in arguments]
    named = [
        sql.SQL("{} => {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in options.items()
    ]
    return sql.SQL("SELECT {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join([*given, *named])
    )


def stands_in_the_way(state: State) -> str | None:
    """Return why nothing can be done yet, in a sentence, or None."""
    if state.missing:
        return f"These tables are missing; please run carbon migrate: {', '.join(state.missing)}."
    if state.misplaced:
        return (
            "These tables are elsewhere than the map says; please move them back with"
            f" undistribute_table first: {', '.join(state.misplaced)}."
        )
    if state.nodes.known and not state.nodes.with_shards:
        return (
            "No machine may hold shards. Please add workers with citus_add_node, or let the"
            " coordinator hold them with citus_set_node_property(…, 'shouldhaveshards', true)."
        )
    return None
