"""Factors that an authority enters: proposed by one person, approved by another who saw the impact.

An entry counts for acts from its own first day on, which lies ahead when it is approved; what was
computed before keeps the numbers it was computed with.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row
from sqlalchemy.orm import Session

from service import clock
from service.activities.errors import (
    FactorAlreadyApproved,
    FactorEntryUnknown,
    InForceTooEarly,
    SecondPersonNeeded,
    SourceNotNamed,
)
from service.activities.rules.rulebook import approved_factors
from service.db import driver_connection
from service.identity.errors import StaffUnknown
from service.identity.staff import all_staff
from service.methodologies import EnteredFactor, ImpactReport, Library, impact_of
from service.methodologies.impact import SampledAct

ONE_APPROVER_AT_A_TIME: Final = 7_305_807
"""Advisory lock number: two values for one place and day must not both be approved."""

SOURCE_MIN_LENGTH = 10
SAMPLE_DAYS = 30
SAMPLE_ACTS = 20_000

STORE_ENTRY = """
INSERT INTO entered_factor
    (id, key, region, value, unit, in_force_from, source, grade, proposed_by)
VALUES (%(id)s, %(key)s, %(region)s, %(value)s, %(unit)s, %(in_force_from)s, %(source)s,
    %(grade)s, %(proposed_by)s)
"""

READ_ENTRIES = """
SELECT f.id, f.key, f.region, f.value, f.unit, f.in_force_from, f.source, f.grade, f.proposed_by,
       f.recorded_at, a.approved_by, a.recorded_at AS approved_at
FROM entered_factor f LEFT JOIN factor_approval a ON a.entered_factor_id = f.id
"""

STORE_APPROVAL = """
INSERT INTO factor_approval (entered_factor_id, proposed_by, approved_by, impact)
VALUES (%s, %s, %s, %s)
"""

# Ids of activities are digests, so the smallest of them are a fair sample, the same every time.
READ_SAMPLE = """
SELECT d.behavior, coalesce(b.basis ->> 'region', p.region, %(region)s), d.activity_data
FROM activity_detail d
JOIN activity a ON a.citizen_id = d.citizen_id AND a.id = d.activity_id
LEFT JOIN quantification_basis b ON b.id = a.basis_id
LEFT JOIN partner p ON p.id = a.source_id
WHERE d.started_at >= %(since)s AND d.behavior = ANY(%(behaviors)s)
ORDER BY d.activity_id LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """A number somebody proposes; decimal text, with the document it is taken from."""

    key: str
    region: str
    value: str
    unit: str
    in_force_from: date
    source: str
    grade: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entered factor and who stands for it."""

    id: UUID
    key: str
    region: str
    value: str
    unit: str
    in_force_from: date
    source: str
    grade: str
    proposed_by: str
    recorded_at: datetime
    approved_by: str | None
    approved_at: datetime | None

    @property
    def factor(self) -> EnteredFactor:
        """The entry as the methodology library takes it."""
        return EnteredFactor(
            entry_id=str(self.id),
            key=self.key,
            region=self.region,
            unit=self.unit,
            value=self.value,
            in_force_from=self.in_force_from,
            source=self.source,
            grade=self.grade,
        )


def propose_factor(session: Session, terms: EntryTerms, proposed_by: str) -> Entry:
    """Enter a number; it is shown from now on and used once somebody else has approved it.

    Raises:
        StaffUnknown: nobody of the staff has this name.
        SourceNotNamed: the source says too little to be found.
        InForceTooEarly: the first day is past.
        FactorEntryInvalid: it does not fit the library in use.
    """
    require_staff(session, proposed_by)
    if len(terms.source.strip()) < SOURCE_MIN_LENGTH:
        raise SourceNotNamed("Please name the document, its edition and the table.")
    _require_ahead(terms.in_force_from)
    connection = driver_connection(session)
    entry = Entry(
        uuid4(),
        **asdict(terms),
        proposed_by=proposed_by,
        recorded_at=clock.now(),
        approved_by=None,
        approved_at=None,
    )
    _library_with(connection, entry)
    connection.execute(STORE_ENTRY, asdict(entry))
    return entry_by_id(connection, entry.id)


def entries(connection: psycopg.Connection[Any]) -> list[Entry]:
    """Return every entry, the oldest first."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(READ_ENTRIES + "ORDER BY f.recorded_at").fetchall()


