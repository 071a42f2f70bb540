"""What a simulated partner takes in, and what its settlement file says."""

from datetime import UTC, date, datetime
from typing import Any

from service.partners.simulator.book import Book, Entry
from service.partners.simulator.settlement_file import file_of

LATE_EVENING = datetime(2026, 11, 20, 15, 59, 59, tzinfo=UTC)
"""In Shanghai the last second of the 20th."""


def an_event(number: int, version: int) -> dict[str, Any]:
    return {"id": f"evt_{number}", "data": {"id": "rdm_1", "version": version}}


def an_entry(reference: str, at: datetime = LATE_EVENING) -> Entry:
    return Entry("CAPTURE", "rdm_1", reference, "captured", 300, "3000", "", "", at)


class TestAnEvent:
    def test_is_news_once(self) -> None:
        book = Book()

        assert [book.is_news(an_event(1, 2)), book.is_news(an_event(1, 2))] == [True, False]

    def test_that_is_older_than_what_is_known_is_no_news(self) -> None:
        book = Book()

        assert [book.is_news(an_event(2, 3)), book.is_news(an_event(1, 2))] == [True, False]


class TestTheFileOfADay:
    def test_holds_the_lines_of_that_day_in_shanghai(self) -> None:
        book = Book()
        book.enter(an_entry("b"))
        book.enter(an_entry("a"))
        book.enter(an_entry("c", at=datetime(2026, 11, 20, 16, tzinfo=UTC)))

        day = book.entries_of(date(2026, 11, 20))

        assert [entry.partner_reference for entry in day] == ["a", "b"]

    def test_says_a_reference_once(self) -> None:
        book = Book()
        book.enter(an_entry("a"))
        book.enter(an_entry("a"))

        assert len(book.entries_of(date(2026, 11, 20))) == 1

    def test_is_written_as_the_desk_wants_it(self) -> None:
        header, line, end = file_of([an_entry("a")]).decode().split("\n")

        assert header.startswith("partner_reference,redemption_id,record_type,state,points")
        assert line == "a,rdm_1,CAPTURE,captured,300,3000,,,2026-11-20T23:59:59+08:00"
        assert end == ""
