"""The command line of partners: `carbon partner …`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from service.ids import PARTNER, public_id
from service.partners.addresses import Reach
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
from service.partners.profiles import Profile, Signatures, change_profile, profile_of
from service.partners.scopes import ROLES, SCOPES
from service.partners.simulator.command import simulate_command
from service.partners.tools import new_key_command, token_command
from service.runtime import Runtime

EVERY_SCOPE = "all"
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


def profile_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take what a profile consists of."""
    options = (
        click.option("--reach", type=click.Choice(["public", "loopback"])),
        click.option("--status-url", help="Asked about redemptions; an empty one: it cannot be."),
        click.option("--signatures", type=click.Choice(["optional", "required"])),
        click.option(
            "--scope",
            "scopes",
            multiple=True,
            type=click.Choice([*sorted(SCOPES), EVERY_SCOPE]),
            help="The most it can get; all: whatever its roles bring.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@group.command("add")
@click.option("--name", required=True, help="A slug; citizens name their source by it.")
@click.option("--role", "roles", required=True, multiple=True, type=click.Choice(sorted(ROLES)))
@click.option("--jwks", "key_set", required=True, type=KEY_SET_FILE, help="Its public keys.")
@click.option("--region", help="Of what it reports: GB/T 2260 code, ISO 3166-2 or a name.")
@click.option("--link-proof", type=click.Choice(["none", "source"]), default="none")
@click.option("--settlement-delay-days", type=click.IntRange(0, 90), default=0)
@profile_options
def add(
    name: str,
    roles: tuple[str, ...],
    key_set: Path,
    region: str | None,
    link_proof: LinkProof,
    settlement_delay_days: int,
    **asked: Any,
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
        partner = add_partner(connection, terms)
        profile = _changed(Profile(partner.id), **asked)
        if profile != Profile(partner.id):
            change_profile(connection, partner, profile)
        _print(_shown(partner) | profile.view())


@group.command("profile")
@click.option("--name", required=True)
@profile_options
def show_or_change_profile(name: str, **asked: Any) -> None:
    """Print how a partner is spoken with; with options, change it first."""
    with runtime().database.raw_transaction() as connection:
        partner = partner_by_name(connection, name)
        present = profile_of(connection, partner.id)
        profile = _changed(present, **asked)
        if profile != present:
            change_profile(connection, partner, profile)
    _print({"client_id": public_id(PARTNER, partner.id), "name": name, **profile.view()})


def _changed(
    profile: Profile,
    *,
    reach: Reach | None,
    status_url: str | None,
    signatures: Signatures | None,
    scopes: tuple[str, ...],
) -> Profile:
    """Return a profile with what an operator has said otherwise."""
    asked = profile.scopes if not scopes else None if EVERY_SCOPE in scopes else frozenset(scopes)
    return replace(
        profile,
        reach=reach or profile.reach,
        status_url=profile.status_url if status_url is None else status_url or None,
        signatures=signatures or profile.signatures,
        scopes=asked,
    )


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
group.add_command(simulate_command)