def entry_by_id(connection: psycopg.Connection[Any], entry_id: UUID) -> Entry:
    """Return one entry.

    Raises:
        FactorEntryUnknown: there is none by this id.
    """
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        found = cursor.execute(READ_ENTRIES + "WHERE f.id = %s", [entry_id]).fetchone()
    if found is None:
        raise FactorEntryUnknown("No factor entry has the id {entry_id}.", entry_id=str(entry_id))
    return found


def impact_report(connection: psycopg.Connection[Any], entry: Entry, region: str) -> dict[str, Any]:
    """Return who gains and who loses by an entry, had recent acts been done on its first day.

    Args:
        connection: inside the caller's transaction.
        entry: approved or not.
        region: of acts that citizens recorded themselves, and of sources that name none.
    """
    # No index leads with the day, because every act would pay for it: a city's acts are all read.
    connection.execute("SET LOCAL statement_timeout = 0")
    others = [each for each in approved_factors(connection) if each.entry_id != str(entry.id)]
    before = Library.load(entered=others)
    after = Library.load(entered=[*others, entry.factor])
    since = clock.now() - timedelta(days=SAMPLE_DAYS)
    sample = list(_sample(connection, before, entry, region, since))
    report: ImpactReport = impact_of(before, after, sample)
    return {
        "entry_id": str(entry.id),
        "as_if_on": entry.in_force_from.isoformat(),
        "recorded_since": since.isoformat(timespec="seconds"),
        "activities": len(sample),
        **report.as_dict(),
    }


def approve_factor(
    session: Session, entry_id: UUID, approved_by: str, region: str
) -> tuple[Entry, dict[str, Any]]:
    """Let an entry count from its first day on; return it with the impact that was looked at.

    Args:
        session: the caller's transaction.
        entry_id: of an entry that somebody else proposed.
        approved_by: a staff member's name.
        region: as in `impact_report`.

    Raises:
        FactorEntryUnknown, FactorAlreadyApproved, StaffUnknown
        SecondPersonNeeded: who proposed it cannot approve it.
        InForceTooEarly: the first day has passed in the meantime.
        FactorEntryInvalid: another value has been approved for the same place and day.
    """
    require_staff(session, approved_by)
    connection = driver_connection(session)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_APPROVER_AT_A_TIME])
    entry = entry_by_id(connection, entry_id)
    if entry.approved_by is not None:
        raise FactorAlreadyApproved("{name} has approved this entry.", name=entry.approved_by)
    if entry.proposed_by == approved_by:
        raise SecondPersonNeeded("Who proposed it cannot approve it. Please ask a colleague.")
    _require_ahead(entry.in_force_from)
    _library_with(connection, entry)
    impact = impact_report(connection, entry, region)
    connection.execute(
        STORE_APPROVAL, (entry.id, entry.proposed_by, approved_by, json.dumps(impact))
    )
    return entry_by_id(connection, entry_id), impact


def require_staff(session: Session, name: str) -> None:
    """Refuse a name that no active staff member has.

    Raises:
        StaffUnknown
    """
    if name not in {each.name for each in all_staff(session) if each.state == "active"}:
        raise StaffUnknown("There is no staff member named {name}.", name=name)


def _library_with(connection: psycopg.Connection[Any], entry: Entry) -> Library:
    """Return the library as it would be, or refuse what does not fit into it."""
    return Library.load(entered=[*approved_factors(connection), entry.factor])


def _sample(
    connection: psycopg.Connection[Any],
    library: Library,
    entry: Entry,
    region: str,
    since: datetime,
) -> Iterator[SampledAct]:
    behaviors = {
        methodology.behavior
        for methodology in library.methodologies
        if any(need.key == entry.key for need in methodology.needs)
    }
    terms = {
        "region": region,
        "since": since,
        "behaviors": sorted(behaviors),
        "most": SAMPLE_ACTS,
    }
    for behavior, place, data in connection.execute(READ_SAMPLE, terms):
        act: Mapping[str, Any] = data
        yield behavior, place, entry.in_force_from, act


def _require_ahead(in_force_from: date) -> None:
    if in_force_from < clock.today():
        raise InForceTooEarly(
            "{day} has passed, and what was certified then stays. Please choose a day from today.",
            day=in_force_from.isoformat(),
        )
