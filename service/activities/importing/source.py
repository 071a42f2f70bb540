"""In whose name an import is recorded: a partner that exists, or one made up for old files."""

from typing import Any

import click
import psycopg
from joserfc.jwk import ECKey

from service.activities.intake.candidates import Source
from service.methodologies.regions import region_named
from service.partners.errors import PartnerUnknown
from service.partners.organisations import Partner, PartnerTerms, add_partner, partner_by_name

SIMULATED = "sim-"
"""Partners whose names begin so are made up, and so are the people whose accounts they hold."""


class ImportRefusedError(click.ClickException):
    """The import cannot be done as it was asked for; the message says what to do instead."""


def source_named(
    connection: psycopg.Connection[Any], name: str, region: str | None, default_region: str
) -> Source:
    """Return a partner that exists, as intake sees it.

    Args:
        connection: inside the command's transaction.
        name: the partner's slug.
        region: as the person named it; None leaves it to the partner.
        default_region: the service's own, for a partner that names none.

    Raises:
        ImportRefusedError: it is suspended, no source, or of another region.
        PartnerUnknown, RegionUnknown
    """
    partner = partner_by_name(connection, name)
    if "source" not in partner.roles or not partner.is_active:
        raise ImportRefusedError(f"{name} is suspended or was not registered with --role source.")
    return _as_source(partner, region_named(region).code if region else None, default_region)


def simulated_source(
    connection: psycopg.Connection[Any], feed_name: str, region: str | None, default_region: str
) -> Source:
    """Return the made-up partner of a format and a region, and make it if need be.

    Nobody holds its private key, so nothing ever comes from it over HTTP.
    """
    code = region_named(region or default_region).code
    name = f"{SIMULATED}{feed_name}-{code.lower()}"
    try:
        partner = partner_by_name(connection, name)
    except PartnerUnknown:
        partner = add_partner(connection, _terms(name, code))
    return _as_source(partner, code, code)


def _terms(name: str, region: str) -> PartnerTerms:
    public_key = ECKey.generate_key("P-256", private=False).as_dict(private=False)
    return PartnerTerms(name, frozenset({"source"}), {"keys": [public_key]}, region)


def _as_source(partner: Partner, region: str | None, default_region: str) -> Source:
    found = partner.region or default_region
    if region is not None and region != found:
        raise ImportRefusedError(
            f"{partner.name} reports for region {found}, not {region}. Leave --region out, or name "
            "another source."
        )
    return Source(partner.id, found, partner.evidence_tier, partner.settlement_delay_days)
