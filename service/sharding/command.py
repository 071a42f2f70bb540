"""`carbon distribute`: send every table to where the map says."""

from collections.abc import Iterable
from typing import Any

import click
import psycopg

from service.db import libpq_url
from service.runtime import Runtime
from service.sharding.placement import DISTRIBUTED, LOCAL, REFERENCE
from service.sharding.state import CAN_HAVE_CITUS, HAS_CITUS, is_true, read_state
from service.sharding.steps import SESSION, Step, stands_in_the_way, steps_left

DONE = (
    f"{len(DISTRIBUTED)} tables are distributed by citizen, {len(REFERENCE)} are on every machine,"
    f" {len(LOCAL)} stay on the coordinator."
)


@click.command("distribute", help="Spread the tables over the machines that Citus knows.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--shards", type=click.IntRange(min=1), help="Pieces to cut into; fixed for ever.")
@click.pass_obj
def distribute_command(runtime: Runtime, *, dry_run: bool, shards: int | None) -> None:
    """Do what is left to be done, step by step."""
    url = libpq_url(runtime.settings.migration_database_url)
    with psycopg.connect(url, autocommit=True) as connection:
        _require_citus(connection)
        state = read_state(connection)
        if refusal := stands_in_the_way(state):
            raise click.ClickException(refusal)
        host = connection.info.host
        steps = steps_left(
            state,
            host="localhost" if host.startswith("/") else host,
            port=connection.info.port,
            shards=shards,
        )
        if dry_run:
            _show(connection, steps)
        else:
            _do(connection, steps)
            click.echo(DONE)


def _require_citus(connection: psycopg.Connection[Any]) -> None:
    if is_true(connection, HAS_CITUS):
        return
    if is_true(connection, CAN_HAVE_CITUS):
        raise click.ClickException(
            "Citus is installed and not yet in this database. Please run CREATE EXTENSION citus"
            " here and on every worker, and add the workers with citus_add_node."
        )
    raise click.ClickException(
        "This PostgreSQL has no Citus, so there is nothing to distribute to. Please install it on"
        " every machine, name it first in shared_preload_libraries, and see docs/operating.md."
    )


def _show(connection: psycopg.Connection[Any], steps: Iterable[Step]) -> None:
    for step in steps:
        click.echo(f"-- {step.says}")
        for statement in step.statements:
            click.echo(f"{statement.as_string(connection).strip()};")


def _do(connection: psycopg.Connection[Any], steps: Iterable[Step]) -> None:
    for setting in SESSION:
        connection.execute(setting)
    for step in steps:
        click.echo(step.says)
        try:
            with connection.transaction():
                complaints = [
                    row[0]
                    for statement in step.statements
                    for row in _rows(connection.execute(statement))
                    if row[0]
                ]
        except psycopg.Error as error:
            raise click.ClickException(f"This step was refused: {error}") from error
        if complaints:
            raise click.ClickException(f"Not every machine agreed: {'; '.join(complaints)}")


def _rows(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    return cursor.fetchall() if cursor.description else []
