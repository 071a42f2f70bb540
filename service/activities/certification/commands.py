"""`carbon certification`: close what is due, look at batches, carry out a decision again."""

import json

import click

from service import ids
from service.activities.certification.batches import close_due_batches
from service.activities.certification.carrying_out import carry_out
from service.activities.certification.lists import STATES, BatchState, batches
from service.activities.certification.schemas import BatchView, batch_view
from service.runtime import Runtime

LISTED = 1_000


@click.group("certification")
def certification_group() -> None:
    """Certification batches: what a verifier decides."""


@certification_group.command("close")
@click.pass_obj
def close_command(runtime: Runtime) -> None:
    """Close everything that is due by now, as the worker does every few seconds."""
    click.echo(json.dumps({"closed": close_due_batches(runtime.database)}))


@certification_group.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only batches in this state.")
@click.pass_obj
def list_command(runtime: Runtime, state: BatchState | None) -> None:
    """List the batches that were closed first, one JSON object on each line."""
    with runtime.database.raw_transaction() as connection:
        found = batches(connection, None, LISTED, state)
    for batch in found:
        click.echo(json.dumps(BatchView().dump(batch_view(batch)), ensure_ascii=False))


@certification_group.command("issue")
@click.argument("batch_id")
@click.pass_obj
def issue_command(runtime: Runtime, batch_id: str) -> None:
    """Carry out the decision on BATCH_ID now; what a worker has done is not done twice."""
    outcome = carry_out(runtime.database, ids.uuid_of(ids.CERTIFICATION_BATCH, batch_id))
    click.echo(
        json.dumps(
            {
                "batch_id": batch_id,
                "approved": outcome.approved,
                "issued": outcome.issued,
                "reduction_g": outcome.reduction_g,
                "points": outcome.points,
                "skipped": outcome.skipped,
            }
        )
    )
