"""`carbon factors …` and `carbon rules …`: what an authority decides, by two people."""

import json
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

import click

from service.activities.rules.factor_entries import (
    Entry,
    EntryTerms,
    approve_factor,
    entries,
    entry_by_id,
    impact_report,
    propose_factor,
)
from service.activities.rules.versions import add_rules, rule_versions
from service.runtime import Runtime

DAY = click.DateTime(["%Y-%m-%d"])


def runtime() -> Runtime:
    """Return what this command line works on."""
    found: Runtime = click.get_current_context().obj
    return found


@click.group("factors", help="Emission factors that an authority enters.")
def factors_group() -> None:
    """Hold the commands about factors."""


@factors_group.command("add")
@click.option("--key", required=True, help="As GET /v1/factors names it.")
@click.option("--region", required=True, help="GB/T 2260 code, or CN for the nation.")
@click.option("--value", required=True, help="Decimal, as published.")
@click.option("--unit", required=True, help="The factor's own, said again.")
@click.option("--in-force-from", required=True, type=DAY, help="First day of acts, from today on.")
@click.option("--source", required=True, help="Document, edition, table.")
@click.option("--grade", required=True, type=click.Choice(["A", "B", "C", "D"]))
@click.option("--by", "proposed_by", required=True, help="A staff member's name.")
def add_factor(in_force_from: datetime, proposed_by: str, **terms: str) -> None:
    """Propose a number; it counts once somebody else has approved it."""
    with runtime().database.transaction() as session:
        proposed = EntryTerms(**terms, in_force_from=in_force_from.date())
        entry = propose_factor(session, proposed, proposed_by)
    _print(_entry(entry))


@factors_group.command("impact")
@click.argument("entry_id", metavar="ID", type=click.UUID)
def show_impact(entry_id: UUID) -> None:
    """Print who gains and who loses by an entry."""
    with runtime().database.raw_transaction() as connection:
        entry = entry_by_id(connection, entry_id)
        report = impact_report(connection, entry, runtime().settings.region)
    _print(report)


@factors_group.command("approve")
@click.argument("entry_id", metavar="ID", type=click.UUID)
@click.option("--by", "approved_by", required=True, help="Another staff member's name.")
def approve(entry_id: UUID, approved_by: str) -> None:
    """Let an entry count from its first day on."""
    with runtime().database.transaction() as session:
        entry, impact = approve_factor(session, entry_id, approved_by, runtime().settings.region)
    _print({**_entry(entry), "impact": impact})


@factors_group.command("list")
def list_factors() -> None:
    """Print every entry, one JSON object a line."""
    with runtime().database.raw_transaction() as connection:
        for entry in entries(connection):
            _print(_entry(entry))


@click.group("rules", help="The scheme's rules, by version.")
def rules_group() -> None:
    """Hold the commands about rules."""


@rules_group.command("add")
@click.option("--in-force-from", required=True, type=DAY, help="First day of acts.")
@click.option("--points-per-g", help="Decimal.")
@click.option("--expiry-years", type=int)
@click.option("--lateness-days", type=int)
@click.option("--clock-tolerance-s", type=int)
@click.option("--self-recorded-delay-days", type=int)
@click.option("--source", required=True, help="The decision behind it.")
@click.option("--by", "proposed_by", required=True, help="A staff member's name.")
@click.option("--approved-by", required=True, help="Another staff member's name.")
def add_rules_version(
    in_force_from: datetime, source: str, proposed_by: str, approved_by: str, **named: Any
) -> None:
    """Add a version; what is not named stays as it was."""
    changes = {name: value for name, value in named.items() if value is not None}
    with runtime().database.transaction() as session:
        version = add_rules(
            session,
            in_force_from.date(),
            changes,
            source=source,
            proposed_by=proposed_by,
            approved_by=approved_by,
        )
    _print({"version": version, "in_force_from": in_force_from.date(), **changes})


@rules_group.command("list")
def list_rules() -> None:
    """Print every version, one JSON object a line."""
    with runtime().database.raw_transaction() as connection:
        for rules in rule_versions(connection):
            _print(rules)


def _entry(entry: Entry) -> dict[str, Any]:
    status = "awaiting-approval" if entry.approved_by is None else "approved"
    return {**asdict(entry), "status": status}


def _print(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, default=_text))


def _text(value: date | datetime | UUID) -> str:
    return str(value) if isinstance(value, UUID) else value.isoformat()
