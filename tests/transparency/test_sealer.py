"""The sealer as a process: alone at work, quick, and indifferent to being killed."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from service.transparency.keys import LogKeys
from service.transparency.merkle import Tree
from service.transparency.notes import open_checkpoint
from service.transparency.tile_store import tile_reader
from tests.transparency.books import Books

ROOT = Path(__file__).parents[2]
LONGEST_WAIT_S = 30.0
HEAD_WITHIN_S = 2.0

RUN = """
import signal, sys
from pathlib import Path
from dataclasses import replace
from service.settings import settings_from
from service.transparency.sealer import Sealer

home, url = sys.argv[1:]
sealer = Sealer(replace(settings_from({"CARBON_HOME": home}), database_url=url))
signal.signal(signal.SIGTERM, lambda *_: sealer.stop())
sealer.run()
"""


@contextmanager
def sealing(books: Books) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", RUN, str(books.settings.home), books.settings.database_url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def transfers_coming_in(books: Books, writers: int = 2) -> Iterator[None]:
    """Transfers of a few citizens, in transactions of many lengths, until the block ends."""
    ended = threading.Event()
    citizens = [uuid4() for _ in range(8)]

    def write() -> None:
        with psycopg.connect(books.settings.migration_database_url) as connection:
            turn = 0
            while not ended.is_set():
                turn += 1
                with connection.transaction():
                    for _ in range(turn % 7):
                        books.write_one(connection, citizens[turn % 8])
                        time.sleep(0.002)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def head_size(books: Books) -> int:
    with books.owner() as connection:
        row = connection.execute("SELECT coalesce(max(size), 0) FROM log_head").fetchone()
    return int(row[0]) if row else 0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def everything_is_public(books: Books) -> bool:
    return head_size(books) == len(list(books.committed()))


class TestTheSealer:
    def test_killed_again_and_again_loses_and_doubles_nothing(self, books: Books) -> None:
        with transfers_coming_in(books):
            for moment in (0.9, 1.3, 1.1):
                before = head_size(books)
                with sealing(books) as sealer:
                    wait_until(lambda before=before: head_size(books) > before)  # type: ignore[misc]  # bound now
                    time.sleep(moment % 0.5)
                    sealer.send_signal(signal.SIGKILL)
        with sealing(books):
            wait_until(lambda: everything_is_public(books))

        assert sorted(books.entries()) == sorted(books.committed())
        with books.owner() as connection:
            heads = connection.execute("SELECT checkpoint FROM log_head ORDER BY size").fetchall()
            tree = Tree(head_size(books), tile_reader(connection, head_size(books)))
            verifiers = LogKeys.at(books.settings.home / "keys").verifiers("carbon.local/log")
            for head in heads:
                opened = open_checkpoint(head[0], verifiers)
                assert tree.root(opened.size) == opened.root

    def test_is_replaced_by_the_one_that_waits(self, books: Books) -> None:
        with sealing(books) as first:
            wait_until(lambda: head_size(books) == 1)
            with sealing(books) as second:
                books.write(5)
                wait_until(lambda: head_size(books) == 6)
                assert second.poll() is None
                first.kill()
                books.write(5)
                wait_until(lambda: head_size(books) == 11)

    def test_ends_when_it_is_told_to(self, books: Books) -> None:
        with sealing(books) as sealer:
            wait_until(lambda: head_size(books) == 1)
            sealer.terminate()

            assert sealer.wait(10) == 0

    def test_goes_on_when_its_connection_was_cut(self, books: Books) -> None:
        with sealing(books):
            wait_until(lambda: head_size(books) == 1)
            with books.owner() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND database ="
                    " (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            books.write(5)

            wait_until(lambda: head_size(books) == 6)

    def test_stands_still_and_says_so_when_the_history_differs(self, books: Books) -> None:
        books.cycle()
        (books.settings.outside / "checkpoint").unlink()
        books.write(5)

        with sealing(books) as sealer:
            assert sealer.stdout
            said = sealer.stdout.readline() + sealer.stdout.readline()

        assert b"sealer_stands_still" in said
        assert b"history-differs" in said
        assert head_size(books) == 1

    @pytest.mark.parametrize("transfers", [1, 12_500])
    def test_has_a_head_out_two_seconds_after_the_commit(
        self, books: Books, transfers: int
    ) -> None:
        with sealing(books):
            wait_until(lambda: head_size(books) == 1)
            books.write(transfers)
            committed_at = time.monotonic()
            wait_until(lambda: head_size(books) == 1 + transfers)

        assert time.monotonic() - committed_at < HEAD_WITHIN_S
