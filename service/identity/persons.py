"""Which natural person a citizen is: a verification partner says so, a keyed digest remembers.

The number of her card is checked and digested in memory. It is stored nowhere, and stands in no
error and no log.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.errors import CheckViolation
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from service.errors import Conflict, Invalid
from service.identity.consents.checking import (
    Consent,
    consent_of_subject,
    log_access,
    refusal_of_use,
)
from service.keys import KeyRing
from service.pipelining import Connection, Rows

CARD: Final = "resident_identity_card"
PERSON_KEY_VERSION: Final = 1
CLUSTER: Final = "identity"
OPERATION: Final = "person.verified"
DIFFERED: Final = "person.differed"

ASK: Final = "SELECT person_id FROM person_link WHERE citizen_id = %s"

# Two at once of one citizen: the second waits for the first, and then sees its row.
LINK: Final = """
INSERT INTO person_link (citizen_id, person_id, key_version, verifier_id, consent_id)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT (citizen_id) DO NOTHING RETURNING true
"""

READ: Final = """
SELECT person_link.recorded_at, partner.name
FROM person_link JOIN partner ON partner.id = person_link.verifier_id
WHERE person_link.citizen_id = %s
"""


class DocumentInvalid(Invalid):
    """The document's number is not one that was ever given out."""

    code = "document-invalid"


class PersonDiffers(Conflict):
    """The citizen is known to be another person."""

    code = "person-differs"


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a citizen's person is known: since when, and who says so."""

    verified_at: datetime | None = None
    verifier: str | None = None
    """The verification partner's name."""

    @property
    def verified(self) -> bool:
        """Whether anybody has verified her."""
        return self.verified_at is not None


def person_digest(keys: KeyRing, number: str) -> bytes:
    """Return the keyed digest that stands for the holder of a resident identity card.

    Raises:
        DocumentInvalid: its date of birth, place or check digit cannot be.
    """
    try:
        valid = ric.validate(number)
    except (ValidationError, ValueError):
        # Not `from error`, which would carry the number into a log.
        raise DocumentInvalid("This is not the number of a resident identity card.") from None
    message = f"person\0{CARD}\0{valid}".encode()
    return hmac.digest(keys.index_key, message, "sha256")


def ask_person(connection: Connection, citizen_id: UUID) -> Rows:
    """Ask which natural person a citizen is; see `person_from`."""
    return connection.execute(ASK, (citizen_id,))


def person_from(rows: Rows) -> bytes | None:
    """Return the digest of the person that was asked for; None: nobody has verified her."""
    row = rows.fetchone()
    return None if row is None else bytes(row[0])


def verify_person(
    connection: psycopg.Connection[Any], keys: KeyRing, verifier_id: UUID, subject: str, number: str
) -> tuple[Verification, bool]:
    """Remember that a citizen is the holder of a card, and say whether that is new.

    Args:
        connection: inside the caller's transaction.
        keys: their index key makes the digest.
        verifier_id: the verification partner, to whom she has consented.
        subject: the citizen, as that partner knows her.
        number: of her resident identity card.

    Raises:
        ConsentMissing, ConsentRevoked, ConsentExpired, ConsentScope: she did not agree to it.
        ConsentUsesExhausted: not as often as that.
        DocumentInvalid: no card has this number.
        PersonDiffers: she is known to be somebody else.
    """
    consent = consent_of_subject(connection, verifier_id, subject, CLUSTER)
    is_new = _link(connection, consent, person_digest(keys, number))
    _note(connection, consent, is_use=is_new)
    return verification_of(connection, consent.citizen_id), is_new


def note_difference(connection: Connection, verifier_id: UUID, subject: str) -> None:
    """Note for the citizen that a partner took her for somebody else.

    Each such answer says who she is not, so she can read how often that was tried; it is noted in
    a transaction of its own, for the refusal has undone the other.

    Raises:
        ConsentMissing, ConsentRevoked, ConsentExpired, ConsentScope: she ended it meanwhile.
    """
    consent = consent_of_subject(connection, verifier_id, subject, CLUSTER)
    log_access(connection, consent, DIFFERED)


def verification_of(connection: Connection, citizen_id: UUID) -> Verification:
    """Return whether a citizen's person is known."""
    row = connection.execute(READ, (citizen_id,)).fetchone()
    return Verification(*row) if row else Verification()


def _note(connection: psycopg.Connection[Any], consent: Consent, *, is_use: bool) -> None:
    try:
        log_access(connection, consent, OPERATION, is_use=is_use)
    except CheckViolation as error:
        refusal = refusal_of_use(error)
        if refusal is None:
            raise
        raise refusal from error


def _link(connection: Connection, consent: Consent, person_id: bytes) -> bool:
    """Link the citizen to a person and say whether that is new."""
    made_of = (PERSON_KEY_VERSION, consent.partner_id, consent.id)
    rows = connection.execute(LINK, (consent.citizen_id, person_id, *made_of))
    is_new = rows.fetchone() is not None
    if not is_new:
        _require_same(connection, consent.citizen_id, person_id)
    return is_new


def _require_same(connection: Connection, citizen_id: UUID, person_id: bytes) -> None:
    known = person_from(ask_person(connection, citizen_id))
    if known is None or not hmac.compare_digest(known, person_id):
        raise PersonDiffers("This citizen was verified before as another person.")
