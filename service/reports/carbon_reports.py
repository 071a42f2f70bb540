"""Carbon reports: signed, given to the citizen, ended by time or by herself, checkable by anybody.

What a report says is not kept, only a digest of it.
"""

from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

import psycopg

from service.documents import DocumentInvalid, signed_document, verified_document
from service.ids import CARBON_REPORT, IdUnknown, uuid_of
from service.keys import KeyRing
from service.ledger.transfers import derived_id
from service.reports.carbon_report_claims import Wish, claims_of, digest_of
from service.reports.errors import ReportDiffers

DOCUMENT_TYPE: Final = "carbon-report+jwt"

Status = Literal["valid", "expired", "withdrawn", "unknown"]

WRITE: Final = """
INSERT INTO carbon_report (citizen_id, id, content_digest, expires_at, recorded_at)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

_READ: Final = """
SELECT id, content_digest, expires_at, withdrawn_at, recorded_at FROM carbon_report
"""

READ_HERS: Final = f"{_READ} WHERE citizen_id = %s AND id = %s"

READ_BY_ID: Final = f"{_READ} WHERE id = %s"

READ_PAGE: Final = f"""{_READ}
WHERE citizen_id = %s AND (recorded_at, id) < (%s, %s)
ORDER BY recorded_at DESC, id DESC LIMIT %s
"""

WITHDRAW: Final = """
UPDATE carbon_report SET withdrawn_at = coalesce(withdrawn_at, %s)
WHERE citizen_id = %s AND id = %s RETURNING id
"""

LAST_ID: Final = UUID(int=2**128 - 1)


class Report(NamedTuple):
    """What is kept of a report."""

    id: UUID
    content_digest: bytes
    expires_at: datetime
    withdrawn_at: datetime | None
    recorded_at: datetime

    def status(self, now: datetime) -> Status:
        """Return what has become of it."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "valid" if now < self.expires_at else "expired"


class Issued(NamedTuple):
    """A report and the document that the citizen carries."""

    report: Report
    document: str


class Checked(NamedTuple):
    """What came of checking a document."""

    status: Status | Literal["invalid"]
    """Invalid: not signed by us as a report."""
    claims: dict[str, Any] | None
    """Of a document that we signed."""


def report_id_for(citizen_id: UUID, key: str | None) -> UUID:
    """Return the id for an idempotency key; without one, each request makes another report."""
    return derived_id(b"carbon report", citizen_id.bytes, key.encode()) if key else uuid4()


def issue_report(
    connection: psycopg.Connection[Any],
    keys: KeyRing,
    issuer: str,
    citizen_id: UUID,
    report_id: UUID,
    wish: Wish,
    now: datetime,
) -> Issued:
    """Issue a report; asked for again under its id, it is signed again as it was.

    Args:
        connection: inside the caller's transaction.
        keys: that sign.
        issuer: our own name.
        citizen_id: whose.
        report_id: see `report_id_for`.
        wish: what she wants in it.
        now: the moment of issue.

    Raises:
        ReportDiffers: the id has a report that says something else.
        ReportPeriodInvalid, PartnerUnknown, GradeRulesNotInForce: as `claims_of`.
    """
    first = _hers(connection, citizen_id, report_id)
    issued_at = first.recorded_at if first else now.replace(microsecond=0)
    claims = claims_of(connection, keys, issuer, citizen_id, report_id, wish, issued_at)
    expires_at = issued_at + timedelta(days=wish.valid_days)
    made = Report(report_id, digest_of(claims), expires_at, None, issued_at)
    if first is None and not _write(connection, citizen_id, made):
        # Another request came first under the same key, and it is that one's moment that counts.
        return issue_report(connection, keys, issuer, citizen_id, report_id, wish, now)
    if first is not None and first.content_digest != made.content_digest:
        raise ReportDiffers(
            "Under this key you have a report that says something else. Please choose a new key."
        )
    return Issued(first or made, signed_document(keys, DOCUMENT_TYPE, claims))


def reports_of(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    *,
    rows: int,
    after: tuple[datetime, UUID] | None = None,
) -> list[Report]:
    """Return a citizen's reports, the newest first."""
    recorded_at, last = after or ("infinity", LAST_ID)
    found = connection.execute(READ_PAGE, (citizen_id, recorded_at, last, rows))
    return [Report(*row) for row in found]


def withdraw_report(
    connection: psycopg.Connection[Any], citizen_id: UUID, report_id: UUID, now: datetime
) -> None:
    """Let a report count no more; once more changes nothing.

    Raises:
        IdUnknown: she has no such report.
    """
    if connection.execute(WITHDRAW, (now, citizen_id, report_id)).fetchone() is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")


def status_of(connection: psycopg.Connection[Any], public_id: str, now: datetime) -> Status:
    """Return what has become of the report of an id; of anything that is none: unknown."""
    report = _by_public_id(connection, public_id)
    return report.status(now) if report else "unknown"


def check_report(
    connection: psycopg.Connection[Any], keys: KeyRing, document: str, now: datetime
) -> Checked:
    """Verify a document that somebody was shown: signature, content, time and status."""
    try:
        claims = verified_document(keys, DOCUMENT_TYPE, document)
    except DocumentInvalid:
        return Checked("invalid", None)
    report = _by_public_id(connection, str(claims.get("jti")))
    if report is None or report.content_digest != digest_of(claims):
        return Checked("unknown", claims)
    return Checked(report.status(now), claims)


def _write(connection: psycopg.Connection[Any], citizen_id: UUID, report: Report) -> bool:
    """Write down that a report was made; False: there is one by its id."""
    columns = (report.id, report.content_digest, report.expires_at, report.recorded_at)
    return connection.execute(WRITE, (citizen_id, *columns)).rowcount > 0


def _by_public_id(connection: psycopg.Connection[Any], public_id: str) -> Report | None:
    try:
        report_id = uuid_of(CARBON_REPORT, public_id)
    except IdUnknown:
        return None
    row = connection.execute(READ_BY_ID, (report_id,)).fetchone()
    return None if row is None else Report(*row)


def _hers(connection: psycopg.Connection[Any], citizen_id: UUID, report_id: UUID) -> Report | None:
    row = connection.execute(READ_HERS, (citizen_id, report_id)).fetchone()
    return None if row is None else Report(*row)
