"""Leaving, as the log and the outside folder remember it; and a database that has forgotten it."""

import hashlib
import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from service import clock
from service.identity.erasure import begin_erasure, complete_erasure
from service.identity.models import Citizen
from service.leaving import consequences, erase_again
from service.ledger.accounts import lock_account
from service.runtime import Runtime
from service.transparency.errors import OutsideUnusable
from service.transparency.outside import Outside
from tests.transparency.books import Books


@pytest.fixture
def town(books: Books) -> Runtime:
    return replace(books.runtime, settings=books.settings)


def a_citizen(runtime: Runtime) -> UUID:
    citizen_id = uuid4()
    with runtime.database.transaction() as session:
        session.add(Citizen(citizen_id=citizen_id, last_seen_at=clock.now()))
    return citizen_id


def leave(runtime: Runtime, citizen_id: UUID) -> None:
    with runtime.database.transaction() as session:
        begin_erasure(session, citizen_id, "citizen", consequences(lambda: runtime.settings))
    with runtime.eraser.raw_transaction() as connection:
        complete_erasure(connection, citizen_id)


def state_of(runtime: Runtime, citizen_id: UUID) -> str:
    with runtime.database.transaction() as session:
        citizen = session.get_one(Citizen, citizen_id)
        return citizen.state


def erasures_logged(runtime: Runtime) -> list[dict[str, str]]:
    with runtime.database.raw_transaction() as connection:
        rows = connection.execute("SELECT content FROM log_event WHERE kind = 'erasure'").fetchall()
    return [json.loads(row[0]) for row in rows]


class TestLeaving:
    def test_is_a_leaf_that_names_nobody(self, town: Runtime, books: Books) -> None:
        citizen_id = a_citizen(town)

        leave(town, citizen_id)
        books.cycle()

        digest = hashlib.sha256(citizen_id.bytes).hexdigest()
        assert erasures_logged(town) == [{"citizen_sha256": digest}]
        assert sorted(books.entries()) == sorted(books.committed())

    def test_destroys_what_could_open_her_entries(self, town: Runtime) -> None:
        citizen_id, other = a_citizen(town), a_citizen(town)
        for each in (citizen_id, other):
            with town.database.raw_transaction() as connection:
                lock_account(connection, each)

        leave(town, citizen_id)

        with town.database.raw_transaction() as connection:
            secrets = dict(connection.execute("SELECT citizen_id, secret FROM account").fetchall())
        assert secrets[citizen_id] is None
        assert secrets[other] is not None

    def test_is_kept_outside(self, town: Runtime) -> None:
        citizen_id = a_citizen(town)

        leave(town, citizen_id)
        leave(town, citizen_id)

        assert Outside(town.settings.outside).erased() == [citizen_id]
        assert len(erasures_logged(town)) == 1

    def test_does_not_happen_when_it_cannot_be_kept_outside(self, town: Runtime) -> None:
        citizen_id = a_citizen(town)
        town.settings.outside.parent.mkdir(parents=True, exist_ok=True)
        town.settings.outside.write_text("no folder")

        with pytest.raises(OutsideUnusable):
            leave(town, citizen_id)

        assert state_of(town, citizen_id) == "active"
        assert erasures_logged(town) == []


class TestARestoredDatabase:
    def test_erases_again_whom_it_has_brought_back(self, town: Runtime) -> None:
        brought_back, stays, unknown = a_citizen(town), a_citizen(town), uuid4()
        for citizen_id in (brought_back, unknown):
            Outside(town.settings.outside).keep_erasure(citizen_id)

        first, second = erase_again(town), erase_again(town)

        assert (first, second) == (1, 0)
        assert state_of(town, brought_back) == "erased"
        assert state_of(town, stays) == "active"

    def test_that_forgot_nobody_changes_nothing(self, town: Runtime) -> None:
        leave(town, a_citizen(town))

        assert erase_again(town) == 0
