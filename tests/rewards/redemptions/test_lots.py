"""What redemptions do to lots: lapsed ones, several ones, other rates, and claw-backs."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service import clock
from service.ids import REDEMPTION, uuid_of
from service.ledger.accounts import lock_account, lock_accounts
from service.ledger.clawback import Claim, invalidate
from service.ledger.issuing import Issue, issue_lots
from service.rewards.redemptions.maturing import mature
from service.rewards.redemptions.steps import SERVICE, ask_locked, redemption_from
from tests.rewards.market import Customer, Market, Offered


def soon(days: int) -> date:
    return clock.today() + timedelta(days=days)


def places(market: Market, customer: Customer) -> dict[date, dict[str, int]]:
    """Return where the points of each lot are."""
    names = ("available", "held", "redeemed", "carried_in", "carried_out", "invalidated")
    columns = ", ".join(f"{name}_points" for name in names)
    query = f"SELECT expires_on, {columns} FROM lot WHERE citizen_id = %s ORDER BY expires_on"
    with market.runtime.database.raw_transaction() as connection:
        rows = connection.execute(query, [customer.id]).fetchall()
    return {row[0]: {n: p for n, p in zip(names, row[1:], strict=True) if p} for row in rows}


def spendable(market: Market, customer: Customer) -> int:
    """Return what she can spend, as she is told."""
    account = market.client.get("/v1/me/account", headers=market.as_citizen(customer))
    return int(account.get_json()["points"]["available"])


def taken(market: Market, offered: Offered, redemption_id: str, step: str, **said: Any) -> Any:
    answer = market.step(offered, redemption_id, step, said)
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()


class TestALotThatLapsesWhileItIsHeld:
    def test_is_redeemed_all_the_same(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 100, expires_on=soon(2))
        redemption_id = market.submitted(customer, offered)

        with clock.shifted(timedelta(days=5)):
            captured = market.capture(offered, redemption_id)

        assert captured.status_code == 201
        assert market.points(customer.id) == {"redeemed": 100}

    def test_lives_on_for_the_grace_when_it_is_declined(self, market: Market) -> None:
        offered = market.offer(reversal={"window_days": 180, "grace_days": 30})
        customer = market.customer(offered.partner_id, 100, expires_on=soon(2))
        redemption_id = market.submitted(customer, offered)

        with clock.shifted(timedelta(days=5)):
            taken(market, offered, redemption_id, "declines", reason="other")

            assert spendable(market, customer) == 100
        assert places(market, customer) == {
            soon(2): {"carried_out": 100},
            soon(35): {"available": 100, "carried_in": 100},
        }

    def test_is_lost_when_the_terms_promise_no_grace(self, market: Market) -> None:
        offered = market.offer(reversal={"window_days": 180, "grace_days": 0})
        customer = market.customer(offered.partner_id, 100, expires_on=soon(2))
        redemption_id = market.submitted(customer, offered)

        with clock.shifted(timedelta(days=5)):
            taken(market, offered, redemption_id, "declines", reason="other")

            assert spendable(market, customer) == 0

    def test_lives_on_for_the_grace_when_the_capture_is_reversed(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 100, expires_on=soon(2))
        redemption_id = market.captured(customer, offered)

        with clock.shifted(timedelta(days=5)):
            taken(market, offered, redemption_id, "reversals", reason="not-drawn", points=40)

            assert spendable(market, customer) == 40
        assert places(market, customer)[soon(2)] == {"redeemed": 60, "carried_out": 40}

    def test_lives_on_for_the_grace_when_a_lock_is_released(self, market: Market) -> None:
        offered = market.offer(mode="lock", maturity={"days": 30, "at_maturity": "release"})
        customer = market.customer(offered.partner_id, 100, expires_on=soon(2))
        redemption_id = market.captured(customer, offered)

        with clock.shifted(timedelta(days=31)):
            with market.runtime.database.raw_transaction() as connection:
                rows = ask_locked(connection, uuid_of(REDEMPTION, redemption_id))
                mature(connection, redemption_from(rows), SERVICE)

            assert spendable(market, customer) == 100

    def test_is_not_held_anew(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 100, expires_on=soon(2))

        with clock.shifted(timedelta(days=5)):
            refused = market.quote(customer, offered)

        assert refused.get_json()["code"] == "not-eligible"


class TestSeveralLots:
    @pytest.fixture
    def offered(self, market: Market) -> Offered:
        return market.offer()

    @pytest.fixture
    def customer(self, market: Market, offered: Offered) -> Customer:
        """Sixty points that expire soon, and ninety that do not."""
        customer = market.customer(offered.partner_id, 60, grams=61, expires_on=soon(10))
        market.issue(customer.id, 90, 1000, soon(100))
        return customer

    def test_are_taken_from_the_one_that_expires_first(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        market.submitted(customer, offered)

        assert places(market, customer) == {
            soon(10): {"held": 60},
            soon(100): {"held": 40, "available": 50},
        }

    def test_get_back_the_last_first(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        market.capture(offered, redemption_id, points=70)
        captured = places(market, customer)
        taken(market, offered, redemption_id, "reversals", reason="not-drawn", points=20)

        assert captured == {
            soon(10): {"redeemed": 60},
            soon(100): {"redeemed": 10, "available": 80},
        }
        assert places(market, customer) == {
            soon(10): {"redeemed": 50, "available": 10},
            soon(100): {"available": 90},
        }


class TestGramsBehindThePoints:
    def test_go_with_them_rounded_down_and_the_last_take_the_rest(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 250, grams=1001)
        redemption_id = market.submitted(customer, offered)

        captured = market.capture(offered, redemption_id, points=33).get_json()
        part = taken(market, offered, redemption_id, "reversals", reason="mistake", points=10)
        rest = taken(market, offered, redemption_id, "reversals", reason="mistake")

        # Of the lot floor(1001 × 100 / 250) = 400 g are held, of which floor(400 × 33 / 100) go.
        assert [each["reduction_g"] for each in (captured, part, rest)] == [132, 40, 92]
        assert market.points(customer.id) == {"available": 250}

    def test_are_all_there_again_in_the_end(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        customer = market.customer(offered.partner_id, 250, grams=1001)
        redemption_id = market.captured(customer, offered, points=77)
        for share in ("0.3", "0.333"):
            taken(market, offered, redemption_id, "reversals", reason="not-drawn", share=share)
        taken(market, offered, redemption_id, "reversals", reason="not-drawn")

        with market.runtime.database.raw_transaction() as connection:
            query = "SELECT available_points, available_g, held_g FROM lot WHERE citizen_id = %s"
            assert connection.execute(query, [customer.id]).fetchall() == [(250, 1001, 0)]


class TestAClawBack:
    def customer_with(self, market: Market, offered: Offered) -> tuple[Customer, UUID]:
        """Return somebody whose hundred points come from one activity."""
        customer, issue_id = market.customer(offered.partner_id, 0), uuid4()
        with market.runtime.database.raw_transaction() as connection:
            issue = Issue(customer.id.hex, issue_id.hex, soon(365).isoformat(), 100, 700)
            issue_lots(connection, lock_account(connection, customer.id), [issue])
        return customer, issue_id

    def take_back(self, market: Market, customer: Customer, issue_id: UUID) -> None:
        with market.runtime.database.raw_transaction() as connection:
            accounts = lock_accounts(connection, [customer.id.hex])
            invalidate(connection, accounts, [Claim(customer.id.hex, issue_id.hex)])

    @pytest.mark.parametrize("is_captured", [False, True])
    def test_leaves_the_benefit_alone(self, market: Market, *, is_captured: bool) -> None:
        offered = market.offer()
        customer, issue_id = self.customer_with(market, offered)
        redemption_id = market.submitted(customer, offered)
        if is_captured:
            market.capture(offered, redemption_id)

        self.take_back(market, customer, issue_id)

        if not is_captured:
            assert market.capture(offered, redemption_id).status_code == 201
        assert market.state(redemption_id) == "captured"
        assert market.points(customer.id) == {"redeemed": 100}

    def test_is_owed_though_held_points_come_back_later(self, market: Market) -> None:
        offered = market.offer()
        customer, issue_id = self.customer_with(market, offered)
        redemption_id = market.submitted(customer, offered)

        self.take_back(market, customer, issue_id)
        taken(market, offered, redemption_id, "declines", reason="other")
        market.issue(customer.id, 10, 70)

        assert market.points(customer.id) == {"available": 100, "invalidated": 10}
