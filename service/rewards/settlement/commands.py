"""`carbon settlement …`: closing days by hand."""

import json
from datetime import datetime
from typing import Any

import click

from service.ids import PARTNER, public_id
from service.partners.organisations import partner_by_name
from service.rewards.settlement.batches import Batch
from service.rewards.settlement.closing import close_due
from service.runtime import Runtime

DAY = click.DateTime(["%Y-%m-%d"])


@click.group("settlement", help="What is settled with partners each day.")
def settlement_group() -> None:
    """Hold the commands about settlement."""


@settlement_group.command("close")
@click.option("--day", type=DAY, help="Business date; by default every day that is due.")
@click.option("--partner", help="The partner's name; by default every partner.")
@click.pass_obj
def close_command(runtime: Runtime, day: datetime | None, partner: str | None) -> None:
    """Close days that are over and were not closed; print a line for each new batch."""
    partner_id = None
    if partner is not None:
        with runtime.database.raw_transaction() as connection:
            partner_id = partner_by_name(connection, partner).id
    for batch in close_due(runtime, day and day.date(), partner_id):
        click.echo(json.dumps(_told(batch)))


def _told(batch: Batch) -> dict[str, Any]:
    return {
        "batch_id": batch.public_id,
        "partner_id": public_id(PARTNER, batch.partner_id),
        "partner": batch.partner,
        "business_date": batch.business_date.isoformat(),
        "n": batch.no,
        "lines": batch.lines,
        "totals": batch.totals,
    }
