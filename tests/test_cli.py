"""The composed command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import cli
from service.methodologies import RegionUnknown


def carbon(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def test_every_command_explains_itself_without_a_database() -> None:
    for name, command in cli.commands.items():
        shown = carbon(name, "--help")

        assert shown.exit_code == 0, name
        assert command.get_short_help_str() or command.help, name


def test_a_partner_of_no_known_region_is_refused(tmp_path: Path) -> None:
    key_set = tmp_path / "jwks.json"
    key_set.write_text('{"keys": []}')

    words = ("--name", "metro", "--role", "source", "--jwks", str(key_set), "--region", "999999")

    with pytest.raises(RegionUnknown):
        CliRunner().invoke(cli, ["partner", "add", *words], catch_exceptions=False)
