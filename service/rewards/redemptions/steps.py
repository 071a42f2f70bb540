"""One step of a redemption: its new state, its record and its event, written together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from service import clock
from service.errors import DomainError
from service.ids import QUOTE, REDEMPTION, public_id
from service.ledger.transfers import derived_id
from service.partners.events import WRITE as WRITE_EVENT
from service.partners.events import NewEvent
from service.pipelining import Connection, Rows
from service.rewards.errors import StateConflict
from service.rewards.redemptions.errors import (
    PartnerReferenceReused,
    QuoteUsed,
    RedemptionUnknown,
    RequestNumberReused,
)
from service.rewards.redemptions.states import STEPS, allowed_from


class Redemption(NamedTuple):
    """A redemption as it stands, under its row's lock."""

    id: UUID
    citizen_id: UUID
    partner_id: UUID
    offer_id: UUID
    offer_version: int
    quote_id: UUID
    consent_id: UUID
    subject: str
    mode: str
    points: int
    subsidy_minor: int
    person_id: bytes | None
    citizen_use_on: date | None
    person_use_on: date | None
    recorded_at: datetime
    state: str
    version: int
    state_before: str | None = None
    captured_points: int = 0
    captured_subsidy_minor: int = 0
    reversed_points: int = 0
    deadline_at: datetime | None = None
    matures_at: datetime | None = None
    matured_as: str | None = None
    closed_at: datetime | None = None
    void_requested_at: datetime | None = None
    status_index: int | None = None
    asked: int = 0
    needs_human: bool = False

    @property
    def public_id(self) -> str:
        """The name that callers know."""
        return public_id(REDEMPTION, self.id)

    @property
    def hold_id(self) -> UUID:
        """The ledger's hold, which goes by the id of the reservation's record."""
        return record_id(self.id, 1)

    def require_step(self, kind: str) -> None:
        """Refuse a step that the present state does not allow.

        Raises:
            StateConflict: it names the state and what is possible in it.
        """
        if self.state not in STEPS[kind].from_states:
            raise self.state_conflict()

    def state_conflict(self) -> StateConflict:
        """Return the refusal of what the present state does not allow."""
        return StateConflict(
            "The redemption is {current_state}, which does not allow this.",
            current_state=self.state,
            allowed=allowed_from(self.state),
        )


COLUMNS: Final = ", ".join(Redemption._fields)
FIXED: Final = 15
"""So many columns never change after the reservation."""
CHANGING: Final = Redemption._fields[FIXED:]

READ: Final = f"SELECT {COLUMNS} FROM redemption WHERE id = %s"
LOCK: Final = f"{READ} FOR UPDATE"

CREATE: Final = f"""
INSERT INTO redemption ({COLUMNS}) VALUES ({", ".join(["%s"] * len(Redemption._fields))})
"""

CHANGE: Final = f"""
UPDATE redemption SET {", ".join(f"{column} = %s" for column in CHANGING)} WHERE id = %s
"""

WRITE_RECORD: Final = """
INSERT INTO redemption_record (redemption_id, no, id, kind, state, request_no, actor_kind, actor_id,
    partner_id, partner_reference, points, reduction_g, subsidy_minor, posting_id, of_id, body,
    business_date, recorded_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

# What a step writes goes in one statement: it costs half of what three cost.
BEGIN: Final = f"WITH made AS ({CREATE}), told AS ({WRITE_EVENT}) {WRITE_RECORD}"
NOTE: Final = f"WITH told AS ({WRITE_EVENT}) {WRITE_RECORD}"
TAKE: Final = f"WITH changed AS ({CHANGE}), told AS ({WRITE_EVENT}) {WRITE_RECORD}"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who takes a step, and the number that he gives it."""

    kind: str
    id: UUID | None = None
    request_no: str = ""
    """Empty: the record's own id is its number."""


SERVICE: Final = Actor("service")
"""Timers, the janitor and the reconciler."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is written down of one step."""

    kind: str
    actor: Actor
    points: int = 0
    reduction_g: int = 0
    subsidy_minor: int = 0
    posting_id: UUID | None = None
    of_id: UUID | None = None
    partner_reference: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


