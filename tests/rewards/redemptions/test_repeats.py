"""Requests that move value and are sent again, or many times at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from service.ids import CONSENT, public_id
from tests.rewards.market import Customer, Market, Offered


class TestARepeatedReservation:
    def test_gets_its_first_answer(self, market: Market) -> None:
        offered, customer = _bank_and_customer(market)
        quote_id, key = market.quote(customer, offered).get_json()["id"], uuid4().hex

        first = market.reserve(customer, quote_id, key)
        again = market.reserve(customer, quote_id, key)

        assert (again.status_code, again.get_json()) == (201, first.get_json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert market.points(customer.id) == {"available": 900, "held": 100}

    def test_stays_refused(self, market: Market) -> None:
        offered, customer = _bank_and_customer(market, quota=1)
        other = market.customer(offered.partner_id)
        quote_id, key = market.quote(customer, offered).get_json()["id"], uuid4().hex
        taken = market.reserved(other, offered)

        first = market.reserve(customer, quote_id, key)
        void = f"/v1/redemptions/{taken}/voids"
        market.client.post(void, json={}, headers=market.as_citizen(other))
        again = market.reserve(customer, quote_id, key)
        anew = market.reserve(customer, quote_id)

        assert first.get_json()["code"] == "offer-quota-exhausted"
        assert (again.status_code, again.get_json()) == (409, first.get_json())
        assert again.mimetype == "application/problem+json"
        assert anew.status_code == 201

    def test_is_told_when_the_key_belongs_to_another_request(self, market: Market) -> None:
        offered, customer = _bank_and_customer(market)
        quotes = [market.quote(customer, offered).get_json()["id"] for _ in range(2)]
        key = uuid4().hex

        market.reserve(customer, quotes[0], key)
        other = market.reserve(customer, quotes[1], key)
        unknown = market.reserve(customer, "qte_" + "0" * 32, key)

        assert other.get_json()["code"] == unknown.get_json()["code"] == "idempotency-key-reused"
        assert market.points(customer.id) == {"available": 900, "held": 100}

    def test_needs_a_key(self, market: Market) -> None:
        offered, customer = _bank_and_customer(market)
        quote_id = market.quote(customer, offered).get_json()["id"]
        headers = market.as_citizen(customer)
        del headers["Idempotency-Key"]

        answer = market.client.post("/v1/redemptions", json={"quote_id": quote_id}, headers=headers)

        assert (answer.status_code, answer.get_json()["code"]) == (400, "idempotency-key-missing")

    def test_is_one_reservation_however_many_come_at_once(self, market: Market) -> None:
        offered, customer = _bank_and_customer(market)
        quote_id, key = market.quote(customer, offered).get_json()["id"], uuid4().hex

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: market.reserve(customer, quote_id, key), range(50)))

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.get_json()["id"] for answer in answers}) == 1
        assert market.points(customer.id) == {"available": 900, "held": 100}


class TestACaptureThatComesAgainUnderAnotherKey:
    @pytest.mark.parametrize(
        ("otherwise", "status"),
        [
            ({}, 200),
            ({"effective_to": None}, 200),
            ({"points": 99}, 409),
            ({"terms_hash": "0" * 64}, 409),
            ({"benefit_actual": {"rate_delta_bp": -90}}, 409),
            ({"effective_to": "2028-01-01T00:00:00+08:00"}, 409),
        ],
    )
    def test_is_the_same_only_if_it_says_the_same(
        self, market: Market, otherwise: dict[str, Any], status: int
    ) -> None:
        offered, customer = _bank_and_customer(market)
        said: dict[str, Any] = {
            "partner_reference": f"loan-{uuid4().hex[:12]}",
            "benefit_actual": {"rate_delta_bp": -50},
            "effective_to": "2027-01-01T00:00:00+08:00",
        }
        redemption_id = market.captured(customer, offered, **said)
        said = {name: value for name, value in {**said, **otherwise}.items() if value is not None}

        again = market.capture(offered, redemption_id, **said)

        assert again.status_code == status, again.get_json()
        assert market.records(redemption_id) == ["reservation", "submission", "capture"]


class TestAQuote:
    def test_is_given_once_under_a_key_and_anew_without(self, market: Market) -> None:
        offered, customer = _bank_and_customer(market)
        wish = {
            "offer_id": offered.public_id,
            "consent_id": public_id(CONSENT, customer.consent_id),
        }
        headers = market.as_citizen(customer)

        def ask() -> str:
            return str(
                market.client.post("/v1/quotes", json=wish, headers=headers).get_json()["id"]
            )

        assert ask() == ask()
        del headers["Idempotency-Key"]
        assert ask() != ask()


def _bank_and_customer(market: Market, quota: int | None = None) -> tuple[Offered, Customer]:
    offered = market.offer(quota=quota)
    return offered, market.customer(offered.partner_id)
