"""To whom a consent may be given, and what citizens are told of them."""

from typing import Any, Final

import psycopg

from service.errors import Invalid
from service.identity.consents.errors import RecipientUnknown
from service.identity.consents.purposes import Purpose
from service.identity.consents.words import Recipient
from service.partners.errors import PartnerUnknown
from service.partners.organisations import Partner, partner_by_name

LONGEST: Final = 200

READ: Final = "SELECT name, contact FROM consent_recipient WHERE partner_id = %s"

WRITE: Final = """
INSERT INTO consent_recipient (partner_id, name, contact) VALUES (%s, %s, %s)
ON CONFLICT (partner_id) DO UPDATE SET name = excluded.name, contact = excluded.contact
"""


class RecipientTermsInvalid(Invalid):
    """An organisation cannot be shown to citizens like this."""

    code = "recipient-terms-invalid"


def partner_for(connection: psycopg.Connection[Any], name: str, purpose: Purpose) -> Partner:
    """Return the partner that may receive a consent for a purpose.

    Raises:
        RecipientUnknown: there is none by this name, or it has nothing to do with the purpose.
    """
    try:
        partner = partner_by_name(connection, name)
    except PartnerUnknown as error:
        raise _unknown() from error
    if not partner.is_active or not partner.roles & purpose.roles:
        raise _unknown()
    return partner


def recipient(connection: psycopg.Connection[Any], partner: Partner, service: str) -> Recipient:
    """Return what citizens are told of a partner.

    Args:
        connection: inside the caller's transaction.
        partner: who receives the data.
        service: where citizens reach this service, which passes on what is meant for a partner
            that has named no contact of its own.
    """
    row = connection.execute(READ, [partner.id]).fetchone()
    return Recipient(*row) if row else Recipient(partner.name, service)


def describe(connection: psycopg.Connection[Any], partner: Partner, told: Recipient) -> None:
    """Tell citizens this of a partner from now on; consents given before keep what they said.

    Raises:
        RecipientTermsInvalid: name and contact are 1 to 200 printable characters each.
    """
    if not all(0 < len(text) <= LONGEST and text.isprintable() for text in told):
        raise RecipientTermsInvalid("Name and contact are 1 to 200 printable characters each.")
    connection.execute(WRITE, [partner.id, *told])


def _unknown() -> RecipientUnknown:
    return RecipientUnknown("No partner of this name may be given a consent for this purpose.")
