"""`carbon expire`, `carbon extend` and `carbon audit`."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import click

from service import clock
from service.ledger.audit import Finding, Part, audited, transfers_counted
from service.ledger.carrying import extend_lots, extendable
from service.ledger.expiry import expire_lapsed_lots
from service.runtime import Runtime

DAY: Final = click.DateTime(["%Y-%m-%d"])


@click.command("expire", help="Book the expiry of points whose last day is over.")
@click.option("--as-of", type=DAY, help="A day not after today.")
@click.pass_obj
def expire_command(runtime: Runtime, as_of: datetime | None) -> None:
    """Book what has lapsed."""
    day = as_of.date() if as_of else clock.today()
    run = expire_lapsed_lots(runtime.database, day)
    click.echo(
        f"Expired before {day}: {run.points} points and {run.reduction_g} g in {run.lots} lots."
    )


@click.command("extend", help="Give everybody's points of one last day a later last day.")
@click.option("--from", "expires_on", type=DAY, required=True, help="Their last day; not passed.")
@click.option("--to", "carry_to", type=DAY, required=True, help="The new one.")
@click.option("--yes", "is_sure", is_flag=True, help="Carry them; without it only count.")
@click.pass_obj
def extend_command(
    runtime: Runtime, expires_on: datetime, carry_to: datetime, *, is_sure: bool
) -> None:
    """Extend lots, or say what that would be."""
    days = expires_on.date(), carry_to.date()
    run = (extend_lots if is_sure else extendable)(runtime.database, *days)
    did = "Carried" if is_sure else "Nothing was carried; with --yes it would be"
    click.echo(
        f"{did} from {days[0]} to {days[1]}: {run.points} points and {run.reduction_g} g"
        f" in {run.lots} lots."
    )


Composed = Mapping[str, Callable[[Runtime], Part]]
"""By its name, what a package has to audit in an installation."""


def audit_command(parts: Composed) -> click.Command:
    """Return `carbon audit` over the invariants of every package that has some."""

    @click.command("audit", help="Derive everything again; status 1 if anything differs.")
    @click.option(
        "--part",
        "names",
        multiple=True,
        type=click.Choice(list(parts)),
        help="Only this part; may be repeated.",
    )
    @click.pass_obj
    def audit(runtime: Runtime, names: tuple[str, ...]) -> None:
        database = runtime.database  # opened here, so that the time is the audit's alone
        asked = [parts[name](runtime) for name in names or parts]
        began_at = time.perf_counter()
        findings = broken = 0
        for finding in audited(database, asked):
            click.echo(_line_of(finding))
            findings += 1
            broken += finding.differences > 0
        seconds = time.perf_counter() - began_at
        transfers = transfers_counted(database)
        rate = f"{transfers / seconds:,.0f} transfers/s"
        click.echo(f"{transfers} transfers, {findings} invariants, {seconds:.1f} s, {rate}.")
        if broken:
            raise click.ClickException(f"{broken} of {findings} invariants are broken.")

    return audit


def _line_of(finding: Finding) -> str:
    line = f"{finding.name:<32} {finding.differences:>8} {finding.seconds:>8.2f} s"
    if finding.first is None:
        return f"ok      {line}"
    first = json.dumps(finding.first, default=str)
    return f"BROKEN  {line}\n        {finding.says}\n        first: {first}"
