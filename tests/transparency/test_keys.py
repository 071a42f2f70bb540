"""The log's keys: made once, for one pair of eyes, changed with an overlap."""

import json
from pathlib import Path

import pytest

from service.keys import KeysUnusable
from service.transparency.errors import LastLogKey, LogKeysMissing, LogKeyUnknown, NoteNotSigned
from service.transparency.key_events import logged_keys
from service.transparency.keys import LOG_FILE, LogKeys
from service.transparency.notes import Verifier, open_checkpoint
from tests.transparency.books import Books

ORIGIN = "carbon.local/log"


def key_id(verifier: Verifier) -> str:
    return verifier.key_id.hex()


class TestTheKeys:
    def test_are_made_once_and_closed_to_others(self, tmp_path: Path) -> None:
        made, again = LogKeys.at(tmp_path), LogKeys.at(tmp_path)

        assert made == again
        assert (tmp_path / LOG_FILE).stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{}",
            '{"keys": []}',
            '{"keys": [{}]}',
            '{"keys": [{"public": "AA==", "private": "AA==", "made_at": "x"}]}',
        ],
    )
    def test_of_a_damaged_file_are_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / LOG_FILE).write_text(content)
        (tmp_path / LOG_FILE).chmod(0o600)

        with pytest.raises(KeysUnusable):
            LogKeys.at(tmp_path)

    def test_of_two_pairs_mixed_are_refused(self, tmp_path: Path) -> None:
        LogKeys.at(tmp_path).with_new_key()
        kept = json.loads((tmp_path / LOG_FILE).read_text())
        kept["keys"][0]["public"] = kept["keys"][1]["public"]
        (tmp_path / LOG_FILE).write_text(json.dumps(kept))

        with pytest.raises(KeysUnusable):
            LogKeys.at(tmp_path)

    def test_that_everybody_may_read_are_refused(self, tmp_path: Path) -> None:
        LogKeys.at(tmp_path)
        (tmp_path / LOG_FILE).chmod(0o644)

        with pytest.raises(KeysUnusable):
            LogKeys.at(tmp_path)


class TestChangingTheKey:
    def test_lets_both_sign_until_the_old_one_is_retired(self, books: Books) -> None:
        folder = books.settings.home / "keys"
        (old,) = LogKeys.at(folder).verifiers(ORIGIN)
        books.cycle()
        _, new = LogKeys.at(folder).with_new_key().verifiers(ORIGIN)
        during = books.cycle()
        LogKeys.at(folder).without(ORIGIN, key_id(old))
        after = books.cycle()

        assert during
        assert open_checkpoint(during.note, [old]) == open_checkpoint(during.note, [new])
        assert after
        assert open_checkpoint(after.note, [new]).size > during.checkpoint.size
        with pytest.raises(NoteNotSigned):
            open_checkpoint(after.note, [old])

    def test_throws_the_retired_half_away(self, tmp_path: Path) -> None:
        keys = LogKeys.at(tmp_path).with_new_key()
        private = json.loads((tmp_path / LOG_FILE).read_text())["keys"][0]["private"]

        keys.without(ORIGIN, key_id(keys.verifiers(ORIGIN)[0]))

        assert private not in (tmp_path / LOG_FILE).read_text()
        assert len(LogKeys.at(tmp_path).signers(ORIGIN)) == 1

    def test_is_in_the_log_itself(self, books: Books) -> None:
        folder = books.settings.home / "keys"
        books.cycle()
        keys = LogKeys.at(folder).with_new_key()
        keys.without(ORIGIN, key_id(keys.verifiers(ORIGIN)[0]))
        books.cycle()

        with books.connection() as connection:
            old, new = logged_keys(connection)

        assert (old.vkey, new.vkey) == tuple(each.vkey for each in keys.verifiers(ORIGIN))
        assert old.retired_at
        assert new.retired_at is None
        assert len(books.entries()) == 3

    def test_is_never_a_file_that_was_lost(self, books: Books) -> None:
        books.write(1)
        books.cycle()
        file = books.settings.home / "keys" / LOG_FILE
        kept = file.rename(file.with_suffix(".away"))
        books.write(1)

        with pytest.raises(LogKeysMissing):
            books.cycle()

        kept.replace(file)
        assert books.cycle()

    def test_never_leaves_none(self, tmp_path: Path) -> None:
        keys = LogKeys.at(tmp_path)

        with pytest.raises(LastLogKey):
            keys.without(ORIGIN, key_id(keys.verifiers(ORIGIN)[0]))
        with pytest.raises(LogKeyUnknown):
            keys.without(ORIGIN, "00000000")
