"""`carbon activity …`: taking back what is false, or counts twice."""

import json
from dataclasses import asdict

import click

from service import ids
from service.activities.corrections.double_records import invalidate_double_records
from service.activities.corrections.invalidations import (
    approve_invalidation,
    propose_invalidation,
)
from service.activities.corrections.records import whose_activity
from service.activities.corrections.schemas import InvalidationView, invalidation_view
from service.activities.rules.factor_entries import require_staff
from service.db import driver_connection
from service.runtime import Runtime


@click.group("activity")
def activity_group() -> None:
    """Activities: take back what is false, or counts twice."""


@activity_group.command("invalidate")
@click.argument("activity_id")
@click.option("--reason", required=True, help="What was found, and how.")
@click.option("--by", "proposed_by", required=True, help="A staff member's name.")
@click.option("--approved-by", required=True, help="Another staff member's name.")
@click.pass_obj
def invalidate_command(
    runtime: Runtime, activity_id: str, reason: str, proposed_by: str, approved_by: str
) -> None:
    """Invalidate ACTIVITY_ID (act_…): it counts no more, and what it gave is taken back."""
    wanted = ids.uuid_of(ids.ACTIVITY, activity_id)
    with runtime.database.raw_transaction() as connection:
        citizen_id = whose_activity(connection, wanted)
    with runtime.database.transaction() as session:
        for name in (proposed_by, approved_by):
            require_staff(session, name)
        connection = driver_connection(session)
        propose_invalidation(connection, citizen_id, wanted, reason, proposed_by)
        decided, _ = approve_invalidation(connection, citizen_id, wanted, approved_by)
    click.echo(json.dumps(InvalidationView().dump(invalidation_view(decided)), ensure_ascii=False))


@activity_group.command("invalidate-duplicates")
@click.option("--dry-run", is_flag=True, help="Count them and change nothing.")
@click.pass_obj
def invalidate_duplicates_command(runtime: Runtime, *, dry_run: bool) -> None:
    """Take back every activity whose record counts for somebody else since before.

    As the worker does every night.
    """
    tidied = invalidate_double_records(runtime.database, dry_run=dry_run)
    click.echo(json.dumps({**asdict(tidied), "dry_run": dry_run}))
