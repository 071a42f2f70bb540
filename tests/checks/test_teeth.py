"""The checks find what they look for: damage that every constraint lets pass."""

from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

from checks.books import Books
from checks.comparing import Differences, differences
from checks.log_entries import root_of
from checks.operations import Answered, Effect, Operation, Posting
from checks.town import Town
from service.db import libpq_url
from service.runtime import Runtime


@pytest.fixture
def town(fresh_runtime: Runtime) -> Town:
    founded = Town(fresh_runtime, 1)
    founded.endow(list(founded.citizens.values()), 1_000)
    return founded


def test_books_in_order_have_no_faults(town: Town) -> None:
    assert faults_of(town.runtime) == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE lot SET available_points = available_points - 1, held_points = held_points + 1",
        "UPDATE lot SET available_g = available_g - 1, expired_g = expired_g + 1",
        "UPDATE lot SET issued_points = issued_points + 1, available_points = available_points + 1",
        "UPDATE account SET owed_points = 1",
        "DELETE FROM lot",
    ],
)
def test_damaged_books_have_faults(town: Town, damage: str) -> None:
    with psycopg.connect(libpq_url(town.runtime.settings.migration_database_url)) as connection:
        connection.execute(damage.encode())

    assert faults_of(town.runtime) != []


class TestComparingAnswersWithBooks:
    def test_agrees_with_what_was_posted(self, town: Town) -> None:
        operation = a_hold(town)
        operation.send()

        assert compared(town.runtime, operation) == Differences()

    def test_misses_what_was_answered_and_never_posted(self, town: Town) -> None:
        operation = a_hold(town)
        (citizen_id,) = town.citizens.values()
        operation.answer = Answered("", (Effect(citizen_id, "available", "held", 10),))

        assert compared(town.runtime, operation).missing > 0

    def test_sees_what_was_posted_twice(self, town: Town) -> None:
        operation, again = a_hold(town), a_hold(town)
        operation.send()
        again.send()

        assert compared(town.runtime, operation).doubled > 0


def test_a_root_is_computed_as_rfc_6962_says() -> None:
    a, b, c = (sha256(letter).digest() for letter in (b"a", b"b", b"c"))

    assert root_of([a, b, c]) == node(node(a, b), c)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def a_hold(town: Town) -> Operation:
    (citizen_id,) = town.citizens.values()
    return Operation(Posting(town.runtime.database, citizen_id, "hold", 10, id=uuid4()))


def compared(runtime: Runtime, operation: Operation) -> Differences:
    with runtime.database.raw_transaction() as connection:
        found = differences(connection, [operation])
    # What was issued besides is nobody's answer here.
    found.doubled -= sum("issued of" in sentence for sentence in found.sentences)
    found.sentences = [each for each in found.sentences if "issued of" not in each]
    return found


def faults_of(runtime: Runtime) -> list[str]:
    with runtime.database.raw_transaction() as connection:
        return list(Books(connection).faults())
