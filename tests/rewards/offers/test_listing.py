"""Who sees which offers."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from service import clock
from service.partners.organisations import partner_by_id, set_state
from service.rewards.errors import OfferNotActive
from service.rewards.offers.catalogue import ask_offer, offer_from, require_open
from service.runtime import Runtime
from tests.rewards.market import Market
from tests.rewards.offers.shop import Shop, code_of, terms


def ids_seen(shop: Shop, headers: dict[str, str] | None = None, **query: Any) -> list[str]:
    answer = shop.client.get("/v1/offers", query_string=query, headers=headers)
    assert answer.status_code == 200, answer.get_json()
    return [offer["id"] for offer in answer.get_json()["items"]]


def name_of(runtime: Runtime, partner_id: UUID) -> str:
    with runtime.database.raw_transaction() as connection:
        return partner_by_id(connection, partner_id).name


class TestTheList:
    def test_shows_everybody_what_is_open(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        drafted, opened = shop.drafted(bank_id), shop.opened(bank_id)
        name = name_of(market.runtime, bank_id)

        assert ids_seen(shop, partner=name) == [opened]
        assert ids_seen(shop, shop.headers("citizen", bank_id), partner=name) == [opened]
        assert ids_seen(shop, shop.as_partner(market.bank()), partner=name) == [opened]
        assert ids_seen(shop, shop.as_partner(bank_id), partner=name) == [opened, drafted]
        assert ids_seen(shop, shop.as_staff(), partner=name) == [opened, drafted]
        assert ids_seen(shop, shop.as_partner(bank_id), partner=name, state="draft") == [drafted]

    def test_of_a_token_without_the_scope_is_everybodys(
        self, shop: Shop, market: Market, bank_id: UUID
    ) -> None:
        shop.drafted(bank_id)
        name = name_of(market.runtime, bank_id)

        assert ids_seen(shop, shop.as_partner(bank_id, ("events:read",)), partner=name) == []

    def test_leaves_out_what_is_over(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        soon = terms(valid_to="2027-01-01T00:00:00+08:00")
        shop.opened(bank_id, terms=soon)
        name = name_of(market.runtime, bank_id)

        with clock.shifted(datetime(2027, 2, 1, tzinfo=UTC) - clock.now()):
            assert ids_seen(shop, partner=name) == []

    def test_leaves_out_a_suspended_partners(
        self, shop: Shop, market: Market, bank_id: UUID
    ) -> None:
        shop.opened(bank_id)
        name = name_of(market.runtime, bank_id)
        with market.runtime.database.raw_transaction() as connection:
            partner = partner_by_id(connection, bank_id)
            set_state(connection, partner, active=False, reason="a test")

        assert ids_seen(shop, partner=name) == []

    def test_goes_on_page_by_page(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        made = [shop.opened(bank_id) for _ in range(3)]
        name = name_of(market.runtime, bank_id)

        first = shop.client.get("/v1/offers", query_string={"partner": name, "limit": 2})
        rest = ids_seen(shop, partner=name, limit=2, cursor=first.get_json()["next"])

        assert [offer["id"] for offer in first.get_json()["items"]] + rest == made[::-1]

    def test_refuses_another_lists_cursor(self, shop: Shop) -> None:
        answer = shop.client.get("/v1/offers?cursor=AAAA")

        assert code_of(answer) == (400, "cursor-invalid")


class TestAnOffer:
    def test_that_was_never_open_is_its_partners(
        self, shop: Shop, market: Market, bank_id: UUID
    ) -> None:
        offer_id = shop.drafted(bank_id)

        assert code_of(shop.read(offer_id)) == (404, "offer-unknown")
        assert code_of(shop.read(offer_id, shop.as_partner(market.bank()))) == (
            404,
            "offer-unknown",
        )
        assert shop.read(offer_id, shop.as_partner(bank_id)).status_code == 200
        assert shop.read(offer_id, shop.as_staff(role="auditor")).status_code == 200

    def test_that_was_open_stays_readable(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.opened(bank_id)
        shop.change(bank_id, offer_id, "retirement", "active")

        assert shop.read(offer_id).get_json()["state"] == "retired"

    def test_shows_the_terms_in_force(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.opened(bank_id)
        shop.add_version(bank_id, offer_id, points=999)

        offer = shop.read(offer_id).get_json()

        assert (offer["version"], offer["newest_version"]) == (1, 2)
        assert offer["terms"]["points"] == 300

    def test_shows_everybody_versions_that_were_in_force(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.opened(bank_id)
        for _ in range(2):
            shop.add_version(bank_id, offer_id)
        shop.change(bank_id, offer_id, "activation", "active", offer_version=3)
        address = f"/v1/offers/{offer_id}/versions"

        seen = {
            version: shop.client.get(f"{address}/{version}").status_code for version in range(1, 5)
        }

        assert seen == {1: 200, 2: 404, 3: 200, 4: 404}

    @pytest.mark.parametrize("version", [0, 2**31, 10**40, 10**4200])
    def test_has_no_impossible_version(self, shop: Shop, bank_id: UUID, version: int) -> None:
        offer_id = shop.opened(bank_id)

        answer = shop.client.get(f"/v1/offers/{offer_id}/versions/{version}")

        assert code_of(answer) == (404, "offer-version-unknown")

    def test_is_not_changed_directly(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)

        def put(partner_id: UUID) -> tuple[int, str]:
            headers = shop.as_partner(partner_id)
            body = {"state": "active"}
            return code_of(shop.client.put(f"/v1/offers/{offer_id}", json=body, headers=headers))

        assert put(bank_id) == (403, "change-request-required")
        assert put(market.bank()) == (404, "offer-unknown")


class TestWhatIsAskedOnTheHotPath:
    @pytest.mark.parametrize("door", ["raw_transaction", "pipelined_transaction"])
    def test_finds_the_terms_in_force(self, market: Market, door: str) -> None:
        offered = market.offer()

        with getattr(market.runtime.database, door)() as connection:
            offer = offer_from(connection, ask_offer(connection, offered.id))

        assert (offer.state, offer.partner_id) == ("active", offered.partner_id)
        assert require_open(offer, clock.now()) == offered.terms

    def test_parses_a_version_once(self, market: Market) -> None:
        offered = market.offer()

        with market.runtime.database.raw_transaction() as connection:
            one, other = (
                offer_from(connection, ask_offer(connection, offered.id)) for _ in range(2)
            )

        assert one.terms is other.terms

    @pytest.mark.parametrize("year", [2019, 2099])
    def test_is_closed_outside_its_time(self, market: Market, year: int) -> None:
        offered = market.offer()
        with market.runtime.database.raw_transaction() as connection:
            offer = offer_from(connection, ask_offer(connection, offered.id))

        with pytest.raises(OfferNotActive):
            require_open(offer, datetime(year, 1, 1, tzinfo=UTC))
