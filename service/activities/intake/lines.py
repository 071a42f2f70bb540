"""One line of a feed: from bytes to an activity as it was reported, or the reason why not."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

LINE_BYTES_MAX = 65_536
"""A line is an act, not a track: sixty times what the longest honest one needs."""

QUOTES_IN_A_LINE = 22
"""Six names and five texts, each in two quotation marks; activity_data brings its own."""

Name = Annotated[str, Meta(min_length=1, max_length=128)]
AwareMoment = Annotated[datetime, Meta(tz=True)]
Record = TypeVar("Record")


class OwnLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An act as a citizen records it herself."""

    external_id: Name
    behavior: Annotated[str, Meta(min_length=1, max_length=64)]
    started_at: AwareMoment
    ended_at: AwareMoment
    activity_data: msgspec.Raw


class Line(OwnLine, forbid_unknown_fields=True, gc=False, kw_only=True):
    """An act as a source reports it: of the account that is known there."""

    account_ref: Name


class Unreadable(NamedTuple):
    """Why a line is no activity: nothing of it is stored and its key stays free."""

    code: str
    params: Mapping[str, Any]


_decode = msgspec.json.Decoder(Line).decode
_decode_own = msgspec.json.Decoder(OwnLine).decode


def read_line(raw: bytes) -> Line | Unreadable:
    """Read one line of NDJSON; every flaw has its code, and none is an exception."""
    try:
        line = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _explained(raw, error)
    if len(raw) > LINE_BYTES_MAX:
        return Unreadable("line-too-long", {"limit": LINE_BYTES_MAX})
    plain_quotes = QUOTES_IN_A_LINE + bytes(line.activity_data).count(b'"')
    if b"\\" in raw or raw.count(b'"') != plain_quotes:
        return flaw_in(raw) or line
    return line


class _Named(msgspec.Struct):
    external_id: Name


_decode_name = msgspec.json.Decoder(_Named).decode


def name_in(raw: bytes) -> str | None:
    """Return the external id of a line that is no activity, where it can be read."""
    try:
        name = _decode_name(raw[:LINE_BYTES_MAX]).external_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return name if _is_text(name) else None


def read_own_line(raw: bytes) -> OwnLine | Unreadable:
    """Read one act that a citizen records, as strictly as a line of a feed."""
    return read_strictly(_decode_own, raw)


def read_strictly(decode: Callable[[bytes], Record], raw: bytes) -> Record | Unreadable:
    """Read a record on its own, as strictly as a line of a feed."""
    try:
        record = decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _explained(raw, error)
    return flaw_in(raw) or record


def flaw_in(raw: bytes) -> Unreadable | None:
    """Return what a lenient reader would let pass: a name given twice, or a text that is none.

    Args:
        raw: JSON text that has been read already, so it is well formed and not deep.
    """
    try:
        json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _FlawError as flaw:
        return flaw.unreadable
    except (ValueError, RecursionError) as error:
        return _explained(raw, error)
    return None


class _FlawError(Exception):
    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.unreadable = Unreadable(code, params)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise _FlawError("duplicate-key", name=name[:64])
        for text in (name, value):
            if isinstance(text, str) and not _is_text(text):
                raise _FlawError("text-invalid", name=_printable(name))
        seen[name] = value
    return seen


def _no_constant(name: str) -> None:
    raise _FlawError("json-malformed", problem=name)


def _is_text(text: str) -> bool:
    return not any(ch < " " or ch == "\x7f" or "\ud800" <= ch <= "\udfff" for ch in text)


def _printable(name: str) -> str:
    return name[:64].encode("ascii", "backslashreplace").decode()


def _explained(raw: bytes, error: Exception) -> Unreadable:
    if len(raw) > LINE_BYTES_MAX:
        return Unreadable("line-too-long", {"limit": LINE_BYTES_MAX})
    if isinstance(error, UnicodeDecodeError):
        return Unreadable("utf8-invalid", {})
    if isinstance(error, RecursionError):
        return Unreadable("json-too-deep", {})
    if isinstance(error, msgspec.ValidationError):
        return shape_flaw(error)
    return _malformed(raw, error)


def _malformed(raw: bytes, error: Exception) -> Unreadable:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return Unreadable("utf8-invalid", {})
    if raw.startswith(b"{") and "truncated" in str(error):
        return Unreadable("line-cut", {})
    return Unreadable("json-malformed", {"problem": str(error)[:120]})


_SHAPE_CODES = (
    ("missing required field", "field-missing"),
    ("unknown field", "unknown-field"),
    ("timezone component", "time-without-offset"),
    ("out of range", "number-out-of-range"),
    ("`int` >=", "number-out-of-range"),
    ("`int` <=", "number-out-of-range"),
    ("of length", "text-length"),
    ("RFC3339", "time-malformed"),
    ("matching regex", "text-invalid"),
)


def shape_flaw(error: msgspec.ValidationError) -> Unreadable:
    """Name what is wrong with the shape of a record, with a pointer to the place."""
    message, _, path = str(error).partition(" - at `$")
    code = next((code for sign, code in _SHAPE_CODES if sign in message), "type-wrong")
    pointer = path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
    if code in ("field-missing", "unknown-field"):
        pointer += "/" + message.partition("`")[2].partition("`")[0]
    return Unreadable(code, {"problem": message[:160], "pointer": pointer})
