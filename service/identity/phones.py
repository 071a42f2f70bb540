"""Phone numbers: one spelling, a keyed index to find them by, and what of them may be shown."""

import hmac
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from service.identity.errors import PhoneInvalid
from service.keys import KeyRing

HOME_REGION = "CN"
LONGEST_INPUT = 32
INDEX_KEY_VERSION = 1
"""Stored beside each index; the ring holds one index key."""

_CHARACTERS = frozenset("+0123456789 -()")
_REACHED_BY_SMS = frozenset(
    {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Phone:
    """A number that can receive a message, as E.164; never logged."""

    e164: str

    def __repr__(self) -> str:
        return f"Phone({self.masked})"

    @property
    def masked(self) -> str:
        """The number as its owner is shown it: `+86 138****8000`."""
        parsed = phonenumbers.parse(self.e164)
        national = str(parsed.national_number)
        hidden = max(len(national) - 7, 4)
        return f"+{parsed.country_code} {national[:3]}{'*' * hidden}{national[3 + hidden :]}"

    def index(self, keys: KeyRing) -> bytes:
        """Return the keyed digest under which the number is found, of full length."""
        return hmac.digest(keys.index_key, b"phone\0" + self.e164.encode(), "sha256")


def read_phone(text: str) -> Phone:
    """Return the number somebody typed; without a country code it is a Chinese one.

    Raises:
        PhoneInvalid: it is not a number that a message can be sent to.
    """
    if len(text) > LONGEST_INPUT or not _CHARACTERS.issuperset(text):
        raise _invalid()
    try:
        parsed = phonenumbers.parse(text, HOME_REGION)
    except NumberParseException as error:
        raise _invalid() from error
    reached = phonenumbers.number_type(parsed) in _REACHED_BY_SMS
    if not reached or not phonenumbers.is_valid_number(parsed):
        raise _invalid()
    return Phone(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))


def _invalid() -> PhoneInvalid:
    return PhoneInvalid("Please enter a mobile number, such as 138 0013 8000.")
