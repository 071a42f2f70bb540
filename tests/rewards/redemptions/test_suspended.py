"""A partner is suspended while redemptions of its offers are under way."""

from tests.rewards.market import Market, Offered


def suspend(market: Market, offered: Offered) -> None:
    with market.runtime.database.raw_transaction() as connection:
        connection.execute(
            "UPDATE partner SET state = 'suspended' WHERE id = %s", [offered.partner_id]
        )


class TestASuspendedPartner:
    def test_is_shown_nothing_more(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = market.reserved(customer, offered)
        suspend(market, offered)

        refused = market.submit(customer, redemption_id)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "offer-not-active")
        assert market.state(redemption_id) == "reserved"

    def test_has_no_offers_to_accept(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        quote_id = market.quote(customer, offered).get_json()["id"]
        suspend(market, offered)

        assert market.quote(customer, offered).get_json()["code"] == "offer-not-active"
        assert market.reserve(customer, quote_id).get_json()["code"] == "offer-not-active"
        assert market.points(customer.id) == {"available": 1000}

    def test_keeps_nobody_from_changing_her_mind(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = market.reserved(customer, offered)
        suspend(market, offered)

        path = f"/v1/redemptions/{redemption_id}/voids"
        voided = market.client.post(path, json={}, headers=market.as_citizen(customer))

        assert voided.status_code == 201
        assert market.points(customer.id) == {"available": 1000}
