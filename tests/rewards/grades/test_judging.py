"""From facts to a grade: pure."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.activities.totals import BehaviorTotal, CertifiedTotals
from service.messages import CHINESE
from service.rewards.conditions import FOUND, NEEDED, WORDS, Condition
from service.rewards.grades.judging import (
    GRADES,
    Assessment,
    Raised,
    Rules,
    Threshold,
    judge,
    rank,
    window_of,
)
from tests.rewards.grades.town import DEEP, LADDER, LIGHT, MEDIUM, RIDE_G

ON = date(2026, 11, 20)
REVIEW = UUID(int=1)


def facts(reduction_g: int, behaviors: int = 1) -> CertifiedTotals:
    each = [BehaviorTotal(f"act_{number}", reduction_g, 1, 1) for number in range(behaviors)]
    return CertifiedTotals(reduction_g, behaviors, 1, tuple(each))


def judged(totals: CertifiedTotals, raised: Raised | None = None) -> Assessment:
    return judge(Rules("rules", 2, 3, LADDER), ON, totals, raised)


class TestAWindow:
    @pytest.mark.parametrize(
        ("months", "on", "first"),
        [
            (3, date(2026, 11, 20), date(2026, 8, 21)),
            (1, date(2026, 1, 1), date(2025, 12, 2)),
            (3, date(2026, 5, 31), date(2026, 3, 1)),
            (12, date(2028, 2, 29), date(2027, 3, 1)),
            (60, date(2026, 12, 31), date(2022, 1, 1)),
        ],
    )
    def test_is_whole_months_that_end_with_the_day(
        self, months: int, on: date, first: date
    ) -> None:
        assert window_of(months, on) == (first, on)


class TestAGrade:
    @pytest.mark.parametrize(
        ("totals", "grade", "next_grade"),
        [
            (facts(0, 0), None, "light_green"),
            (facts(RIDE_G - 1), None, "light_green"),
            (facts(RIDE_G), "light_green", "medium_green"),
            (facts(2 * RIDE_G), "medium_green", "deep_green"),
            (facts(2 * RIDE_G, 2), "deep_green", None),
        ],
    )
    def test_takes_grams_and_breadth(
        self, totals: CertifiedTotals, grade: str | None, next_grade: str | None
    ) -> None:
        assert (judged(totals).grade, judged(totals).next_grade) == (grade, next_grade)

    def test_gives_reasons_for_itself_and_for_the_next_one(self) -> None:
        reasons = judged(facts(RIDE_G)).conditions

        assert reasons == (
            Condition("reduction-in-window", LIGHT[1], RIDE_G, passed=True, about="light_green"),
            Condition("behaviors-in-window", 1, 1, passed=True, about="light_green"),
            Condition("reduction-in-window", MEDIUM[1], RIDE_G, passed=False, about="medium_green"),
            Condition("behaviors-in-window", 1, 1, passed=True, about="medium_green"),
        )

    def test_is_raised_by_a_human_who_is_named_as_the_reason(self) -> None:
        raised = Raised(REVIEW, "medium_green", date(2026, 12, 31))

        found = judged(facts(RIDE_G), raised)

        assert found.grade == "medium_green"
        assert found.conditions[0] == Condition(
            "raised-by-human", "medium_green", "2026-12-31", passed=True
        )

    def test_is_not_lowered_by_a_human_who_raised_it_before(self) -> None:
        raised = Raised(REVIEW, "light_green", date(2026, 12, 31))

        found = judged(facts(2 * RIDE_G, 2), raised)

        assert (found.grade, found.raised) == ("deep_green", None)

    @given(st.integers(0, 4 * RIDE_G), st.integers(0, 4), st.integers(0, 400), st.integers(0, 2))
    def test_never_falls_with_more_grams_or_more_breadth(
        self, grams: int, breadth: int, more_g: int, more: int
    ) -> None:
        less, more_of_it = (
            judged(facts(grams, breadth)),
            judged(facts(grams + more_g, breadth + more)),
        )

        assert rank(more_of_it.grade) >= rank(less.grade)


class TestTheSameFacts:
    @given(st.integers(0, 4 * RIDE_G), st.integers(0, 4))
    def test_give_the_same_answer(self, grams: int, breadth: int) -> None:
        assert judged(facts(grams, breadth)) == judged(facts(grams, breadth))

    @pytest.mark.parametrize(
        "other",
        [
            judge(Rules("other", 2, 3, LADDER), ON, facts(1), None),
            judge(Rules("rules", 3, 3, LADDER), ON, facts(1), None),
            judge(Rules("rules", 2, 3, LADDER), date(2026, 11, 21), facts(1), None),
            judge(Rules("rules", 2, 3, LADDER), ON, facts(2), None),
        ],
    )
    def test_have_a_digest_that_others_do_not_have(self, other: Assessment) -> None:
        assert other.facts_digest != judged(facts(1)).facts_digest


class TestACondition:
    @pytest.mark.parametrize(
        "sentence", sorted({*NEEDED.values(), *FOUND.values(), *WORDS.values()})
    )
    def test_is_said_in_chinese(self, sentence: str) -> None:
        assert sentence in CHINESE

    def test_says_what_is_needed_and_what_there_is(self) -> None:
        condition = Condition("grade-too-low", "deep_green", None, passed=False)

        assert condition.view("en")["detail"] == (
            "The grade deep green or a higher one is needed. Yours is: none."
        )
        assert condition.view("zh")["detail"] == "需要等级达到深绿或以上。您的等级：无。"

    def test_keeps_what_there_is_from_whoever_may_not_know(self) -> None:
        view = Condition("points-too-few", 10, 3, passed=False).view("en", with_actual=False)

        assert view["actual"] is None
        assert "3" not in view["detail"]

    def test_of_every_kind_has_both_sentences(self) -> None:
        assert set(NEEDED) == set(FOUND)


def test_the_ladder_of_these_tests_has_every_grade() -> None:
    assert tuple(each.grade for each in LADDER) == GRADES
    assert Threshold(*DEEP) == DEEP
