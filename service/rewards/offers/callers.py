"""Who calls, as offers know people: an author of changes, a viewer of what is there."""

from typing import Any, Literal
from uuid import UUID

import psycopg
from flask import request

from service.access_tokens import Caller
from service.partners.organisations import Partner, partner_by_name, partners_by_id
from service.rewards.errors import OfferUnknown, PartnerCannotOffer
from service.rewards.offers.drafting import Author
from service.rewards.offers.listing import Viewer, offer_seen_by
from service.web.access import caller_if_any
from service.web.refusals import FieldFault, ValidationFailed


def author_of(caller: Caller) -> Author:
    """Return a partner's program or a member of staff as who enters something."""
    kind: Literal["partner", "staff"] = "partner" if caller.kind == "partner" else "staff"
    return Author(kind, caller.id)


def viewer() -> Viewer:
    """Return who looks, on a route that may be open to anyone."""
    caller = caller_if_any(request.environ)
    if caller is None:
        return Viewer()
    return Viewer(caller.id) if caller.kind == "partner" else Viewer(sees_all=True)


def require_own(connection: psycopg.Connection[Any], offer_id: UUID) -> None:
    """Refuse an offer that is another partner's, even where everybody may see it.

    Raises:
        OfferUnknown
    """
    who = viewer()
    offer = offer_seen_by(connection, who, offer_id)
    if not who.sees_all and offer.partner_id != who.partner_id:
        raise OfferUnknown("There is no such offer, or it is not yours to see.")


def partner_for(connection: psycopg.Connection[Any], caller: Caller, name: str | None) -> Partner:
    """Return whose offer a caller enters: a partner its own, staff that of whom they name.

    Raises:
        ValidationFailed: a partner names somebody, or staff nobody.
        PartnerUnknown: staff name somebody unknown.
    """
    if caller.kind == "staff":
        if name is None:
            raise _fault("field-missing", "Missing data for required field.")
        return partner_by_name(connection, name)
    if name is not None:
        raise _fault("value-not-allowed", "A partner enters its own offers. Leave this out.")
    found = partners_by_id(connection, [caller.id]).get(caller.id)
    if found is None:
        raise PartnerCannotOffer("Your organisation is not registered here any more.")
    return found


def _fault(code: str, sentence: str) -> ValidationFailed:
    return ValidationFailed(
        "Please correct the fields named in errors.",
        errors=[FieldFault("/partner", code, sentence)],
    )
