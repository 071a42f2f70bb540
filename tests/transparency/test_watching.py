"""What `/metrics` says of the log."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from service.app import create_app
from service.db import Database
from service.runtime import Runtime
from service.transparency.keys import LOG_FILE
from service.transparency.watching import LogWatch
from tests.transparency.books import Books

UNPUBLISHED = "carbon_log_unpublished_seconds"
STANDS_STILL = "carbon_log_stands_still"


def runtime_of(books: Books) -> Runtime:
    return replace(books.runtime, settings=books.settings)


def gauge(books: Books, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(LogWatch(runtime_of(books)))
    return registry.get_sample_value(name, labels)


def standstills(books: Books) -> Iterator[str]:
    for family in LogWatch(runtime_of(books)).collect():
        for sample in family.samples:
            if sample.name == STANDS_STILL and sample.value:
                yield sample.labels["code"]


class TestTheGaugesOfTheLog:
    def test_are_among_the_metrics(self, books: Books) -> None:
        shown = create_app(runtime_of(books)).test_client().get("/metrics").text

        assert f"{UNPUBLISHED} 0.0" in shown
        assert f'{STANDS_STILL}{{code="history-differs"}} 0.0' in shown

    def test_say_how_long_the_oldest_entry_has_waited(self, books: Books) -> None:
        books.write(3)
        with books.owner() as connection:
            connection.execute("ALTER TABLE transfer DISABLE TRIGGER ALL")
            connection.execute("UPDATE transfer SET recorded_at = recorded_at - interval '90 s'")
        waiting = gauge(books, UNPUBLISHED)
        books.cycle()
        published = gauge(books, UNPUBLISHED)
        books.write(1)
        with books.owner() as connection:
            connection.execute("SELECT pg_sleep(0.05)")

        assert waiting == pytest.approx(90, abs=10)
        assert published == 0
        assert 0.05 <= (gauge(books, UNPUBLISHED) or 0) < 10

    def test_show_a_folder_outside_that_cannot_be_used(self, books: Books) -> None:
        books.cycle()
        books.settings.outside.rename(books.settings.outside.with_name("elsewhere"))
        books.settings.outside.touch()
        books.write(1)

        assert gauge(books, UNPUBLISHED)
        assert list(standstills(books)) == ["outside-unusable"]

    def test_show_keys_that_are_not_here(self, books: Books) -> None:
        books.cycle()
        (books.settings.home / "keys" / LOG_FILE).unlink()

        assert list(standstills(books)) == ["log-keys-missing"]

    def test_show_a_history_that_differs(self, books: Books) -> None:
        books.cycle()
        before = list(standstills(books))
        (books.settings.outside / "checkpoint").write_text("another\n")

        assert before == []
        assert list(standstills(books)) == ["history-differs"]

    def test_show_a_dump_that_was_loaded(self, books: Books) -> None:
        books.cycle()
        with books.owner() as connection:
            connection.execute("ALTER TABLE log_seal DISABLE TRIGGER ALL")
            connection.execute("UPDATE log_seal SET until_xact = '9000000000000'")

        assert list(standstills(books)) == ["transactions-went-back"]

    def test_are_looked_at_once_a_second_however_often_they_are_asked(self, books: Books) -> None:
        watch = LogWatch(runtime_of(books))
        first = [family.samples for family in watch.collect()]
        books.write(1)

        assert [family.samples for family in watch.collect()] == first

    def test_are_missing_without_the_database(self, books: Books) -> None:
        nowhere = Database("postgresql://127.0.0.1:1/nowhere", size=1)
        away = replace(runtime_of(books), database=nowhere)

        answer = create_app(away).test_client().get("/metrics")

        assert answer.status_code == 200
        assert UNPUBLISHED not in answer.text
        nowhere.close()
