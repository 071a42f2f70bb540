"""Names of things at the edge: a prefix that says the kind, and 32 hex digits that say nothing."""

import re
from uuid import UUID

from service.errors import NotFound

CITIZEN = "ctz"
PARTNER = "prt"
STAFF = "stf"
SOURCE_LINK = "lnk"
ACTIVITY = "act"
TRANSFER = "trf"
POSTING = "pst"
RETIREMENT = "rtm"
NOTICE = "ntc"
ACTIVITY_BATCH = "bat"
CERTIFICATION_BATCH = "cbt"
APPEAL = "apl"
OTP_REQUEST = "otp"
CONSENT = "cns"
EVENT = "evt"
WEBHOOK_ENDPOINT = "whe"
WEBHOOK_DELIVERY = "whd"
OFFER = "ofr"
CHANGE_REQUEST = "chr"
GRADE_REVIEW = "grv"
CARBON_REPORT = "crp"
QUOTE = "qte"
REDEMPTION = "rdm"
REDEMPTION_RECORD = "rrc"
FORCED_RESOLUTION = "frs"
SETTLEMENT_BATCH = "stb"
PARTNER_FILE = "pfl"
RECONCILIATION_RUN = "rcr"
RECONCILIATION_EXCEPTION = "rcx"

_SHAPE = re.compile(r"([a-z]{3})_([0-9a-f]{32})")


class IdUnknown(NotFound):
    """No such thing goes by this id."""

    code = "id-unknown"


def public_id(prefix: str, uuid: UUID) -> str:
    """Return the name that callers see, such as ``act_0190f3…``."""
    return f"{prefix}_{uuid.hex}"


def uuid_of(prefix: str, text: str) -> UUID:
    """Return the database's id behind a public one.

    Raises:
        IdUnknown: it is not an id of this kind; whether it exists is never said.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None or shape[1] != prefix:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return UUID(hex=shape[2])


def uuid_if_said(prefix: str, text: str | None) -> UUID | None:
    """Return the database's id behind a public one that may be left out; an empty one is no id.

    Raises:
        IdUnknown
    """
    return None if text is None else uuid_of(prefix, text)
