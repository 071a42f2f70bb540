"""She renews her consent while a redemption is under way."""

from datetime import timedelta

import pytest

from service import clock
from service.ids import CONSENT, public_id
from tests.rewards.market import Customer, Market, Offered


def renewed(market: Market, customer: Customer, offered: Offered) -> str:
    """Renew her consent as she would, and return the next one's id."""
    with market.runtime.database.raw_transaction() as connection:
        row = connection.execute(
            "INSERT INTO consent_recipient (partner_id, name, contact) VALUES (%s, 'A', 'a@b.cn')"
            " RETURNING (SELECT name FROM partner WHERE id = partner_id)",
            [offered.partner_id],
        ).fetchone()
    assert row is not None
    wish = {
        "partner": row[0],
        "purpose": "benefit",
        "data_clusters": ["redemption"],
        "valid_to": (clock.now() + timedelta(days=90)).isoformat(),
        "renews": public_id(CONSENT, customer.consent_id),
    }
    given = market.client.post("/v1/consents", json=wish, headers=market.as_citizen(customer))
    assert given.status_code == 201, given.get_json()
    return str(given.get_json()["id"])


class TestARenewedConsent:
    def test_lets_the_partner_read_what_was_submitted_before(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = market.submitted(customer, offered)
        renewed(market, customer, offered)

        headers = market.as_partner(offered.partner_id)
        shown = market.client.get(f"/v1/redemptions/{redemption_id}", headers=headers)

        assert shown.status_code == 200, shown.get_json()

    def test_lets_her_submit_what_she_reserved_before(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = market.reserved(customer, offered)
        renewed(market, customer, offered)

        assert market.submit(customer, redemption_id).status_code == 201

    @pytest.mark.parametrize("state", ["reserved", "submitted"])
    def test_that_was_revoked_stops_both(self, market: Market, state: str) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = getattr(market, state)(customer, offered)
        consent_id = renewed(market, customer, offered)
        path = f"/v1/consents/{consent_id}/revocations"
        market.client.post(path, json={}, headers=market.as_citizen(customer))

        headers = market.as_partner(offered.partner_id)
        shown = market.client.get(f"/v1/redemptions/{redemption_id}", headers=headers)
        submitted = market.submit(customer, redemption_id)

        assert shown.status_code == (403 if state == "submitted" else 404)
        assert submitted.status_code == (403 if state == "reserved" else 409)
