"""Sealing: every entry once, in an order that can be derived, whatever commits when."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors as pg

from service.transparency import sealing
from service.transparency.errors import TransactionsWentBack
from service.transparency.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash
from service.transparency.sealer import sealing_connection
from service.transparency.tile_store import tile_reader
from tests.transparency.books import Books


def root_of(entries: list[bytes]) -> bytes:
    """The root as RFC 9162 (2.1.1) defines it."""
    if not entries:
        return EMPTY_ROOT
    if len(entries) == 1:
        return leaf_hash(entries[0])
    middle = 1 << (len(entries) - 1).bit_length() - 1
    return node_hash(root_of(entries[:middle]), root_of(entries[middle:]))


def seals(books: Books) -> list[tuple[int, int, int, int]]:
    with books.owner() as connection:
        rows = connection.execute(
            "SELECT first_leaf, size, from_xact::text, until_xact::text FROM log_seal ORDER BY size"
        ).fetchall()
    return [(first, size, int(begin), int(end)) for first, size, begin, end in rows]


class TestSealing:
    @pytest.mark.parametrize("transfers", [[0], [1], [256], [255, 1, 1], [300, 300], [1000, 7]])
    def test_makes_a_leaf_of_everything_committed_once(
        self, books: Books, transfers: list[int]
    ) -> None:
        for count in transfers:
            books.write(count)
            books.cycle()

        assert sorted(books.entries()) == sorted(books.committed())
        with books.owner() as connection:
            sealed = sealing.last_seal(connection)
            assert sealed
            assert Tree(sealed.size, tile_reader(connection, sealed.size)).root() == sealed.root
        assert sealed.root == root_of(books.entries())

    def test_leaves_no_transaction_between_two_seals(self, books: Books) -> None:
        for _ in range(3):
            books.write(10)
            books.cycle()

        found = seals(books)
        assert found[0][:1] == (0,)
        for before, after in pairwise(found):
            assert (after[0], after[2]) == (before[1], before[3])

    def test_takes_what_committed_late_although_it_began_early(self, books: Books) -> None:
        with books.connection() as early:
            late_commitment = books.write_one(early, uuid4())
            books.write(5)
            books.cycle()
            before = books.entries()
        books.cycle()

        assert late_commitment not in before
        assert late_commitment in books.entries()
        assert sorted(books.entries()) == sorted(books.committed())

    def test_never_takes_what_was_rolled_back(self, books: Books) -> None:
        with books.connection() as connection:
            lost = books.write_one(connection, uuid4())
            connection.rollback()
        books.write(1)
        books.cycle()

        assert lost not in books.entries()

    def test_keeps_a_citizens_order_when_an_early_transaction_waits_for_her_lock(
        self, books: Books
    ) -> None:
        citizen = uuid4()
        books.write(1)
        books.cycle()
        with books.connection() as first, books.connection() as slow:
            books.write_one(first, uuid4())  # has its number, and would wait for her lock now
            slow.execute("SELECT pg_current_xact_id()")  # holds the horizon between the two
            with books.connection() as quick:
                earlier = books.write_one(quick, citizen)
            later = books.write_one(first, citizen)
            first.commit()
            books.cycle()
            books.cycle()
            meanwhile = books.entries()
        books.cycle()

        assert later not in meanwhile
        assert books.entries().index(earlier) < books.entries().index(later)
        assert sorted(books.entries()) == sorted(books.committed())

    def test_takes_a_backlog_whole_and_in_order(self, books: Books) -> None:
        books.write(200_000)
        books.cycle()

        with books.owner() as connection:
            expected = connection.execute(
                "SELECT string_agg(commitment, ''::bytea"
                " ORDER BY recorded_at, citizen_id, line, id)"
                " FROM (SELECT commitment, recorded_at, citizen_id, line, id FROM transfer"
                " UNION ALL SELECT commitment, recorded_at, NULL, 0, id FROM log_event) AS entry"
            ).fetchone()
        assert expected
        assert b"".join(books.entries()) == expected[0]

    def test_after_a_dump_was_loaded_elsewhere_is_refused(self, books: Books) -> None:
        books.write(1)
        books.cycle()
        with books.owner() as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("ALTER TABLE log_seal DISABLE TRIGGER ALL")
            connection.execute("UPDATE log_seal SET until_xact = '9000000000000'")

        with (
            sealing_connection(books.settings) as connection,
            pytest.raises(TransactionsWentBack),
        ):
            sealing.seal(connection)


@pytest.fixture
def sealed(books: Books) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    books.write(300)
    books.cycle()
    with books.owner() as connection:
        yield connection


REWRITES = (
    "UPDATE log_tile SET hashes = substr(hashes, 1, 32)",
    "UPDATE log_tile SET hashes = hashes",
    (
        "UPDATE log_tile SET hashes = sha256('') || substr(hashes, 33) || sha256('')"
        " WHERE level = 0 AND index = 1"
    ),
    "UPDATE log_tile SET index = index + 7",
    "UPDATE log_bundle SET entries = sha256('') || entries WHERE index = 1",
    (
        "UPDATE log_bundle SET first_recorded_at = now(), entries = entries || sha256('')"
        " WHERE index = 1"
    ),
    "DELETE FROM log_tile",
    "DELETE FROM log_bundle",
    "TRUNCATE log_tile",
)


class TestTheTree:
    @pytest.mark.parametrize("replication_role", ["origin", "replica"])
    def test_cannot_be_rewritten_even_by_the_superuser(
        self, sealed: psycopg.Connection[tuple[object, ...]], replication_role: str
    ) -> None:
        sealed.execute(f"SET session_replication_role = {replication_role}")

        for rewrite in REWRITES:
            with pytest.raises(pg.RestrictViolation, match="only grows"), sealed.transaction():
                sealed.execute(rewrite)

    def test_can_get_longer(self, sealed: psycopg.Connection[tuple[object, ...]]) -> None:
        more = hashlib.sha256(b"more").digest()

        sealed.execute("SET ROLE carbon_app")
        written = sealed.execute(
            "UPDATE log_bundle SET entries = entries || %s WHERE index = 1", [more]
        )

        assert written.rowcount == 1
