"""A partner's own account of a batch, read strictly: every line is understood, or none is."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.clock import day_of, start_of
from service.errors import DomainError
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.states import STEPS
from service.rewards.settlement.errors import LineFault, PartnerFileInvalid

FILE_BYTES_MAX: Final = 20 * 1024 * 1024
LINES_MAX: Final = 100_000
LINE_CHARACTERS_MAX: Final = 4_000
FAULTS_SHOWN: Final = 100

REQUIRED: Final = (
    "partner_reference",
    "redemption_id",
    "state",
    "benefit_value",
    "effective_from",
    "effective_to",
    "occurred_at",
)
OPTIONAL: Final = ("points", "terms_hash", "pairwise_subject", "record_type")

STATES: Final = frozenset(state for step in STEPS.values() for state in step.to_states)
RECORD_TYPES: Final = ("CAPTURE", "REVERSAL", "ADJUST")

BOM: Final = b"\xef\xbb\xbf"

_ID: Final = re.compile(r"[A-Za-z0-9_.:/-]{0,80}")
_REFERENCE: Final = re.compile(r"(?:[A-Za-z0-9._:/][A-Za-z0-9._:/-]{0,63})?")
_NUMBER: Final = re.compile(r"(?:[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?)?")
_WHOLE: Final = re.compile(r"(?:[0-9]{1,15})?")
_HASH: Final = re.compile(r"(?:[0-9a-fA-F]{64})?")
_WORD: Final = re.compile(r"[A-Za-z0-9_]{0,80}")


class TheirLine(NamedTuple):
    """One line of a partner's file."""

    no: int
    """In the file; the header is line 1."""
    partner_reference: str
    redemption_id: str
    """As it was written; see `redemption`."""
    state: str
    benefit_value: str
    effective_from: str
    effective_to: str
    occurred_at: datetime
    points: int | None = None
    terms_hash: str = ""
    pairwise_subject: str = ""
    record_type: str = ""
    """Empty: to be gathered from the state."""

    @property
    def redemption(self) -> UUID | None:
        """The redemption's id in our books; None: it cannot be one of ours."""
        try:
            return uuid_of(REDEMPTION, self.redemption_id)
        except DomainError:
            return None

    @property
    def benefit(self) -> Decimal | None:
        """The benefit's value as a number; None: it is not said."""
        return Decimal(self.benefit_value) if self.benefit_value else None

    def told(self) -> dict[str, Any]:
        """Return what the line says, as JSON members."""
        said = self._asdict() | {"occurred_at": self.occurred_at.isoformat()}
        line = said.pop("no")
        return {
            "line": line,
            **{name: cell for name, cell in said.items() if cell not in {"", None}},
        }


def read_partner_file(content: bytes) -> list[TheirLine]:
    """Return the lines of a file, in its order.

    Raises:
        PartnerFileInvalid: it names the first hundred faults with their lines. Nothing is matched
            then: a line that was skipped would look like one that is missing.
    """
    texts = _texts(content.removeprefix(BOM))
    if not texts:
        raise invalid_file([_fault(1, "empty", "The file is empty.")], 1)
    columns = _columns(texts[0])
    if len(texts) - 1 > LINES_MAX:
        raise invalid_file([_fault(LINES_MAX + 2, "too-many-lines", "At most 100,000 lines.")], 1)
    lines: list[TheirLine] = []
    faults: list[LineFault] = []
    for no, text in enumerate(texts[1:], 2):
        read = _line(no, text, columns)
        if isinstance(read, TheirLine):
            lines.append(read)
        else:
            faults += read
    if faults:
        raise invalid_file(faults[:FAULTS_SHOWN], len(faults))
    return lines


def _texts(content: bytes) -> list[bytes]:
    texts = content.split(b"\n", LINES_MAX + 3)
    return texts[:-1] if texts[-1] == b"" else texts


def _columns(text: bytes) -> tuple[str, ...]:
    """Return the header's columns.

    Raises:
        PartnerFileInvalid: one is missing, unknown or there twice.
    """
    cells = _cells(1, text)
    if isinstance(cells, LineFault):
        raise invalid_file([cells], 1)
    faults = list(_header_faults(cells))
    if faults:
        raise invalid_file(faults[:FAULTS_SHOWN], len(faults))
    return tuple(cells)


