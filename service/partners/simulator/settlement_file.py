"""The partner's own account of a day, as the settlement desk wants it: CSV by RFC 4180."""

import csv
import io
from collections.abc import Iterable
from typing import Final

from service.clock import SHANGHAI
from service.partners.simulator.book import Entry

COLUMNS: Final = (
    "partner_reference",
    "redemption_id",
    "record_type",
    "state",
    "points",
    "benefit_value",
    "effective_from",
    "effective_to",
    "occurred_at",
)


def file_of(entries: Iterable[Entry]) -> bytes:
    """Return the file of some lines."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        moment = entry.occurred_at.astimezone(SHANGHAI).isoformat(timespec="seconds")
        cells = [getattr(entry, column) for column in COLUMNS[:-1]]
        writer.writerow([*cells, moment])
    return text.getvalue().encode()
