"""The settlement file: CSV by RFC 4180, the same bytes whenever it is asked for."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final
from uuid import UUID

from service.clock import SHANGHAI
from service.ids import OFFER, REDEMPTION, REDEMPTION_RECORD, SETTLEMENT_BATCH, public_id
from service.rewards.settlement.lines import Line

COLUMNS: Final = (
    "batch_id",
    "line_no",
    "record_type",
    "redemption_id",
    "record_id",
    "partner_reference",
    "offer_id",
    "offer_version",
    "mode",
    "pairwise_subject",
    "points",
    "reduction_g",
    "benefit_kind",
    "benefit_unit",
    "benefit_value",
    "subsidy_minor",
    "currency",
    "payer",
    "effective_from",
    "effective_to",
    "occurred_at",
    "business_date",
    "terms_hash",
    "original_record_id",
)

NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet begins to compute."""

_TO_QUOTE: Final = re.compile(r'[",\r\n]')


def file_name(partner: str, business_date: date, no: int) -> str:
    """Return the name under which a partner keeps the file."""
    return f"benefit-settlement_{partner}_{business_date:%Y%m%d}_{no}.csv"


def written_line(batch_id: UUID, line_no: int, line: Line) -> str:
    """Return one line of the file, without its end."""
    cells: tuple[object, ...] = (
        public_id(SETTLEMENT_BATCH, batch_id),
        line_no,
        line.record_type,
        public_id(REDEMPTION, line.redemption_id),
        public_id(REDEMPTION_RECORD, line.record_id),
        line.partner_reference,
        public_id(OFFER, line.offer_id),
        line.offer_version,
        line.mode,
        line.subject,
        line.points,
        line.reduction_g,
        line.benefit_kind,
        line.benefit_unit,
        line.benefit_value,
        line.subsidy_minor,
        line.currency,
        line.payer,
        line.effective_from,
        line.effective_to,
        _moment(line.occurred_at),
        line.business_date,
        line.terms_hash,
        public_id(REDEMPTION_RECORD, line.original_record_id) if line.original_record_id else "",
    )
    return ",".join(_cell(str(cell)) for cell in cells)


def content_of(written: Iterable[str]) -> bytes:
    """Return the whole file of lines as they were written."""
    return "".join(f"{line}\n" for line in (",".join(COLUMNS), *written)).encode()


def is_formula(cell: str) -> bool:
    """Say whether a spreadsheet would compute a cell; a number with a sign is none."""
    return cell.startswith(FORMULA) and not NUMBER.fullmatch(cell)


def _moment(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).isoformat(timespec="seconds")


def _cell(text: str) -> str:
    # Nothing that is let in begins so; a quote in front is what spreadsheets take for text.
    safe = f"'{text}" if is_formula(text) else text
    return '"{}"'.format(safe.replace('"', '""')) if _TO_QUOTE.search(safe) else safe
