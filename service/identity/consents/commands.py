"""The command line of consents: `carbon consent …`."""

import json

import click

from service.identity.consents.recipients import describe
from service.identity.consents.words import Recipient
from service.partners.organisations import partner_by_name
from service.runtime import Runtime


@click.group("consent", help="What citizens are asked before a partner may know of them.")
def consent_group() -> None:
    """Hold the commands about consents."""


@consent_group.command("recipient")
@click.option("--partner", "slug", required=True, help="The partner's name in the scheme.")
@click.option("--name", required=True, help="Of the organisation, as it is registered.")
@click.option("--contact", required=True, help="Of whoever answers for personal data there.")
@click.pass_obj
def recipient_command(runtime: Runtime, slug: str, name: str, contact: str) -> None:
    """Say to whom citizens give their consents; those given before keep what they said."""
    told = Recipient(name, contact)
    with runtime.database.raw_transaction() as connection:
        describe(connection, partner_by_name(connection, slug), told)
    click.echo(json.dumps({"partner": slug, **told._asdict()}, ensure_ascii=False))