def _header_faults(columns: list[str]) -> Iterator[LineFault]:
    for column in sorted(set(REQUIRED) - set(columns)):
        yield _fault(1, "column-missing", "The column {column} is missing.", column=column)
    for column in sorted(set(columns) - {*REQUIRED, *OPTIONAL}):
        shown = column[:80]
        yield _fault(1, "column-unknown", "The column {column} is not known.", column=shown)
    for column in sorted({each for each in columns if columns.count(each) > 1}):
        yield _fault(1, "column-twice", "The column {column} is there twice.", column=column[:80])


def _line(no: int, text: bytes, columns: tuple[str, ...]) -> TheirLine | list[LineFault]:
    cells = _cells(no, text)
    if isinstance(cells, LineFault):
        return [cells]
    if len(cells) != len(columns):
        template = "The line has {cells} cells, and the header {columns}."
        return [_fault(no, "cell-count", template, cells=len(cells), columns=len(columns))]
    named = dict(zip(columns, cells, strict=True))
    faults = [
        _fault(no, "cell-invalid", "The cell {column} cannot be read.", column=column)
        for column, is_good in CELLS.items()
        if column in named and not is_good(named[column])
    ]
    if not named["redemption_id"] and not named["partner_reference"]:
        faults.append(
            _fault(no, "nameless", "Either redemption_id or partner_reference is needed.")
        )
    return faults or _their_line(no, named)


def _cells(no: int, text: bytes) -> list[str] | LineFault:
    if len(text) > LINE_CHARACTERS_MAX:
        return _fault(no, "line-too-long", "The line is too long.")
    try:
        decoded = text.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return _fault(no, "not-utf-8", "The line is not UTF-8.")
    if not decoded.isprintable():
        return _fault(no, "control-character", "The line holds a control character.")
    try:
        rows = list(csv.reader([decoded], strict=True))
    except csv.Error:
        return _fault(no, "quotes", "The line's quotes do not match (RFC 4180).")
    return rows[0] if rows else []


def _their_line(no: int, cells: Mapping[str, str]) -> TheirLine:
    points = cells.get("points")
    return TheirLine(
        no=no,
        partner_reference=cells["partner_reference"],
        redemption_id=cells["redemption_id"],
        state=cells["state"],
        benefit_value=cells["benefit_value"],
        effective_from=cells["effective_from"],
        effective_to=cells["effective_to"],
        occurred_at=datetime.fromisoformat(cells["occurred_at"]),
        points=int(points) if points else None,
        terms_hash=cells.get("terms_hash", "").lower(),
        pairwise_subject=cells.get("pairwise_subject", ""),
        record_type=cells.get("record_type", ""),
    )


def _is_moment(cell: str) -> bool:
    """Say whether it is a moment with its offset, and on some day in Shanghai."""
    try:
        moment = datetime.fromisoformat(cell)
        return moment.tzinfo is not None and bool(day_of(moment))
    except (ValueError, OverflowError):
        return False


def _is_day_or_moment(cell: str) -> bool:
    if not cell or _is_moment(cell):
        return True
    try:
        day = date.fromisoformat(cell)
        return day.isoformat() == cell and bool(start_of(day))
    except (ValueError, OverflowError):
        return False


CELLS: Final[Mapping[str, Callable[[str], object]]] = {
    "partner_reference": _REFERENCE.fullmatch,
    "redemption_id": _ID.fullmatch,
    "state": STATES.__contains__,
    "benefit_value": _NUMBER.fullmatch,
    "effective_from": _is_day_or_moment,
    "effective_to": _is_day_or_moment,
    "occurred_at": _is_moment,
    "points": _WHOLE.fullmatch,
    "terms_hash": _HASH.fullmatch,
    "pairwise_subject": _WORD.fullmatch,
    "record_type": ("", *RECORD_TYPES).__contains__,
}
"""What each cell may hold. None of it is a formula to a spreadsheet."""


def _fault(no: int, code: str, template: str, **members: Any) -> LineFault:
    return LineFault(str(no), code, template, **members)


def invalid_file(shown: list[LineFault], faults: int) -> PartnerFileInvalid:
    """Return the refusal of a file with so many faults, of which some are shown."""
    return PartnerFileInvalid(
        "{faults} lines of the file cannot be read; nothing of it was matched. Please correct the"
        " lines that are named in errors.",
        faults=faults,
        errors=shown,
    )
