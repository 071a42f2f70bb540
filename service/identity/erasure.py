"""Leaving: in one transaction she is gone for everybody, in a second everything of hers is deleted.

The first transaction, as the application, marks the account erased, writes the erasure down for
ever, ends sessions, links and consents, and tells those who were composed in. The second, as the
only role that may delete, empties every table that this role may delete from and that names a
citizen: which those are, the grants say. A crash between the two is mended by `finish_erasures`;
doing either twice changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from service import clock
from service.db import driver_connection
from service.identity.citizens import release_number
from service.identity.consents.ending import end_consents_of, hold_consents_of
from service.identity.consequences import Consequences
from service.identity.errors import CitizenUnknown
from service.identity.models import Citizen, Erasure, ErasureCompletion, SourceLink
from service.identity.sessions import end_every_session
from service.runtime import Runtime

PERSON_COLUMNS = ("citizen_id", "principal_id")
"""How tables name whose a row is."""


@dataclass(frozen=True, slots=True)
class PersonalTable:
    """A table from which an erasure deletes."""

    name: str
    person_column: str


def begin_erasure(
    session: Session,
    citizen_id: UUID,
    requested_by: Literal["citizen", "staff", "command_line"],
    consequences: Consequences,
) -> None:
    """Let a citizen leave; from the commit on nobody can act as her, and nothing new is recorded.

    Raises:
        CitizenUnknown: there never was such an account.
    """
    hold_consents_of(driver_connection(session), citizen_id)
    citizen = session.get(Citizen, citizen_id, with_for_update=True)
    if citizen is None:
        raise CitizenUnknown("There is no such account.")
    if citizen.state == "erased":
        return
    citizen.state = "erased"
    session.execute(insert(Erasure).values(citizen_id=citizen_id, requested_by=requested_by))
    end_every_session(session, citizen_id, because="erased")
    release_number(session, citizen_id)
    _end_links(session, citizen_id)
    end_consents_of(driver_connection(session), citizen_id)
    for follow in consequences.citizen_left:
        follow(session, citizen_id)


STRAGGLERS_COME_WITHIN = timedelta(minutes=15)
"""Longer than any request lives: a feed's statements end after ten seconds each."""


def complete_erasure(connection: psycopg.Connection[Any], citizen_id: UUID) -> bool:
    """Delete everything personal of a citizen who has left, and write down that it is done.

    Returns:
        Whether it had not been written down before.

    Args:
        connection: of `runtime.eraser`.
        citizen_id: of an erasure that has begun.
    """
    _forget_number_of_codes(connection, citizen_id)
    _leave_trace_of_accounts(connection, citizen_id)
    _blot_out_secrets(connection, citizen_id)
    for table in personal_tables(connection):
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE {} = %s").format(
                sql.Identifier(table.name), sql.Identifier(table.person_column)
            ),
            [citizen_id],
        )
    written = connection.execute(
        "INSERT INTO erasure_completion (citizen_id) VALUES (%s) ON CONFLICT DO NOTHING",
        [citizen_id],
    )
    return written.rowcount > 0


def finish_erasures(runtime: Runtime) -> int:
    """Complete what a crash has left half done, each in its own transaction; return how many."""
    with runtime.database.transaction() as session:
        unfinished = list(_unfinished(session))
    finished = 0
    for citizen_id in unfinished:
        with runtime.eraser.raw_transaction() as connection:
            finished += complete_erasure(connection, citizen_id)
    return finished


def personal_tables(connection: psycopg.Connection[Any]) -> list[PersonalTable]:
    """Return the tables that name a person and that the present role may delete from."""
    found = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = ANY(%s)"
        " AND has_table_privilege(format('%%I.%%I', table_schema, table_name), 'DELETE')"
        " ORDER BY table_name",
        [list(PERSON_COLUMNS)],
    )
    return [PersonalTable(*row) for row in found]


def _blot_out_secrets(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Destroy what could still open the public log's commitments to what was hers."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.column_privileges"
        " WHERE table_schema = 'public' AND column_name = 'secret'"
        " AND privilege_type = 'UPDATE' AND grantee = current_user ORDER BY table_name"
    )
    for (table,) in found.fetchall():
        connection.execute(
            sql.SQL(
                "UPDATE {} SET secret = NULL WHERE citizen_id = %s AND secret IS NOT NULL"
            ).format(sql.Identifier(table)),
            [citizen_id],
        )


def _end_links(session: Session, citizen_id: UUID) -> None:
    now = clock.now()
    live = update(SourceLink).where(
        SourceLink.citizen_id == citizen_id, SourceLink.ended_at.is_(None)
    )
    hers = update(SourceLink).where(SourceLink.citizen_id == citizen_id)
    ended = {"state": "ended", "ended_at": now, "account_sealed": None, "sealed_key_version": None}
    for statement in (live.values(ended), hers.values(holder_state="erased")):
        session.execute(statement.execution_options(synchronize_session=False))


def _unfinished(session: Session) -> Iterator[UUID]:
    """Yield whose erasure is half done, and those of the last minutes once more.

    A feed that was under way when she left may have written a detail after the first time.
    """
    done = select(ErasureCompletion.citizen_id)
    recent = Erasure.recorded_at > clock.now() - STRAGGLERS_COME_WITHIN
    begun = select(Erasure.citizen_id).where(or_(Erasure.citizen_id.not_in(done), recent))
    yield from session.scalars(begun.order_by(Erasure.recorded_at))


def _forget_number_of_codes(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Blot out her number in codes she never used; their count goes on limiting for a day."""
    connection.execute(
        "UPDATE one_time_code SET phone_sealed = NULL WHERE phone_index IN ("
        " SELECT former_phone_index FROM citizen_identity WHERE citizen_id = %s)",
        [citizen_id],
    )


def _leave_trace_of_accounts(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    """Remember until when her accounts were somebody's, so that no act is certified a second time.

    The trace is a digest of the keyed digest and names nobody.
    """
    connection.execute(
        "INSERT INTO released_account (source_id, account_trace, released_at)"
        " SELECT source_id, sha256(account_digest), max(ended_at) FROM source_link"
        " WHERE citizen_id = %s AND linked_at IS NOT NULL GROUP BY source_id, account_digest"
        " ON CONFLICT (source_id, account_trace)"
        " DO UPDATE SET released_at = greatest(released_account.released_at, excluded.released_at)",
        [citizen_id],
    )
