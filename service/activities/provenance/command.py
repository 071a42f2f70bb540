"""`carbon recompute`: one issue computed again, from what is stored with it."""

import json
import sys
from dataclasses import asdict
from typing import Any
from uuid import UUID

import click
import psycopg

from service.activities.provenance.origins import (
    Recomputation,
    citizen_behind,
    origin_of,
    recomputed,
)
from service.errors import DomainError
from service.ids import ACTIVITY, TRANSFER, uuid_of
from service.ledger.statement import transfer_of
from service.runtime import Runtime

STATUS_OF = {"equal": 0, "different": 1, "erased": 2}
UNKNOWN = 2


@click.command("recompute")
@click.argument("transfer_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a sentence.")
@click.pass_obj
def recompute_command(runtime: Runtime, transfer_id: str, *, as_json: bool) -> None:
    """Compute an issue again and say whether it comes out the same.

    TRANSFER_ID is trf_…, act_… or a UUID. Status 0: equal; 1: different; 2: erased, or unknown.
    """
    try:
        with runtime.database.raw_transaction() as connection:
            connection.execute("SET LOCAL statement_timeout = 0")
            result = recomputed_by_id(connection, _uuid(transfer_id))
    except DomainError as refusal:
        click.echo(f"carbon: {refusal}", err=True)
        sys.exit(UNKNOWN)
    click.echo(json.dumps(asdict(result)) if as_json else f"{transfer_id}: {_sentence(result)}")
    sys.exit(STATUS_OF[result.status])


def recomputed_by_id(connection: psycopg.Connection[Any], transfer_id: UUID) -> Recomputation:
    """Compute an issue again that is known by its id alone.

    Raises:
        IdUnknown: there is no such transfer.
        TransferNotComputed: it is no issue.
    """
    citizen_id = citizen_behind(connection, transfer_id) or UUID(int=0)
    transfer = transfer_of(connection, citizen_id, transfer_id)
    origin = origin_of(connection, citizen_id, transfer_id)
    return recomputed(origin, transfer.reduction_g, transfer.points)


def _uuid(text: str) -> UUID:
    for prefix in (TRANSFER, ACTIVITY):
        if text.startswith(f"{prefix}_"):
            return uuid_of(prefix, text)
    try:
        return UUID(text)
    except ValueError:
        return uuid_of(TRANSFER, text)


def _sentence(result: Recomputation) -> str:
    stored = f"stored are {result.stored_g} g and {result.stored_points} points"
    if result.status == "erased":
        return f"erased; {stored}, and what they were computed from was deleted with the person."
    found = f"recomputed are {result.recomputed_g} g and {result.recomputed_points} points"
    evidence = "" if result.evidence_matches else "; times and quantities are not those that came"
    return f"{result.status}; {stored}, {found}{evidence}."
