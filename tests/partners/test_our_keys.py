"""Our signing keys change with an overlap."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner

from service import clock
from service.access_tokens import AccessTokens
from service.documents import signed_document, verified_document
from service.keys import SIGNING_FILE, KeyRing, signing_keys_in
from service.partners.errors import KeyRotationRefused
from service.partners.our_keys import (
    DOCUMENTS_LIVE,
    Keys,
    keys_group,
    with_next_key,
    with_promoted,
    without,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)
A_DAY = timedelta(hours=24)
ISSUER = "https://carbon.example"
CITIZEN = UUID(int=7)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return KeyRing.at(tmp_path / "keys").signing


def run(home: Path, *words: str) -> list[dict[str, str]]:
    """Run `carbon keys …` and return what it printed."""
    ran = CliRunner(env={"CARBON_HOME": str(home)}).invoke(keys_group, words)
    if ran.exception:
        raise ran.exception
    return [json.loads(line) for line in ran.output.splitlines()]


class TestTheNextKey:
    def test_is_published_and_does_not_sign(self, keys: Keys) -> None:
        more = with_next_key(keys, NOW)

        assert more[0] is keys[0]
        assert len(more) == 2

    def test_may_not_sign_before_partners_know_it(self, keys: Keys) -> None:
        more = with_next_key(keys, NOW)

        with pytest.raises(KeyRotationRefused):
            with_promoted(more, more[1].kid, NOW + A_DAY - timedelta(seconds=1))

    def test_signs_a_day_later(self, keys: Keys) -> None:
        more = with_next_key(keys, NOW)

        promoted = with_promoted(more, more[1].kid, NOW + A_DAY)

        assert [key.kid for key in promoted] == [more[1].kid, keys[0].kid]
        assert promoted[1].stopped_at == NOW + A_DAY

    def test_signs_at_once_where_the_present_one_is_in_wrong_hands(self, keys: Keys) -> None:
        more = with_next_key(keys, NOW)

        assert with_promoted(more, more[1].kid, NOW, at_once=True)[0].kid == more[1].kid


class TestAFormerKey:
    @pytest.fixture
    def rotated(self, keys: Keys) -> Keys:
        more = with_next_key(keys, NOW - A_DAY)
        return with_promoted(more, more[1].kid, NOW)

    def test_stays_while_a_document_may_be_good(self, rotated: Keys) -> None:
        with pytest.raises(KeyRotationRefused):
            without(rotated, rotated[1].kid, NOW + DOCUMENTS_LIVE - timedelta(seconds=1))

    def test_goes_when_none_can_be(self, rotated: Keys) -> None:
        assert without(rotated, rotated[1].kid, NOW + DOCUMENTS_LIVE) == rotated[:1]

    def test_goes_at_once_when_others_can_sign_with_it(self, rotated: Keys) -> None:
        assert without(rotated, rotated[1].kid, NOW, at_once=True) == rotated[:1]

    def test_may_sign_again(self, rotated: Keys) -> None:
        back = with_promoted(rotated, rotated[1].kid, NOW, at_once=True)

        assert back[0].kid == rotated[1].kid
        assert back[0].stopped_at is None


class TestTheKeyThatSigns:
    def test_cannot_be_retired(self, keys: Keys) -> None:
        with pytest.raises(KeyRotationRefused):
            without(with_next_key(keys, NOW), keys[0].kid, NOW, at_once=True)

    def test_cannot_be_promoted(self, keys: Keys) -> None:
        with pytest.raises(KeyRotationRefused):
            with_promoted(keys, keys[0].kid, NOW)


def test_an_unknown_key_is_refused(keys: Keys) -> None:
    with pytest.raises(KeyRotationRefused):
        without(keys, "nobody's", NOW)


class TestTheCommands:
    def test_keep_what_was_signed_before_verifiable(self, tmp_path: Path) -> None:
        folder = tmp_path / "keys"
        before = KeyRing.at(folder)
        document = signed_document(before, "carbon-entitlement+jwt", {"jti": "rdm_1"})
        token = AccessTokens(before, ISSUER).issue("citizen", CITIZEN)

        added = run(tmp_path, "add")
        with clock.shifted(A_DAY):
            run(tmp_path, "promote", "--kid", added[1]["kid"])

        after = KeyRing.at(folder)
        assert after.signing_key.kid == added[1]["kid"] != before.signing_key.kid
        assert verified_document(after, "carbon-entitlement+jwt", document)["jti"] == "rdm_1"
        assert AccessTokens(after, ISSUER).verify(token).id == CITIZEN
        assert len(after.public_jwks()["keys"]) == 2

    def test_keep_the_file_for_its_owner(self, tmp_path: Path) -> None:
        run(tmp_path, "add")

        assert stat.S_IMODE((tmp_path / "keys" / SIGNING_FILE).stat().st_mode) == 0o600

    def test_say_what_each_key_does(self, tmp_path: Path) -> None:
        kid = run(tmp_path, "add")[1]["kid"]
        run(tmp_path, "promote", "--kid", kid, "--at-once")

        shown = run(tmp_path, "list")

        assert [key["state"] for key in shown] == ["signs", "former"]
        run(tmp_path, "retire", "--kid", shown[1]["kid"], "--at-once")
        assert [key.kid for key in signing_keys_in(tmp_path / "keys")] == [kid]
