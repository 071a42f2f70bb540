"""JSON bodies, read strictly: what one reader would take this way and another that way is refused.

The syntax is judged first, then the text: a body that is not JSON is `json-malformed`; a body that
is JSON but says something no field can mean (a number past 2^53, a NUL, a member twice) is refused
with a pointer to the place.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

from flask import Request

from service.errors import DomainError
from service.web.refusals import (
    BodyTooLarge,
    DuplicateKey,
    EncodingUnsupported,
    FieldFault,
    JsonMalformed,
    JsonTooDeep,
    LengthMissing,
    MediaTypeUnsupported,
    NumberOutOfRange,
    TextInvalid,
)

BODY_MAX_BYTES = 64 * 1024
DEPTH_MAX = 16
INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259 §6)."""
DECIMAL_PLACES_MAX = 50
FAULTS_SHOWN = 20
NOT_TEXT = "This text holds a NUL, half a character, or a control code."

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)', re.DOTALL)
# Tab, line feed and carriage return may stand in a statement; no other control character may.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_INTEGER_DIGITS = len(str(INTEGER_MAX)) + 1


class JsonRequest(Request):
    """A request whose JSON is read strictly, whoever asks for it."""

    _strict_json: Any

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002  Flask's signature
        """Return the body as JSON.

        Raises:
            MediaTypeUnsupported, EncodingUnsupported, LengthMissing, BodyTooLarge: how it is sent.
            JsonMalformed, JsonTooDeep: the syntax.
            DuplicateKey, NumberOutOfRange, TextInvalid: the text.
        """
        if not hasattr(self, "_strict_json"):
            self._strict_json = read_json(body_bytes(self))
        return self._strict_json


def body_bytes(request: Request) -> bytes:
    """Return the body of a request that says it is plain JSON.

    Raises:
        MediaTypeUnsupported, EncodingUnsupported, LengthMissing, BodyTooLarge
    """
    if request.mimetype != "application/json":
        raise MediaTypeUnsupported("Please send the body as application/json.")
    refuse_encodings(request)
    refuse_unknown_length(request)
    body = request.get_data()
    if len(body) >= BODY_MAX_BYTES and request.content_length is None:
        # Werkzeug stops reading a chunked body at the limit and does not say that there is more.
        raise BodyTooLarge("Please send less at once; this address has a limit.")
    return body


def refuse_encodings(request: Request) -> None:
    """Refuse a compressed body: it may unpack to anything."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise EncodingUnsupported("Please send the body uncompressed.")


def refuse_unknown_length(request: Request) -> None:
    """Refuse a chunked body where the server does not end it: it would read as empty."""
    if request.content_length is None and "wsgi.input_terminated" not in request.environ:
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        if chunked:
            raise LengthMissing("Please send the body with a Content-Length header.")


def read_json(body: bytes) -> Any:
    """Read one JSON text; integers stay integers, other numbers become `Decimal`.

    Raises:
        JsonMalformed, JsonTooDeep, DuplicateKey, NumberOutOfRange, TextInvalid
    """
    _refuse_depth(body)
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise JsonMalformed(
            "Please send one JSON text in UTF-8, without a byte order mark."
        ) from error
    _refuse_faults(value)
    return value


class _TwiceNamed(dict[str, Any]):
    """An object that names some members more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.names = [name for name, count in counts.items() if count > 1]


class _TooBig:
    """Stands for a number that was not even converted."""


_TOO_BIG = _TooBig()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _TwiceNamed(pairs)


def _integer(digits: str) -> int | _TooBig:
    if len(digits) > _INTEGER_DIGITS:
        return _TOO_BIG
    number = int(digits)
    return number if -INTEGER_MAX <= number <= INTEGER_MAX else _TOO_BIG


def _decimal(text: str) -> Decimal | _TooBig:
    """Read a number without ever writing out its exponent: 1E999999 is twelve bytes, not a bomb."""
    if len(text) > 2 * DECIMAL_PLACES_MAX:
        return _TOO_BIG
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    small = isinstance(exponent, int) and exponent >= -DECIMAL_PLACES_MAX
    return number if small and number.adjusted() < _INTEGER_DIGITS else _TOO_BIG


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are JavaScript, not JSON


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_decimal,
    parse_constant=_refuse_constant,
)


def _refuse_depth(body: bytes) -> None:
    """Count brackets outside strings; a recursive reader would fail on what this refuses."""
    depth = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise JsonTooDeep(
                    "Please nest arrays and objects at most {depth_max} deep.", depth_max=DEPTH_MAX
                )
        elif byte in b"]}":
            depth -= 1


_REFUSAL_OF: dict[str, tuple[type[DomainError], str]] = {
    DuplicateKey.code: (DuplicateKey, "Please name each member of an object once."),
    NumberOutOfRange.code: (NumberOutOfRange, "Please send numbers that can be meant."),
    TextInvalid.code: (TextInvalid, "Please send text without control characters."),
}


def _refuse_faults(value: Any) -> None:
    faults = list(_faults(value, ""))
    if faults:
        refusal, sentence = _REFUSAL_OF[faults[0].code]
        raise refusal(sentence, errors=faults[:FAULTS_SHOWN])


def _faults(value: Any, pointer: str) -> Iterator[FieldFault]:
    match value:
        case dict():
            yield from _object_faults(value, pointer)
        case list():
            for index, item in enumerate(value):
                yield from _faults(item, f"{pointer}/{index}")
        case str():
            yield from _text_faults(value, pointer)
        case _TooBig():
            yield FieldFault(
                pointer,
                NumberOutOfRange.code,
                "Numbers reach from -{most} to {most}, with at most {places} decimal places.",
                most=INTEGER_MAX,
                places=DECIMAL_PLACES_MAX,
            )


def _object_faults(members: dict[str, Any], pointer: str) -> Iterator[FieldFault]:
    if isinstance(members, _TwiceNamed):
        for name in members.names:
            place = f"{pointer}/{pointer_part(name)}"
            yield FieldFault(place, DuplicateKey.code, "This member appears more than once.")
    for name, value in members.items():
        place = f"{pointer}/{pointer_part(name)}"
        yield from _text_faults(name, place)
        yield from _faults(value, place)


def _text_faults(text: str, pointer: str) -> Iterator[FieldFault]:
    if not is_text(text):
        yield FieldFault(pointer, TextInvalid.code, NOT_TEXT)


def is_text(text: str) -> bool:
    """Say whether a text holds nothing but characters of a text."""
    return _NOT_TEXT.search(text) is None


def pointer_part(name: str) -> str:
    """Return a member's name as one step of a JSON pointer (RFC 6901), safe to send back."""
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", name).replace("~", "~0").replace("/", "~1")
