"""`carbon expire` and `carbon audit`."""

import json
import time
from collections.abc import Iterable
from datetime import datetime

import click

from service import clock
from service.ledger.audit import Check, Finding, audited, transfers_counted
from service.ledger.expiry import expire_lapsed_lots
from service.runtime import Runtime


@click.command("expire", help="Book the expiry of points whose last day is over.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="A day not after today.")
@click.pass_obj
def expire_command(runtime: Runtime, as_of: datetime | None) -> None:
    """Book what has lapsed."""
    day = as_of.date() if as_of else clock.today()
    run = expire_lapsed_lots(runtime.database, day)
    click.echo(
        f"Expired before {day}: {run.points} points and {run.reduction_g} g in {run.lots} lots."
    )


def audit_command(checks: Iterable[Check]) -> click.Command:
    """Return `carbon audit` for the invariants of every package that has some."""
    asked = tuple(checks)

    @click.command("audit", help="Derive everything again; status 1 if anything differs.")
    @click.pass_obj
    def audit(runtime: Runtime) -> None:
        database = runtime.database  # opened here, so that the time is the audit's alone
        began_at = time.perf_counter()
        broken = 0
        for finding in audited(database, asked):
            click.echo(_line_of(finding))
            broken += finding.differences > 0
        seconds = time.perf_counter() - began_at
        transfers = transfers_counted(database)
        click.echo(f"{transfers} transfers, {len(asked)} invariants, {seconds:.1f} s.")
        if broken:
            raise click.ClickException(f"{broken} of {len(asked)} invariants are broken.")

    return audit


def _line_of(finding: Finding) -> str:
    line = f"{finding.check.name:<32} {finding.differences:>8} {finding.seconds:>8.2f} s"
    if finding.first is None:
        return f"ok      {line}"
    first = json.dumps(finding.first, default=str)
    return f"BROKEN  {line}\n        {finding.check.says}\n        first: {first}"
