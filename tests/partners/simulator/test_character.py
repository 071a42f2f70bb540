"""What a simulated partner will do about a redemption."""

from decimal import Decimal
from typing import Any

import click
import pytest

from service.partners.simulator.habits import PROFILES, Character, Habits, habits_of


def a_redemption(number: int, **changed: Any) -> dict[str, Any]:
    benefit = {"kind": "interest_coupon", "amount_minor": 3000, "currency": "CNY"}
    return {"id": f"rdm_{number:032x}", "points": 300, "benefit": benefit} | changed


class TestABank:
    def test_captures_everything_at_once(self) -> None:
        plan = Character(PROFILES["bank"], seed=1).plan(a_redemption(1))

        assert (plan.deed, plan.wait_s, plan.points) == ("capture", 0, 300)


class TestAnInsurer:
    def test_sets_the_factor_inside_the_filed_band(self) -> None:
        band = {"kind": "premium_factor", "factor": "0.95", "band_min": "0.90", "band_max": "1.10"}
        insurer = Character(PROFILES["insurer"], seed=1)

        factors = {insurer.plan(a_redemption(n, benefit=band)).factor for n in range(500)}

        assert {Decimal(each or 0) for each in factors} == {
            Decimal(hundredths) / 100 for hundredths in range(90, 111)
        }

    def test_captures_less_than_is_held_now_and_then(self) -> None:
        insurer = Character(PROFILES["insurer"], seed=1)

        captured = [insurer.plan(a_redemption(n)).points for n in range(200)]

        assert min(captured) >= 1
        assert 0 < sum(points < 300 for points in captured) < 200

    def test_splits_no_attestation(self) -> None:
        habits = Habits(partial=1)

        assert Character(habits, seed=1).plan(a_redemption(1, points=0)).points == 0


class TestAFlakyPartner:
    def test_does_everything_that_can_go_wrong(self) -> None:
        flaky = Character(PROFILES["flaky"], seed=1)

        deeds = {flaky.plan(a_redemption(n)).deed for n in range(200)}

        assert deeds == {"capture", "decline", "never", "silent"}

    def test_does_the_same_again_with_the_same_seed(self) -> None:
        plans = [
            [Character(PROFILES["flaky"], seed).plan(a_redemption(n)) for n in order]
            for seed, order in ((7, range(20)), (7, reversed(range(20))), (8, range(20)))
        ]

        assert plans[0] == plans[1][::-1]
        assert plans[0] != plans[2]


class TestHabits:
    def test_can_be_changed(self) -> None:
        assert habits_of("bank", ("never=0.5", "late_s=2")) == Habits(never=0.5, late_s=2)

    @pytest.mark.parametrize("change", ["never", "never=often", "nothing=1"])
    def test_that_mean_nothing_are_refused(self, change: str) -> None:
        with pytest.raises(click.BadParameter):
            habits_of("bank", (change,))
