"""`make demo` as its reader meets it: a month is played, and is still there afterwards."""

import re
from pathlib import Path

from tests.journeys.conftest import Installation, interrupt


def points_in(told: str) -> int:
    found = re.search(r"the ([\d,]+) points in the accounts are those certified", told)
    assert found is not None, told
    return int(found[1].replace(",", ""))


def test_without_a_service_it_says_how_to_start_one(installation: Installation) -> None:
    demo = installation.run("demo")

    assert demo.returncode == 1
    assert "make run" in demo.stderr
    assert "Traceback" not in demo.stderr


def test_a_month_is_played_kept_and_played_again(
    installation: Installation, tmp_path: Path
) -> None:
    with installation.serving() as service:
        first = installation.run("demo", "--citizens", 6, "--days", 5)
        status = interrupt(service)

    assert first.returncode == 0, first.stdout + first.stderr
    assert points_in(first.stdout) > 0
    assert "1 rejected" in first.stdout
    assert "BROKEN" not in first.stdout
    for reason in ("overlap", "too-late", "json-malformed", "daily-cap-reached"):
        assert re.search(rf"^  {reason} +\d+$", first.stdout, re.MULTILINE), reason
    assert status == 0
    assert installation.processes() == []

    with installation.serving():
        elsewhere = Installation(tmp_path, installation.port).run("demo")
        again = installation.run("demo", "--citizens", 4, "--days", 3)
        partners = installation.run("partner", "list").stdout

    assert elsewhere.returncode == 1
    assert "another CARBON_HOME" in elsewhere.stderr
    assert again.returncode == 0, again.stdout + again.stderr
    assert "run 2" in again.stdout
    assert "BROKEN" not in again.stdout
    assert '"sim-demo-metro-1"' in partners
    assert '"sim-demo-metro-2"' in partners
