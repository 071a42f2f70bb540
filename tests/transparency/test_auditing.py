"""The audit of the log finds what was changed, and nothing where nothing was."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from service.cli import cli
from service.transparency.auditing import CHECKS, audit_tree
from service.transparency.heads import DEFAULT_ORIGIN
from service.transparency.keys import LogKeys
from service.transparency.notes import Checkpoint, sign_checkpoint
from service.transparency.outside import Outside
from tests.transparency.books import Books

TRANSFERS = (1, 255, 300, 256, 1, 70_000, 3)
"""Sealed one after the other; with them the log has full and partial tiles on three levels."""


ONE_TRANSFER = "(SELECT id FROM transfer ORDER BY recorded_at, id OFFSET 700 LIMIT 1)"
OUTSIDE = {"log-continues-the-outside-head": {"size": 70_817}}

DAMAGES: dict[str, dict[str, Any]] = {
    f"UPDATE transfer SET commitment = sha256('') WHERE id = {ONE_TRANSFER}": {
        "log-has-what-was-committed": (701,),
    },
    f"DELETE FROM transfer WHERE id = {ONE_TRANSFER}": {
        "log-has-what-was-committed": (701,),
    },
    "UPDATE log_tile SET hashes = sha256('') || substr(hashes, 33) WHERE level = 0 AND index = 9": {
        "tiles-follow-from-entries": {"level": 0, "index": 9},
    },
    "UPDATE log_tile SET hashes = sha256('') WHERE level = 2": {
        "tiles-follow-from-entries": {"level": 2, "index": 0},
    },
    "DELETE FROM log_tile WHERE level = 1 AND index = 1": {
        "tiles-follow-from-entries": {"level": 1, "index": 1},
    },
    "INSERT INTO log_tile VALUES (3, 0, sha256(''))": {
        "tiles-follow-from-entries": {"level": 3, "index": 0},
    },
    "UPDATE log_seal SET root = sha256('') WHERE size = 557": {
        "seals-have-their-root": {"size": 557},
    },
    "UPDATE log_head SET checkpoint = replace(checkpoint, '557', '558') WHERE size = 557": {
        "heads-are-signed-roots": {"size": 557},
    },
    # Two entries change places.
    "UPDATE log_bundle SET entries = substr(entries, 1, 320) || substr(entries, 353, 32)"
    " || substr(entries, 321, 32) || substr(entries, 385) WHERE index = 2": {
        "log-has-what-was-committed": (522,),
        "tiles-follow-from-entries": {"level": 0, "index": 2},
        "seals-have-their-root": {"size": 557},
        "heads-are-signed-roots": {"size": 557},
        **OUTSIDE,
    },
    "DELETE FROM log_seal WHERE size = 813": {"seals-leave-no-gap": None},
}
"""What is done to the log, and the first difference that each broken comparison names."""


@pytest.fixture
def log(books: Books) -> Iterator[tuple[Books, psycopg.Connection[Any]]]:
    """A log of some seals, and a connection that may damage it."""
    for transfers in TRANSFERS:
        books.write(transfers)
        books.cycle()
    with books.owner() as connection:
        for table in ("transfer", "log_event", "log_tile", "log_bundle", "log_seal", "log_head"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    with books.owner() as connection:
        yield books, connection


def broken(books: Books, connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """The comparisons that do not hold, with the first difference of each."""
    outside = Outside(books.settings.outside).checkpoint()
    verifiers = LogKeys.at(books.settings.home / "keys").verifiers(DEFAULT_ORIGIN)
    found = {each.name: each.first for each in audit_tree(connection, verifiers, outside)}
    for check in CHECKS:
        found[check.name] = connection.execute(f"{check.query} ORDER BY 1").fetchone()
    return {name: first for name, first in found.items() if first is not None}


class TestTheAuditOfTheLog:
    def test_of_an_untouched_one_finds_nothing(
        self, log: tuple[Books, psycopg.Connection[Any]]
    ) -> None:
        assert broken(*log) == {}

    def test_of_an_empty_one_finds_nothing(self, books: Books) -> None:
        with books.owner() as connection:
            assert broken(books, connection) == {}

    def test_does_not_mind_what_is_not_yet_sealed(
        self, log: tuple[Books, psycopg.Connection[Any]]
    ) -> None:
        log[0].write(50)

        assert broken(*log) == {}

    def test_finds_what_was_changed(self, log: tuple[Books, psycopg.Connection[Any]]) -> None:
        books, connection = log
        for damage, finds in DAMAGES.items():
            with connection.transaction(force_rollback=True):
                damaged = connection.execute(damage)
                found = broken(books, connection)

            assert damaged.rowcount == 1, damage
            for name, first in finds.items():
                assert name in found, damage
                assert first in (None, found[name]), damage

    def test_finds_a_head_signed_over_another_tree(
        self, log: tuple[Books, psycopg.Connection[Any]]
    ) -> None:
        books, connection = log
        signers = LogKeys.at(books.settings.home / "keys").signers(DEFAULT_ORIGIN)
        forged = sign_checkpoint(Checkpoint(DEFAULT_ORIGIN, 813, bytes(32)), signers)
        connection.execute("UPDATE log_head SET checkpoint = %s WHERE size = 813", [forged])

        assert broken(*log) == {"heads-are-signed-roots": {"size": 813}}

    def test_finds_a_history_written_anew(self, log: tuple[Books, psycopg.Connection[Any]]) -> None:
        books, _ = log
        note = Outside(books.settings.outside).checkpoint()
        assert note
        with books.owner() as owner:
            for table in ("log_tile", "log_bundle", "log_head", "log_seal"):
                owner.execute(f"DELETE FROM {table}")
            owner.execute("UPDATE transfer SET commitment = sha256(commitment)")
        (books.settings.outside / "checkpoint").unlink()
        books.cycle()
        (books.settings.outside / "checkpoint").write_text(note)

        assert broken(*log) == {"log-continues-the-outside-head": {"size": 70_817}}

    def test_finds_the_outside_head_gone(self, log: tuple[Books, psycopg.Connection[Any]]) -> None:
        (log[0].settings.outside / "checkpoint").unlink()

        assert broken(*log) == {"log-continues-the-outside-head": {"missing": True}}


def carbon_audit(books: Books) -> Result:
    """What an operator sees: every part, put together as it is in the service."""
    runtime = replace(books.runtime, settings=books.settings)
    return CliRunner().invoke(cli.commands["audit"], obj=runtime)


class TestTheAuditCommand:
    def test_of_a_database_that_never_had_a_sealer_finds_nothing(self, books: Books) -> None:
        audited = carbon_audit(books)

        assert audited.exit_code == 0, audited.output
        assert "BROKEN" not in audited.output

    def test_of_a_log_that_has_begun_finds_nothing(self, books: Books) -> None:
        books.cycle()

        assert carbon_audit(books).exit_code == 0

    def test_finds_a_log_that_has_lost_its_name(self, books: Books) -> None:
        books.cycle()
        with books.owner() as connection:
            connection.execute("ALTER TABLE log_identity DISABLE TRIGGER ALL")
            connection.execute("DELETE FROM log_identity")

        audited = carbon_audit(books)

        assert audited.exit_code == 1
        assert "BROKEN  log-has-its-name" in audited.output
        assert "invariants are broken" in audited.output

    def test_finds_a_log_emptied_behind_a_head_that_was_kept(self, books: Books) -> None:
        books.settings.outside.mkdir(parents=True)
        (books.settings.outside / "checkpoint").write_text("carbon.local/log\n1\nAA==\n")

        audited = carbon_audit(books)

        assert audited.exit_code == 1
        assert "BROKEN  log-continues-the-outside-head" in audited.output
