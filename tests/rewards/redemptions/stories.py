"""Redemptions of every kind, for those who look at all of them afterwards."""

from datetime import timedelta

from service import clock
from service.rewards.redemptions.janitor import ask_partners
from service.rewards.redemptions.timers import run_due
from tests.rewards.market import Customer, Market, Offered, a_person
from tests.rewards.redemptions.desk import Desk
from tests.rewards.redemptions.staff import post, resolve, settled

WORDS = {"reason": "other", "words": "This is not what I was promised."}


def everything_happens(market: Market, desk: Desk) -> None:
    """Let every kind of step happen in every mode; of what is due, one bank's desk knows."""
    for mode in ("burn", "lock", "attest"):
        offered = market.offer(mode=mode, quota=100, budget_minor=1_000_000)
        if mode == "burn":
            desk.serve(market, offered.partner_id)
        _captured_ones(market, offered)
        _ended_ones(market, offered)
    for days in (31, 62):
        with clock.shifted(timedelta(days=days)):
            ask_partners(market.runtime)
            run_due(market.runtime)


def a_customer(market: Market, offered: Offered) -> Customer:
    """Somebody with three grams behind each point."""
    points = 2 * offered.terms.points
    person_id = a_person()
    return market.customer(offered.partner_id, points, grams=3 * points, person_id=person_id)


def disputed(market: Market, customer: Customer, offered: Offered) -> str:
    redemption_id = settled(market, market.captured(customer, offered))
    path = f"/v1/redemptions/{redemption_id}/disputes"
    assert post(market, path, WORDS, market.as_citizen(customer)).status_code == 201
    return redemption_id


def _captured_ones(market: Market, offered: Offered) -> None:
    part = {"points": 40} if offered.terms.points else {}
    market.captured(a_customer(market, offered), offered, **part)
    reversed_ = market.captured(a_customer(market, offered), offered)
    if offered.terms.points:
        _reverse(market, offered, reversed_, points=33)
        settled(market, reversed_)
    _reverse(market, offered, reversed_)
    for outcome in ("settled", "reversed"):
        resolve(market, disputed(market, a_customer(market, offered), offered), outcome)


def _ended_ones(market: Market, offered: Offered) -> None:
    market.reserved(a_customer(market, offered), offered)
    market.submitted(a_customer(market, offered), offered)
    declined = market.submitted(a_customer(market, offered), offered)
    market.step(offered, declined, "declines", {"reason": "other"})
    customer = a_customer(market, offered)
    voided = market.submitted(customer, offered)
    post(market, f"/v1/redemptions/{voided}/voids", {}, market.as_citizen(customer))
    market.step(offered, voided, "voids", {})


def _reverse(market: Market, offered: Offered, redemption_id: str, **said: int) -> None:
    answer = market.step(offered, redemption_id, "reversals", {"reason": "not-drawn", **said})
    assert answer.status_code == 201, answer.get_json()