class Written(NamedTuple):
    """A step that has been taken: the redemption from now on, and its record as it is shown."""

    redemption: Redemption
    record_id: UUID
    record: Record
    recorded_at: datetime
    request_no: str


def ask_locked(connection: Connection, redemption_id: UUID) -> Rows:
    """Ask for a redemption and lock it until the transaction ends."""
    return connection.execute(LOCK, (redemption_id,))


def redemption_from(rows: Rows) -> Redemption:
    """Return the redemption that was asked for.

    Raises:
        RedemptionUnknown: there is none.
    """
    row = rows.fetchone()
    if row is None:
        raise unknown()
    return Redemption._make(row)


def unknown() -> RedemptionUnknown:
    """Return the refusal of a redemption that is not there, or is somebody else's."""
    return RedemptionUnknown("There is no such redemption, or it is not yours to see.")


def record_id(redemption_id: UUID, no: int) -> UUID:
    """Return the id of a redemption's record, which is also that of the record's posting."""
    return derived_id(b"redemption-record", redemption_id.bytes, no.to_bytes(4))


def rest_id(of_record: UUID) -> UUID:
    """Return the id of the posting that gives back what a record leaves over."""
    return derived_id(b"redemption-rest", of_record.bytes)


def begin(connection: Connection, redemption: Redemption, record: Record) -> Written:
    """Write a new redemption down, with its newest record and that record's event."""
    return _write(connection, BEGIN, redemption, redemption, record)


def note(connection: Connection, redemption: Redemption, record: Record) -> Written:
    """Write record and event of a step that another follows at once; `begin` writes the rest."""
    return _write(connection, NOTE, (), redemption, record)


def take(connection: Connection, after: Redemption, record: Record) -> Written:
    """Write a step down.

    Args:
        connection: inside the caller's transaction, which has locked the redemption.
        after: as it stands from now on, still with the version before.
        record: what is written of it.
    """
    assert after.state in STEPS[record.kind].to_states, (record.kind, after.state)  # noqa: S101
    after = after._replace(version=after.version + 1)
    return _write(connection, TAKE, (*after[FIXED:], after.id), after, record)


def _write(
    connection: Connection,
    statement: str,
    values: tuple[Any, ...],
    after: Redemption,
    record: Record,
) -> Written:
    """Write redemption, event and record."""
    this_id, now = record_id(after.id, after.version), clock.now()
    request_no = record.actor.request_no or this_id.hex
    event = NewEvent(
        after.partner_id, STEPS[record.kind].event, after.public_id, after.state, after.version
    )
    written = (
        after.id,
        after.version,
        this_id,
        record.kind,
        after.state,
        request_no,
        record.actor.kind,
        record.actor.id,
        after.partner_id,
        record.partner_reference,
        record.points,
        record.reduction_g,
        record.subsidy_minor,
        record.posting_id,
        record.of_id,
        msgspec.json.encode(record.body).decode(),
        clock.day_of(now),
        now,
    )
    connection.execute(statement, (*values, *event.values(), *written))
    return Written(after, this_id, record, now, request_no)


def refusal_of_step(error: psycopg.errors.IntegrityError) -> DomainError | None:
    """Return what a constraint of these tables means to a caller; None: nothing of theirs."""
    match error.diag.constraint_name:
        case "uq_redemption_quote_id":
            return QuoteUsed("This quote was accepted before. Please ask for a new one.")
        case "uq_redemption_record_partner_reference":
            return PartnerReferenceReused(
                "This partner_reference belongs to another record. Please choose a new one."
            )
        case "uq_redemption_record_request_no":
            return RequestNumberReused(
                "This request's number belongs to another record. Please choose a new one."
            )
        case _:
            return None


def quote_public_id(redemption: Redemption) -> str:
    """Return the public id of the quote that was accepted."""
    return public_id(QUOTE, redemption.quote_id)
