"""The command line of partners: `carbon partner …`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service.ids import PARTNER, public_id
from service.partners.errors import KeySetInvalid
from service.partners.organisations import (
    LinkProof,
    Partner,
    PartnerTerms,
    add_partner,
    all_partners,
    partner_by_name,
    replace_keys,
    set_state,
)
from service.partners.scopes import ROLES
from service.partners.tools import new_key_command, token_command
from service.runtime import Runtime

KEY_SET_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def runtime() -> Runtime:
    """Return what this command line works on."""
    found: Runtime = click.get_current_context().obj
    return found


REGION_CODE = "carbon.region_code"
"""Where the composed command line keeps the function from a region's name to its code."""


@click.group("partner", help="Organisations that send data or honour points.")
def group() -> None:
    """Hold the commands about partners."""


@group.command("add")
@click.option("--name", required=True, help="A slug; citizens name their source by it.")
@click.option("--role", "roles", required=True, multiple=True, type=click.Choice(sorted(ROLES)))
@click.option("--jwks", "key_set", required=True, type=KEY_SET_FILE, help="Its public keys.")
@click.option("--region", help="Of what it reports: GB/T 2260 code, ISO 3166-2 or a name.")
@click.option("--link-proof", type=click.Choice(["none", "source"]), default="none")
@click.option("--settlement-delay-days", type=click.IntRange(0, 90), default=0)
def add(
    name: str,
    roles: tuple[str, ...],
    key_set: Path,
    region: str | None,
    link_proof: LinkProof,
    settlement_delay_days: int,
) -> None:
    """Register an organisation and print its client id."""
    terms = PartnerTerms(
        name=name,
        roles=frozenset(roles),
        jwks=_read_key_set(key_set),
        region=_region_code(region),
        link_proof=link_proof,
        settlement_delay_days=settlement_delay_days,
    )
    with runtime().database.raw_transaction() as connection:
        _print(_shown(add_partner(connection, terms)))


def _region_code(name: str | None) -> str | None:
    """Return the code of a region that exists; a wrong one would refuse every later feed."""
    code_of: Callable[[str], str] | None = click.get_current_context().meta.get(REGION_CODE)
    return code_of(name) if name and code_of else name


@group.command("list")
def list_all() -> None:
    """Print every partner, one JSON object a line."""
    with runtime().database.raw_transaction() as connection:
        for partner in all_partners(connection):
            _print(_shown(partner))


@group.command("suspend")
@click.option("--name", required=True)
@click.option("--reason", required=True)
def suspend(name: str, reason: str) -> None:
    """Let a partner have no new tokens and send nothing."""
    _set_state(name, reason, active=False)


@group.command("resume")
@click.option("--name", required=True)
@click.option("--reason", required=True)
def resume(name: str, reason: str) -> None:
    """Let a suspended partner work again."""
    _set_state(name, reason, active=True)


@group.command("rotate-keys")
@click.option("--name", required=True)
@click.option("--jwks", "key_set", required=True, type=KEY_SET_FILE)
def rotate_keys(name: str, key_set: Path) -> None:
    """Replace a partner's public keys; put the old key into the set for as long as it is used."""
    with runtime().database.raw_transaction() as connection:
        partner = partner_by_name(connection, name)
        key_ids = replace_keys(connection, partner, _read_key_set(key_set))
    _print({"client_id": public_id(PARTNER, partner.id), "key_ids": key_ids})


def _set_state(name: str, reason: str, *, active: bool) -> None:
    with runtime().database.raw_transaction() as connection:
        set_state(connection, partner_by_name(connection, name), active=active, reason=reason)
        _print(_shown(partner_by_name(connection, name)))


def _read_key_set(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise KeySetInvalid("{path} is not a JSON file.", path=str(path)) from error


def _shown(partner: Partner) -> dict[str, Any]:
    return {
        "client_id": public_id(PARTNER, partner.id),
        "name": partner.name,
        "roles": sorted(partner.roles),
        "region": partner.region,
        "link_proof": partner.link_proof,
        "settlement_delay_days": partner.settlement_delay_days,
        "state": partner.state,
    }


def _print(shown: dict[str, Any]) -> None:
    click.echo(json.dumps(shown, ensure_ascii=False))


group.add_command(new_key_command)
group.add_command(token_command)
