"""What an operator asks of the log, and does with its keys."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from service.transparency.errors import HistoryDiffers, LastLogKey
from service.transparency.notes import Verifier, open_checkpoint
from service.transparency.operating import log_group
from tests.transparency.books import Books


def carbon_log(books: Books, *words: str) -> Result:
    runtime = replace(books.runtime, settings=books.settings)
    return CliRunner().invoke(log_group, words, obj=runtime)


def shown(result: Result) -> list[dict[str, str | None]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


class TestCarbonLog:
    def test_check_says_that_the_log_goes_on(self, books: Books) -> None:
        books.write(4)
        books.cycle()

        checked = carbon_log(books, "check")

        assert checked.exit_code == 0
        assert "5 leaves" in checked.output

    def test_check_fails_when_the_history_differs(self, books: Books) -> None:
        books.cycle()
        (books.settings.outside / "checkpoint").write_text("another\n")

        checked = carbon_log(books, "check")

        assert checked.exit_code == 1
        assert isinstance(checked.exception, HistoryDiffers)

    @pytest.mark.parametrize("word", ["check", "keys"])
    def test_looks_at_an_empty_database_and_leaves_its_name_open(
        self, books: Books, word: str
    ) -> None:
        looked = carbon_log(books, word)
        named = replace(books.settings, log_origin="carbon.city.example/log")
        books.write(1)
        head = replace(books, settings=named).cycle()

        assert looked.exit_code == 0, looked.output
        assert head is not None
        assert head.checkpoint.origin == "carbon.city.example/log"

    def test_keys_are_shown_under_the_name_that_is_set(self, books: Books) -> None:
        named = replace(books.settings, log_origin="carbon.city.example/log")

        (key,) = shown(carbon_log(replace(books, settings=named), "keys"))

        assert str(key["vkey"]).startswith("carbon.city.example/log+")

    def test_changes_the_key_with_an_overlap(self, books: Books) -> None:
        (first,) = shown(carbon_log(books, "keys"))
        old, new = shown(carbon_log(books, "rotate-key"))
        during = books.cycle()
        old_id = str(old["vkey"]).split("+")[1]
        retired, _ = shown(carbon_log(books, "retire-key", old_id))

        assert first == old
        assert during
        for key in (old, new):
            assert open_checkpoint(during.note, [Verifier.parse(str(key["vkey"]))])
        assert retired["retired_at"]

    def test_keeps_the_last_key(self, books: Books) -> None:
        (only,) = shown(carbon_log(books, "keys"))
        key_id = str(only["vkey"]).split("+")[1]

        refused = carbon_log(books, "retire-key", key_id)

        assert isinstance(refused.exception, LastLogKey)
        assert shown(carbon_log(books, "keys")) == [only]
