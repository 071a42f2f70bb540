"""Points that move to another last day: an extension, or a grace lot for what comes back lapsed."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from service import clock
from service.bulk import Row, array_of, insert_rows
from service.db import Database
from service.ledger.accounts import lock_account, lock_accounts
from service.ledger.errors import CarryDateInvalid, NothingToCarry
from service.ledger.expiry import BookedRun, book_in_chunks
from service.ledger.lots import ask_live_lots, has_lapsed, live_lots
from service.ledger.postings import (
    POSTINGS,
    Movement,
    Outcome,
    Posting,
    Terms,
    movements_as_transfers,
    posting_row,
)
from service.ledger.transfers import NewTransfer, derived_id, write_transfers
from service.pipelining import Connection

LIFE_LONGEST: Final = timedelta(days=3652)
"""Points never live longer than ten years (DESIGN §5; Shenzhen's rules of 2022-08)."""

WITH_LOT: Final = """
SELECT encode(uuid_send(citizen_id), 'hex') FROM lot
WHERE citizen_id = ANY(%s) AND expires_on = %s AND (available_points > 0 OR available_g > 0)
"""

SUM_LOTS: Final = """
SELECT count(*), coalesce(sum(available_points), 0)::bigint, coalesce(sum(available_g), 0)::bigint
FROM lot
WHERE citizen_id = ANY(%s) AND expires_on = %s AND (available_points > 0 OR available_g > 0)
"""

READ_LOT: Final = """
SELECT citizen_id, available_points, available_g, carried_out_points, carried_out_g FROM lot
WHERE citizen_id = ANY(%s::uuid[]) AND expires_on = %s
  AND (available_points > 0 OR available_g > 0)
ORDER BY citizen_id
"""


def require_carry_date(carry_to: date | None) -> None:
    """Refuse a last day that has passed already or is too far away.

    Raises:
        CarryDateInvalid: it is not from today to ten years from now.
    """
    today = clock.today()
    if carry_to is not None and not today <= carry_to <= today + LIFE_LONGEST:
        raise CarryDateInvalid(
            "Points can be carried to a day from {first} to {last}.",
            first=today.isoformat(),
            last=(today + LIFE_LONGEST).isoformat(),
        )


def movements_on(back: Movement, carry_to: date | None) -> Iterator[Movement]:
    """Yield how what has come back into a lapsed lot goes on to a grace lot, if there is one."""
    if carry_to is not None and has_lapsed(back.expires_on):
        yield Movement("carry_out", back.expires_on, back.points, back.reduction_g)
        yield Movement("carry_in", carry_to, back.points, back.reduction_g)


def extend(
    connection: Connection,
    citizen_id: UUID,
    posting_id: UUID,
    expires_on: date,
    carry_to: date,
) -> Outcome:
    """Give what is available in one lot a later last day.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: chosen by the caller.
        expires_on: the lot.
        carry_to: its new last day.

    Returns:
        The lot lines, or the refusal `nothing-to-carry`.

    Raises:
        CarryDateInvalid: the new day is not later, or too late.
        PostingConflict: the id was used for something else.
    """
    terms = Terms("extend", expires_on=expires_on, carry_to=carry_to)
    accounts = lock_account(connection, citizen_id)
    posting = Posting(connection, citizen_id, posting_id, terms)
    if before := posting.answered_before():
        return before
    _require_later(expires_on, carry_to)  # a repeat is answered whatever day it is
    lots = live_lots(ask_live_lots(connection, citizen_id))
    lot = next((lot for lot in lots if lot.expires_on == expires_on), None)
    if lot is None:
        return posting.refuse(accounts, NothingToCarry, expires_on=expires_on.isoformat())
    return posting.carry_out(accounts, _moved(expires_on, carry_to, lot.points, lot.reduction_g))


def extend_lots(database: Database, expires_on: date, carry_to: date) -> BookedRun:
    """Give everybody's lot of a day a later last day, chunk after chunk, whatever stops it between.

    Args:
        database: each chunk is a transaction of its own.
        expires_on: the lots; they have not lapsed.
        carry_to: their new last day.

    Raises:
        CarryDateInvalid: the new day is not later, or too late; or the lots have lapsed, maybe
            while it ran: what was carried before that stays carried.
    """
    _require_extendable(expires_on, carry_to)
    return book_in_chunks(database, partial(_extend_chunk, expires_on, carry_to))


def extendable(database: Database, expires_on: date, carry_to: date) -> BookedRun:
    """Return what `extend_lots` would carry, and carry nothing.

    Raises:
        CarryDateInvalid: as `extend_lots`.
    """
    _require_extendable(expires_on, carry_to)

    def count(connection: Connection, citizen_ids: list[UUID]) -> BookedRun:
        return BookedRun(*connection.execute(SUM_LOTS, (citizen_ids, expires_on)).fetchall()[0])

    return book_in_chunks(database, count)


def _extend_chunk(
    expires_on: date, carry_to: date, connection: Connection, citizen_ids: list[UUID]
) -> BookedRun:
    citizens = [
        row[0] for row in connection.execute(WITH_LOT, (citizen_ids, expires_on)).fetchall()
    ]
    if not citizens:
        return BookedRun()
    accounts = lock_accounts(connection, citizens)
    _require_extendable(expires_on, carry_to)  # a long run or a wait may have passed midnight
    lots = connection.execute(READ_LOT, (array_of(citizens), expires_on)).fetchall()
    terms = Terms("extend", expires_on=expires_on, carry_to=carry_to)
    postings: list[Row] = []
    transfers: list[NewTransfer] = []
    for citizen_id, points, grams, points_before, grams_before in lots:
        # A lot can fill again and be extended again: the id is made of what was carried before.
        named = f"{citizen_id.hex} {expires_on} {carry_to} {points_before} {grams_before}"
        posting_id = derived_id(b"extend", named.encode())
        movements = _moved(expires_on, carry_to, points, grams)
        moved_at = accounts[citizen_id.hex].moved_at
        postings.append(posting_row(citizen_id, posting_id, terms, moved_at))
        transfers += movements_as_transfers(citizen_id, posting_id, movements)
    insert_rows(connection, POSTINGS, postings)
    write_transfers(connection, accounts, transfers)
    return BookedRun(len(lots), sum(lot[1] for lot in lots), sum(lot[2] for lot in lots))


def _require_extendable(expires_on: date, carry_to: date) -> None:
    _require_later(expires_on, carry_to)
    if has_lapsed(expires_on):
        raise CarryDateInvalid("Points of {day} have lapsed already.", day=expires_on.isoformat())


def _require_later(expires_on: date, carry_to: date) -> None:
    require_carry_date(carry_to)
    if carry_to <= expires_on:
        raise CarryDateInvalid(
            "The new last day must come after {day}.", day=expires_on.isoformat()
        )


def _moved(expires_on: date, carry_to: date, points: int, grams: int) -> list[Movement]:
    return [
        Movement("carry_out", expires_on, points, grams),
        Movement("carry_in", carry_to, points, grams),
    ]
