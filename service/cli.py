"""The command line `carbon`: every command opens what it needs, says what it did, and ends."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from service.activities.audit import CHECKS as ACTIVITY_CHECKS
from service.activities.certification.commands import certification_group
from service.activities.corrections.commands import activity_group
from service.activities.importing.command import import_command
from service.activities.provenance.command import recompute_command
from service.activities.rules.commands import factors_group, rules_group
from service.demo.command import demo_command
from service.embedded import EngineError, reachable
from service.errors import DomainError
from service.identity import commands as identity
from service.identity.consents.commands import consent_group
from service.identity.consequences import CONSEQUENCES
from service.jobs.commands import jobs_group
from service.leaving import consequences, erase_again
from service.ledger.audit import Part
from service.ledger.commands import audit_command, expire_command, extend_command
from service.ledger.invariants import CHECKS as LEDGER_CHECKS
from service.methodologies import Library, region_named
from service.migrate import migrate
from service.partners import commands as partners
from service.partners.our_keys import keys_group
from service.partners.webhooks.commands import courier_command
from service.rewards.invariants import CHECKS as REWARD_CHECKS
from service.rewards.invariants import examined_terms
from service.rewards.redemptions.invariants import CHECKS as REDEMPTION_CHECKS
from service.rewards.settlement.commands import settlement_group
from service.rewards.settlement.invariants import CHECKS as SETTLEMENT_CHECKS
from service.runtime import Runtime, open_runtime
from service.settings import Settings, settings_from
from service.sharding.command import distribute_command
from service.supervisor import serve
from service.transparency.auditing import audited_log
from service.transparency.operating import log_group, sealer_command
from service.web.health import refuse_unsafe_server
from service.worker import worker_command

COMMANDS: tuple[click.Command, ...] = (
    import_command,
    demo_command,
    identity.staff_group,
    identity.citizen_group,
    consent_group,
    partners.group,
    keys_group,
    settlement_group,
    certification_group,
    activity_group,
    factors_group,
    rules_group,
    recompute_command,
    expire_command,
    extend_command,
    audit_command(
        {
            "ledger": lambda _: Part(LEDGER_CHECKS),
            "log": audited_log,
            "activities": lambda _: Part(ACTIVITY_CHECKS),
            "rewards": lambda _: Part(
                (*REWARD_CHECKS, *REDEMPTION_CHECKS, *SETTLEMENT_CHECKS), examined_terms
            ),
        }
    ),
    jobs_group,
    worker_command,
    sealer_command,
    courier_command,
    log_group,
    distribute_command,
)


class OpenedOnFirstUse:
    """Stands for the `Runtime` until a command uses it, so that `--help` starts no database."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._runtime: Runtime | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.opened, name)

    @property
    def opened(self) -> Runtime:
        """The runtime, on engines that are kept running until the command ends."""
        if self._runtime is None:
            settings = self._held.enter_context(reachable(settings_from()))
            prepare(settings)
            self._runtime = open_runtime(settings)
            self._held.callback(self._runtime.close)
        return self._runtime

    def close(self) -> None:
        """Give back what was opened, if anything was."""
        self._held.close()


def prepare(settings: Settings) -> None:
    """Bring everything to what the code needs, and refuse to go on where that cannot be."""
    migrate(settings.migration_database_url)
    Library.load()
    region_named(settings.region)
    runtime = open_runtime(settings, pool_size=1)
    try:
        refuse_unsafe_server(runtime.database)
        erase_again(runtime)
    finally:
        runtime.close()


@click.group()
@click.pass_context
def cli(context: click.Context) -> None:
    """The carbon-inclusion scheme's service."""
    runtime = OpenedOnFirstUse()
    context.call_on_close(runtime.close)
    context.obj = runtime
    context.meta[CONSEQUENCES] = consequences(lambda: runtime.settings)
    context.meta[partners.REGION_CODE] = lambda name: region_named(name).code


@cli.command("run", help="Serve on 127.0.0.1:$PORT until Ctrl-C.")
def run_command() -> None:
    """Serve until stopped."""
    carbon = Path(sys.argv[0]).absolute()
    companions = {
        "job worker": (carbon, "worker"),
        "sealer": (carbon, "sealer"),
        "courier": (carbon, "courier"),
    }
    serve(settings_from(), prepare=prepare, companions=companions)


@cli.command("migrate", help="Bring the database to the shape that this version expects.")
def migrate_command() -> None:
    """Run the migrations that have not run yet."""
    with reachable(settings_from()) as settings:
        migrate(settings.migration_database_url)
    click.echo("The database is up to date.")


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run a command; a refusal is a sentence and status 1, never a traceback."""
    try:
        cli(standalone_mode=True)
    except (DomainError, EngineError) as refusal:
        click.echo(f"carbon: {refusal}", err=True)
        sys.exit(1)
