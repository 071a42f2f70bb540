"""How much is taken, counted from redemptions; and the audit that finds what differs."""

from collections.abc import Mapping
from typing import Any, Final

import psycopg
import pytest
from flask import Flask

from service.app import create_app
from service.ledger.audit import Part, audited
from service.rewards.invariants import CHECKS, examined_terms
from service.rewards.offers.terms import Terms
from service.runtime import Runtime
from tests.rewards.market import Market, Offered, a_person
from tests.rewards.offers.shop import Shop, code_of, terms

PERSONAL = {
    "eligibility": {"person_required": True},
    "caps": {
        "per_citizen": {"period": "month", "most": 5},
        "per_person": {"period": "year", "most": 5},
    },
}


DAMAGES: Final[Mapping[str, set[str]]] = {
    "UPDATE offer_counter SET taken = taken + 1": {"counters-equal-redemptions"},
    "UPDATE offer_counter SET budget_taken_minor = 1": {"counters-equal-redemptions"},
    "UPDATE offer_use SET taken = taken - 1": {"caps-equal-redemptions"},
    "DELETE FROM offer_use WHERE holder_kind = 'person'": {"caps-equal-redemptions"},
    "UPDATE redemption SET closed_at = now() WHERE state = 'captured'": {
        "counters-equal-redemptions",
        "caps-equal-redemptions",
    },
    "UPDATE redemption SET closed_at = NULL": {
        "counters-equal-redemptions",
        "caps-equal-redemptions",
    },
    "UPDATE redemption SET mode = 'attest'": {"attested-once", "redemptions-as-quoted"},
    "UPDATE offer_version SET terms = jsonb_set(terms, '{points}', '99')": {"terms-equal-hashes"},
    "UPDATE offer_version SET points = points + 1": {"terms-equal-hashes"},
    "UPDATE offer_version SET terms_hash = repeat('0', 64)": {
        "terms-equal-hashes",
        "redemptions-as-quoted",
    },
    "UPDATE offer SET state = 'paused' WHERE id = %(offer_id)s": {"offers-as-decided"},
    "UPDATE change_decision SET decision = 'rejected'": {"offers-as-decided"},
    "UPDATE change_decision SET decided_by = requested_by FROM change_request"
    " WHERE change_request_id = id AND requested_by_kind = 'staff'": {"changes-by-two"},
}
"""What somebody could change behind the service's back, and what the audit then says."""


def usage_of(shop: Shop, offered: Offered) -> dict[str, Any]:
    answer = shop.client.get(
        f"/v1/offers/{offered.public_id}/usage", headers=shop.as_partner(offered.partner_id)
    )
    found: dict[str, Any] = answer.get_json()
    assert answer.status_code == 200, found
    return found


class TestUsage:
    def test_counts_what_redemptions_hold(self, shop: Shop, market: Market) -> None:
        offered = market.offer(quota=10, budget_minor=100_000)
        customer = market.customer(offered.partner_id)
        market.captured(customer, offered, points=50)
        market.reserved(customer, offered)
        declined = market.submitted(customer, offered)
        market.step(offered, declined, "declines", {"reason": "other"})

        found = usage_of(shop, offered)

        assert (found["taken"], found["left"]) == (2, 8)
        assert (found["budget_taken_minor"], found["budget_left_minor"]) == (4500, 95_500)
        assert found["redemptions"] == {"captured": 1, "reserved": 1, "declined": 1}
        assert found["counter"] == {"taken": 2, "budget_taken_minor": 4500}
        assert found["agrees"] is True

    def test_of_what_nobody_took_is_nothing(self, shop: Shop, market: Market) -> None:
        found = usage_of(shop, market.offer())

        assert (found["taken"], found["left"], found["quota"]) == (0, None, None)
        assert (found["redemptions"], found["agrees"]) == ({}, True)

    def test_is_its_partners(self, shop: Shop, market: Market) -> None:
        offered = market.offer()
        address = f"/v1/offers/{offered.public_id}/usage"

        others = shop.client.get(address, headers=shop.as_partner(market.bank()))
        auditors = shop.client.get(address, headers=shop.as_staff(role="auditor"))

        assert code_of(others) == (404, "offer-unknown")
        assert auditors.status_code == 200
        assert code_of(shop.client.get(address)) == (401, "token-missing")


class Books:
    """A database of its own with honest redemptions."""

    def __init__(self, runtime: Runtime, app: Flask) -> None:
        self.market = Market(runtime, app)
        shop = Shop(app)
        self.bank_id = self.market.bank()
        offer_id = shop.drafted(
            self.bank_id, quota=5, budget_minor=50_000, terms=terms(points=100, **PERSONAL)
        )
        request_id = shop.asked(shop.as_staff(), offer_id, "activation", "draft")
        assert shop.decide(request_id).status_code == 201
        entered = Terms.from_document(shop.read(offer_id).get_json()["terms"])
        self.offered = Offered(entered.offer_id, self.bank_id, entered)
        self.customer = self.market.customer(self.bank_id, person_id=a_person())
        self.market.captured(self.customer, self.offered, points=40)
        self.market.reserved(self.customer, self.offered)
        declined = self.market.submitted(self.customer, self.offered)
        self.market.step(self.offered, declined, "declines", {"reason": "other"})

    def broken(self) -> set[str]:
        parts = [Part(CHECKS, examined_terms)]
        found = audited(self.market.runtime.database, parts)
        return {finding.name for finding in found if finding.differences}

    def broken_by(self, statement: str) -> set[str]:
        """Change what the service itself cannot, ask what is broken, and take it back."""
        with psycopg.connect(self.market.runtime.settings.migration_database_url) as connection:
            for table in ("offer_version", "change_decision"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            connection.execute(statement, {"offer_id": self.offered.id})
            broken = {check.name for check in CHECKS if connection.execute(check.query).fetchone()}
            broken |= {each.name for each in examined_terms(connection) if each.differences}
            connection.rollback()
        return broken


@pytest.fixture
def books(fresh_runtime: Runtime) -> Books:
    return Books(fresh_runtime, create_app(fresh_runtime))


class TestTheAudit:
    def test_of_honest_books_finds_nothing(self, books: Books) -> None:
        assert books.broken() == set()

    def test_finds_what_was_changed(self, books: Books) -> None:
        found = {statement: books.broken_by(statement) for statement in DAMAGES}

        assert found == DAMAGES
