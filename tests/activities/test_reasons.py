"""Every reason has its words in both languages, and stands in the list of problems."""

import re
from pathlib import Path
from string import Formatter

import pytest

from service.activities.reasons import REASONS, REFUSED, UNREADABLE, sentence
from service.messages import Language

PROBLEMS = Path(__file__).parents[2] / "docs" / "problems.md"
HAN = re.compile("[\u4e00-\u9fff]")


def members_of(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


class TestEveryReason:
    @pytest.mark.parametrize("code", sorted(REASONS))
    def test_says_the_same_in_both_languages(self, code: str) -> None:
        english, chinese = REASONS[code]["en"], REASONS[code]["zh"]

        assert HAN.search(chinese)
        assert not HAN.search(english)
        # A weak methodology brings its own words, in each language.
        assert members_of(english) - {"why", "pointer"} <= members_of(chinese) | {"problem"}

    @pytest.mark.parametrize("language", ["en", "zh"])
    @pytest.mark.parametrize("code", sorted(REASONS))
    def test_can_be_said_without_its_members(self, code: str, language: Language) -> None:
        assert "{" not in sentence(code, None, language)

    def test_is_documented(self) -> None:
        _, _, section = PROBLEMS.read_text().partition("## Reasons of lines and activities")
        documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", section, flags=re.MULTILINE))

        assert documented == set(REASONS)

    def test_names_the_whole_line_where_no_place_is_named(self) -> None:
        params = {"problem": "Expected `object`, got `array`", "pointer": ""}

        assert sentence("type-wrong", params, "en") == "Expected `object`, got `array` at /."

    def test_is_of_a_line_or_of_an_activity(self) -> None:
        assert not set(UNREADABLE) & set(REFUSED)
