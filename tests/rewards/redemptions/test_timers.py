"""What time does to redemptions."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from service import clock
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.ending import expire
from service.rewards.redemptions.steps import SERVICE, ask_locked, redemption_from
from service.rewards.redemptions.timers import run_due
from tests.rewards.market import Customer, Market, Offered, a_person


@contextmanager
def later(market: Market, **by: float) -> Iterator[None]:
    """Live later, after the timers have run."""
    with clock.shifted(timedelta(**by)):
        run_due(market.runtime)
        yield


def expired_in_grace(market: Market, customer: Customer, offered: Offered) -> str:
    """Return a submitted redemption of which the partner knows nothing."""
    redemption_id = market.submitted(customer, offered)
    with market.runtime.database.raw_transaction() as connection:
        redemption = redemption_from(ask_locked(connection, uuid_of(REDEMPTION, redemption_id)))
        expire(connection, redemption, SERVICE, {"evidence": {"answer": "none"}})
    return redemption_id


class TestAReservation:
    @pytest.mark.parametrize("mode", ["burn", "lock", "attest"])
    def test_that_is_not_submitted_in_time_gives_everything_back(
        self, market: Market, mode: str
    ) -> None:
        offered = market.offer(mode=mode, quota=1, budget_minor=3000)
        customer = market.customer(offered.partner_id, offered.terms.points, person_id=a_person())
        redemption_id = market.reserved(customer, offered)

        with later(market, minutes=15):
            assert market.state(redemption_id) == "expired"
            assert market.points(customer.id).get("held") is None
            assert market.taken(offered) == (0, 0)
            assert market.records(redemption_id) == ["reservation", "expiry"]
            assert market.reserved(customer, offered)

    def test_stays_until_its_time_is_over(self, market: Market) -> None:
        offered = market.offer()
        redemption_id = market.reserved(market.customer(offered.partner_id), offered)

        with later(market, minutes=14):
            assert market.state(redemption_id) == "reserved"

    def test_cannot_be_submitted_after_its_time_though_no_timer_ran(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = market.reserved(customer, offered)

        with clock.shifted(timedelta(minutes=16)):
            refused = market.submit(customer, redemption_id)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "state-conflict")


class TestGrace:
    def test_keeps_what_is_held_and_taken(self, market: Market) -> None:
        offered = market.offer(quota=10, budget_minor=100_000)
        customer = market.customer(offered.partner_id, 250)
        redemption_id = expired_in_grace(market, customer, offered)

        with later(market, hours=71):
            assert market.points(customer.id) == {"available": 150, "held": 100}
            assert market.taken(offered) == (1, 3000)
            assert market.state(redemption_id) == "expired"

    def test_lets_a_late_capture_through(self, market: Market) -> None:
        offered = market.offer(quota=10, budget_minor=100_000)
        customer = market.customer(offered.partner_id, 250)
        redemption_id = expired_in_grace(market, customer, offered)

        with later(market, hours=71):
            captured = market.capture(offered, redemption_id)

        assert captured.status_code == 201
        assert market.points(customer.id) == {"available": 150, "redeemed": 100}
        assert market.taken(offered) == (1, 3000)

    @pytest.mark.parametrize("mode", ["burn", "lock", "attest"])
    def test_gives_everything_back_when_it_is_over(self, market: Market, mode: str) -> None:
        offered = market.offer(mode=mode, quota=10, budget_minor=100_000)
        points = offered.terms.points
        customer = market.customer(offered.partner_id, points, person_id=a_person())
        redemption_id = expired_in_grace(market, customer, offered)

        with later(market, hours=73):
            refused = market.capture(offered, redemption_id)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "late-capture-refused")
        assert market.points(customer.id) == ({"available": points} if points else {})
        assert market.taken(offered) == (0, 0)
        assert market.records(redemption_id)[-1] == "closure"

    def test_is_over_before_the_timer_has_looked(self, market: Market) -> None:
        offered = market.offer()
        redemption_id = expired_in_grace(market, market.customer(offered.partner_id), offered)

        with clock.shifted(timedelta(hours=73)):
            refused = market.capture(offered, redemption_id)

        assert refused.get_json()["code"] == "late-capture-refused"


class TestALock:
    @pytest.mark.parametrize(
        ("at_maturity", "left"),
        [
            ("burn", {"available": 150, "redeemed": 100}),
            ("release", {"available": 250}),
        ],
    )
    def test_matures_as_its_terms_say(
        self, market: Market, at_maturity: str, left: dict[str, int]
    ) -> None:
        offered = market.offer(mode="lock", maturity={"days": 30, "at_maturity": at_maturity})
        customer = market.customer(offered.partner_id, 250)
        redemption_id = market.captured(customer, offered)

        with later(market, days=29):
            before = market.points(customer.id)
        with later(market, days=30, seconds=1):
            after = market.points(customer.id)

        assert before == {"available": 150, "held": 100}
        assert after == left
        assert market.state(redemption_id) == "captured"
        assert market.records(redemption_id)[-1] == "maturity"

    def test_of_which_a_part_was_reversed_matures_with_the_rest(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        customer = market.customer(offered.partner_id, 250)
        redemption_id = market.captured(customer, offered)
        reverse(market, offered, redemption_id, points=40)

        with later(market, days=31):
            assert market.points(customer.id) == {"available": 190, "redeemed": 60}
            assert market.state(redemption_id) == "partially_reversed"

    def test_that_was_burned_is_restored_when_it_is_reversed(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        customer = market.customer(offered.partner_id, 250)
        redemption_id = market.captured(customer, offered)
        reverse(market, offered, redemption_id, points=40)

        with later(market, days=31):
            reverse(market, offered, redemption_id)

        assert market.points(customer.id) == {"available": 250}
        assert market.state(redemption_id) == "reversed"

    def test_that_was_released_moves_nothing_when_it_is_reversed(self, market: Market) -> None:
        offered = market.offer(mode="lock", maturity={"days": 30, "at_maturity": "release"})
        customer = market.customer(offered.partner_id, 250)
        redemption_id = market.captured(customer, offered)

        with later(market, days=31):
            reverse(market, offered, redemption_id)

        assert market.points(customer.id) == {"available": 250}
        assert market.state(redemption_id) == "reversed"

    def test_that_was_reversed_never_matures(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        customer = market.customer(offered.partner_id, 250)
        redemption_id = market.captured(customer, offered)
        reverse(market, offered, redemption_id)

        with later(market, days=31):
            assert market.records(redemption_id)[-1] == "reversal"
            assert market.points(customer.id) == {"available": 250}

    def test_matures_once(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        redemption_id = market.captured(market.customer(offered.partner_id), offered)

        with later(market, days=31):
            run_due(market.runtime)

        assert market.records(redemption_id).count("maturity") == 1


class TestARun:
    def test_leaves_alone_what_somebody_else_is_at(self, market: Market) -> None:
        offered = market.offer()
        redemption_id = market.reserved(market.customer(offered.partner_id), offered)

        with market.runtime.database.raw_transaction() as connection:
            ask_locked(connection, uuid_of(REDEMPTION, redemption_id)).fetchone()
            with later(market, minutes=16):
                locked = market.state(redemption_id)
        with later(market, minutes=16):
            free = market.state(redemption_id)

        assert (locked, free) == ("reserved", "expired")

    def test_goes_on_after_one_that_fails(self, market: Market) -> None:
        offered = market.offer()
        stuck = market.reserved(market.customer(offered.partner_id), offered)
        other = market.reserved(market.customer(offered.partner_id), offered)
        with market.runtime.database.raw_transaction() as connection:
            owner = connection.execute(
                "SELECT citizen_id FROM redemption WHERE id = %s", [uuid_of(REDEMPTION, stuck)]
            ).fetchall()[0][0]
            connection.execute("SELECT FROM account WHERE citizen_id = %s FOR UPDATE", [owner])

            with later(market, minutes=16):
                assert market.state(stuck) == "reserved"
                assert market.state(other) == "expired"


def reverse(market: Market, offered: Offered, redemption_id: str, **said: Any) -> None:
    body = {"reason": "cooling-off", **said}
    reversed_ = market.step(offered, redemption_id, "reversals", body)
    assert reversed_.status_code == 201, reversed_.get_json()


class TestARedemptionThatFails:
    def test_leaves_the_others_alone_and_says_nothing_of_anybody(
        self, market: Market, capfd: pytest.CaptureFixture[str]
    ) -> None:
        offered, broken = market.offer(), market.offer()
        customer = market.customer(offered.partner_id)
        unlucky = market.customer(broken.partner_id)
        fine, fails = market.reserved(customer, offered), market.reserved(unlucky, broken)
        with market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE offer_counter SET taken = 0 WHERE offer_id = %s", [broken.id]
            )

        with later(market, hours=1):
            assert (market.state(fine), market.state(fails)) == ("expired", "reserved")

        said = "".join(capfd.readouterr())
        assert uuid_of(REDEMPTION, fails).hex in said.replace("-", "")
        assert "CheckViolation" in said
        assert broken.id.hex not in said.replace("-", "")
        with market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE offer_counter SET taken = 1 WHERE offer_id = %s", [broken.id]
            )
