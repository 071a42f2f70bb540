"""What the manual of importing says, compared with what the adapters do."""

import re
from pathlib import Path

import pytest

import service.activities.feeds
from service.activities.feeds import FORMATS

MANUAL = Path(__file__).parents[3] / "docs" / "importing.md"
SOURCES = Path(service.activities.feeds.__file__).parent


def reasons_in_code() -> set[str]:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py"))
    return set(re.findall(r'(?:UnusableRowError|drop)\(\s*"([a-z-]+)"', code))


@pytest.mark.parametrize("reason", sorted(reasons_in_code()))
def test_every_reason_is_explained(reason: str) -> None:
    assert f"`{reason}`" in MANUAL.read_text(encoding="utf-8")


@pytest.mark.parametrize("feed", FORMATS.values(), ids=lambda feed: str(feed.name))
def test_every_format_is_explained_with_its_columns(feed: service.activities.feeds.Feed) -> None:
    words = MANUAL.read_text(encoding="utf-8").lower()

    assert f"`{feed.name}`" in words
    for table in feed.files:
        assert ", ".join(table.columns) in words
    for behavior in feed.behaviors:
        assert f"`{behavior}`" in words
