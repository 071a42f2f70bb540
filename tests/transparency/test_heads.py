"""Heads: signed when the log has grown, and never over another history."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from service.transparency import heads, sealing
from service.transparency.errors import HistoryDiffers, LogRenamed
from service.transparency.keys import LogKeys
from service.transparency.merkle import Tree
from service.transparency.notes import Checkpoint, Signer, open_checkpoint, sign_checkpoint
from service.transparency.outside import Outside
from service.transparency.sealer import sealing_connection
from service.transparency.tile_store import tile_reader
from service.transparency.verification import verify_consistency
from tests.transparency.books import Books

ORIGIN = heads.DEFAULT_ORIGIN


def published(books: Books) -> list[Checkpoint]:
    """Every published head, opened with the log's keys."""
    verifiers = LogKeys.at(books.settings.home / "keys").verifiers(ORIGIN)
    with books.owner() as connection:
        rows = connection.execute("SELECT checkpoint FROM log_head ORDER BY size").fetchall()
    return [open_checkpoint(row[0], verifiers) for row in rows]


def kept(books: Books) -> str:
    note = Outside(books.settings.outside).checkpoint()
    assert note is not None
    return note


def keep(books: Books, note: str) -> None:
    (books.settings.outside / "checkpoint").write_text(note)


def signer(books: Books) -> Signer:
    return LogKeys.at(books.settings.home / "keys").signers(ORIGIN)[0]


def seals(books: Books) -> int:
    with books.owner() as connection:
        row = connection.execute("SELECT count(*) FROM log_seal").fetchone()
    return int(row[0]) if row else 0


class Crash(RuntimeError):
    """Stands for a process that ends between two steps."""


def crash(*_: Any, **__: Any) -> None:
    raise Crash


class TestAHead:
    def test_is_published_whenever_the_log_has_grown(self, books: Books) -> None:
        first = books.cycle()
        books.write(300)
        second, third = books.cycle(), books.cycle()

        assert first
        assert second
        assert (first.checkpoint.size, second.checkpoint.size, third) == (1, 301, None)
        assert published(books) == [first.checkpoint, second.checkpoint]
        assert kept(books) == second.note

    def test_continues_the_one_before(self, books: Books) -> None:
        for transfers in (1, 255, 700, 3):
            books.write(transfers)
            books.cycle()

        found = published(books)
        with books.connection() as connection:
            tree = Tree(found[-1].size, tile_reader(connection, found[-1].size))
            for old, new in itertools.pairwise(found):
                path = tree.consistency_path(old.size, new.size)
                verify_consistency(old.size, old.root, new.size, new.root, path)

    def test_is_not_signed_under_another_name(self, books: Books) -> None:
        books.cycle()
        renamed = replace(books, settings=replace(books.settings, log_origin="elsewhere/log"))

        with pytest.raises(LogRenamed):
            renamed.cycle()


class TestAfterACrash:
    @pytest.mark.parametrize(
        ("place", "step"),
        [
            (sealing, "write_tiles"),
            (heads, "last_seal"),
            (heads, "sign_checkpoint"),
            (heads, "_published"),
        ],
    )
    def test_everything_is_published_once(
        self, books: Books, monkeypatch: pytest.MonkeyPatch, place: Any, step: str
    ) -> None:
        books.cycle()
        books.write(300)
        with monkeypatch.context() as patched:
            patched.setattr(place, step, crash)
            with pytest.raises(Crash):
                books.cycle()

        books.write(5)
        books.cycle()
        books.cycle()

        assert sorted(books.entries()) == sorted(books.committed())
        assert published(books)[-1].size == 306

    def test_a_head_that_was_kept_is_published_as_it_is(
        self, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        books.write(5)
        with monkeypatch.context() as patched:
            patched.setattr(heads, "_published", crash)
            with pytest.raises(Crash):
                books.cycle()

        head = books.cycle()

        assert head
        assert head.note == kept(books)


class TestAnotherHistory:
    """Whatever makes it another one: nothing is sealed or signed any more."""

    def refused(self, books: Books) -> None:
        before = seals(books)
        books.write(1)
        with pytest.raises(HistoryDiffers):
            books.cycle()
        keys = LogKeys.at(books.settings.home / "keys")
        office = heads.HeadOffice(ORIGIN, keys, Outside(books.settings.outside))
        with sealing_connection(books.settings) as connection, pytest.raises(HistoryDiffers):
            office.publish(connection)
        assert seals(books) == before

    def test_a_database_restored_too_short_is_refused(self, books: Books) -> None:
        books.cycle()
        keep(books, sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), [signer(books)]))

        self.refused(books)

    def test_a_database_restored_too_short_is_refused_when_it_has_grown_again(
        self, books: Books
    ) -> None:
        books.write(10)
        books.cycle()
        keep(books, sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), [signer(books)]))

        self.refused(books)

    def test_a_new_database_is_refused(self, books: Books) -> None:
        keys = LogKeys.at(books.settings.home / "keys")
        books.settings.outside.mkdir(parents=True)
        keep(books, sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), keys.signers(ORIGIN)))

        self.refused(books)

    def test_a_lost_head_is_not_replaced(self, books: Books) -> None:
        books.cycle()
        (books.settings.outside / "checkpoint").unlink()

        self.refused(books)

    def test_a_lost_head_may_be_put_back(self, books: Books) -> None:
        books.cycle()
        note = kept(books)
        books.write(5)
        books.cycle()
        keep(books, note)

        books.write(1)
        head = books.cycle()

        assert head
        assert head.checkpoint.size == 7

    def test_a_head_that_is_signed_by_others_is_refused(
        self, books: Books, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        books.cycle()
        others = LogKeys.at(tmp_path_factory.mktemp("others"))
        size, root = published(books)[0].size, published(books)[0].root
        keep(books, sign_checkpoint(Checkpoint(ORIGIN, size, root), others.signers(ORIGIN)))

        self.refused(books)

    def test_a_changed_tile_is_refused(self, books: Books) -> None:
        books.write(300)
        books.cycle()
        with books.owner() as connection:
            connection.execute("ALTER TABLE log_tile DISABLE TRIGGER ALL")
            connection.execute(
                "UPDATE log_tile SET hashes = sha256('') || substr(hashes, 33)"
                " WHERE level = 0 AND index = 1"
            )

        self.refused(books)
