"""What a schema finds wrong, as faults with stable codes and pointers.

marshmallow says its findings in English sentences; the table below knows each of them. A sentence
that a schema of ours says by itself becomes `value-invalid`, in its own words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from service.web.json_bodies import FAULTS_SHOWN, pointer_part
from service.web.refusals import FieldFault, ParameterFault, UnknownField, ValidationFailed

OWN_SENTENCE = "value-invalid"

CODE_OF_SENTENCE: Mapping[str, str] = {
    "Missing data for required field.": "field-missing",
    "Unknown field.": UnknownField.code,
    "Field may not be null.": "field-null",
    "Invalid value.": OWN_SENTENCE,
    "Invalid input.": OWN_SENTENCE,
    "Invalid type.": "type-wrong",
    "Invalid input type.": "type-wrong",
    "Not a valid list.": "type-wrong",
    "Not a valid tuple.": "type-wrong",
    "Not a valid string.": "type-wrong",
    "Not a valid number.": "type-wrong",
    "Not a valid integer.": "type-wrong",
    "Not a valid boolean.": "type-wrong",
    "Not a valid mapping type.": "type-wrong",
    "Not a valid utf-8 string.": "text-invalid",
    "Not a valid UUID.": "uuid-malformed",
    "Not a valid datetime.": "time-malformed",
    "Not a valid naive datetime.": "time-malformed",
    "Not a valid aware datetime.": "time-without-offset",
    "Not a valid time.": "time-malformed",
    "Not a valid date.": "date-malformed",
    "Not a valid period of time.": "time-malformed",
    "Not a valid URL.": "url-malformed",
    "Not a valid email address.": "email-malformed",
    "Not a valid IP address.": "address-malformed",
    "Not a valid IPv4 address.": "address-malformed",
    "Not a valid IPv6 address.": "address-malformed",
    "Number too large.": "number-out-of-range",
    "Special numeric values (nan or infinity) are not permitted.": "number-out-of-range",
    "Must be greater than or equal to {min} and less than or equal to {max}.": (
        "number-out-of-range"
    ),
    "Must be greater than or equal to {min}.": "number-out-of-range",
    "Must be greater than {min}.": "number-out-of-range",
    "Must be less than or equal to {max}.": "number-out-of-range",
    "Must be less than {max}.": "number-out-of-range",
    "Shorter than minimum length {min}.": "text-too-short",
    "Longer than maximum length {max}.": "text-too-long",
    "Length must be between {min} and {max}.": "length-out-of-range",
    "Length must be {equal}.": "length-out-of-range",
    "Must be equal to {other}.": "value-not-allowed",
    "Must be one of: {choices}.": "value-not-allowed",
    "One or more of the choices you made was not in: {choices}.": "value-not-allowed",
    "One or more of the choices you made was in: {values}.": "value-not-allowed",
    "String does not match expected pattern.": "text-malformed",
}


def _pattern_of(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", escaped), re.DOTALL)


_FILLED = [
    (_pattern_of(template), template, code)
    for template, code in CODE_OF_SENTENCE.items()
    if "{" in template
]


def refuse(messages: Mapping[str, Any]) -> NoReturn:
    """Refuse a request by what its schema found.

    Args:
        messages: of a `ValidationError`, by location (`json`, `query`, …).

    Raises:
        UnknownField: a field is not known here; listed with everything else that is wrong.
        ValidationFailed: only known fields are wrong.
    """
    faults = list(_faults_by_location(messages))[:FAULTS_SHOWN]
    if any(fault.code == UnknownField.code for fault in faults):
        raise UnknownField(
            "The request has fields that this address does not know. Please leave them out.",
            errors=faults,
        )
    raise ValidationFailed("Please correct the fields named in errors.", errors=faults)


def _faults_by_location(messages: Mapping[str, Any]) -> Iterator[FieldFault]:
    for location, found in messages.items():
        fault_type = FieldFault if location == "json" else ParameterFault
        yield from _faults(found, "", fault_type)


def _faults(found: Any, place: str, fault_type: type[FieldFault]) -> Iterator[FieldFault]:
    if isinstance(found, Mapping):
        for name, deeper in found.items():
            yield from _faults(deeper, _place_of(place, str(name), fault_type), fault_type)
    elif isinstance(found, Sequence) and not isinstance(found, str):
        for sentence in found:
            yield from _faults(sentence, place, fault_type)
    else:
        yield _fault(str(found), place, fault_type)


def _place_of(place: str, name: str, fault_type: type[FieldFault]) -> str:
    if name == "_schema":  # marshmallow's name for "the object as a whole"
        return place
    if fault_type is ParameterFault:
        return place or pointer_part(name)
    return f"{place}/{pointer_part(name)}"


def _fault(sentence: str, place: str, fault_type: type[FieldFault]) -> FieldFault:
    if sentence in CODE_OF_SENTENCE:
        return fault_type(place, CODE_OF_SENTENCE[sentence], sentence)
    for pattern, template, code in _FILLED:
        filled = pattern.fullmatch(sentence)
        if filled:
            return fault_type(place, code, template, **filled.groupdict())
    # Braces in a schema's own words are words, not members.
    own_words = sentence.replace("{", "{{").replace("}", "}}")
    return fault_type(place, OWN_SENTENCE, own_words)
