"""A redemption from its quote to its end."""

import jwt
import pytest

from service.ids import PARTNER, public_id
from tests.rewards.market import Market, a_person


class TestTheWholeStory:
    def test_burns_points_for_a_benefit(self, market: Market) -> None:
        offered = market.offer(quota=10, budget_minor=100_000)
        customer = market.customer(offered.partner_id, 250)

        redemption_id = market.submitted(customer, offered)
        held = market.points(customer.id)
        captured = market.capture(offered, redemption_id)

        assert held == {"available": 150, "held": 100}
        assert captured.status_code == 201
        assert captured.get_json()["state"] == "captured"
        assert market.points(customer.id) == {"available": 150, "redeemed": 100}
        assert market.taken(offered) == (1, 3000)
        assert market.records(redemption_id) == ["reservation", "submission", "capture"]

    def test_locks_points_for_as_long_as_the_benefit_lasts(self, market: Market) -> None:
        offered = market.offer(mode="lock")
        customer = market.customer(offered.partner_id, 250)

        market.captured(customer, offered)

        assert market.points(customer.id) == {"available": 150, "held": 100}

    def test_attests_without_moving_a_point(self, market: Market) -> None:
        offered = market.offer(mode="attest")
        customer = market.customer(offered.partner_id, 0, person_id=a_person())

        redemption_id = market.captured(customer, offered)

        assert market.points(customer.id) == {}
        assert market.state(redemption_id) == "captured"

    @pytest.mark.parametrize("mode", ["burn", "lock", "attest"])
    def test_gives_everything_back_when_it_is_declined(self, market: Market, mode: str) -> None:
        offered = market.offer(mode=mode, quota=10, budget_minor=100_000)
        points = offered.terms.points * 2
        customer = market.customer(offered.partner_id, points, person_id=a_person())
        redemption_id = market.submitted(customer, offered)

        declined = market.step(offered, redemption_id, "declines", {"reason": "not-approved"})

        assert declined.status_code == 201
        assert market.points(customer.id) == ({"available": points} if points else {})
        assert market.taken(offered) == (0, 0)
        assert market.submitted(customer, offered)

    def test_captures_a_part_and_returns_the_rest(self, market: Market) -> None:
        offered = market.offer(budget_minor=100_000)
        customer = market.customer(offered.partner_id, 250)

        market.captured(customer, offered, points=30)

        assert market.points(customer.id) == {"available": 220, "redeemed": 30}
        assert market.taken(offered) == (1, 900)

    def test_reverses_a_share_and_then_the_rest(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id, 250)
        redemption_id = market.captured(customer, offered)

        half = market.step(
            offered, redemption_id, "reversals", {"reason": "cooling-off", "share": "0.5"}
        )
        rest = market.step(offered, redemption_id, "reversals", {"reason": "cooling-off"})

        assert half.get_json()["state"] == "partially_reversed"
        assert rest.get_json()["state"] == "reversed"
        assert market.points(customer.id) == {"available": 250}
        assert half.get_json()["subsidy_minor"] + rest.get_json()["subsidy_minor"] == 3000

    def test_entitles_by_a_document_that_others_can_verify(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = market.reserved(customer, offered)

        document = market.submit(customer, redemption_id).get_json()["entitlement"]

        keys = jwt.PyJWKSet.from_dict(market.client.get("/.well-known/jwks.json").get_json())
        header = jwt.get_unverified_header(document)
        claims = jwt.decode(
            document,
            keys[header["kid"]],
            algorithms=["ES256"],
            audience=public_id(PARTNER, offered.partner_id),
        )
        assert header["typ"] == "carbon-entitlement+jwt"
        assert (claims["jti"], claims["sub"]) == (redemption_id, customer.subject)
        assert claims["terms_hash"] == offered.terms.terms_hash


class TestAcceptingAndSubmittingAtOnce:
    def test_takes_both_steps(self, market: Market) -> None:
        offered = market.offer(quota=1)
        customer = market.customer(offered.partner_id, 250, max_uses=1)
        wish = {"quote_id": market.quote(customer, offered).get_json()["id"], "submit": True}

        answer = market.client.post(
            "/v1/redemptions", json=wish, headers=market.as_citizen(customer)
        )

        redemption = answer.get_json()
        assert (answer.status_code, redemption["state"]) == (201, "submitted")
        assert market.records(redemption["id"]) == ["reservation", "submission"]
        assert redemption["entitlement"].count(".") == 2
        assert market.capture(offered, redemption["id"]).status_code == 201
        assert market.points(customer.id) == {"available": 150, "redeemed": 100}

    def test_takes_neither_when_the_consent_is_used_up(self, market: Market) -> None:
        offered = market.offer(quota=5)
        customer = market.customer(offered.partner_id, 250, max_uses=1)
        market.submitted(customer, offered)
        wish = {"quote_id": market.quote(customer, offered).get_json()["id"], "submit": True}

        answer = market.client.post(
            "/v1/redemptions", json=wish, headers=market.as_citizen(customer)
        )

        assert answer.get_json()["code"] == "consent-uses-exhausted"
        assert market.points(customer.id) == {"available": 150, "held": 100}
        assert market.taken(offered) == (1, 3000)


class TestTheListOfAPartner:
    def test_shows_what_was_submitted_and_nothing_before(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        market.reserved(customer, offered)
        submitted = market.submitted(customer, offered)

        listed = market.client.get("/v1/redemptions", headers=market.as_partner(offered.partner_id))

        assert [each["id"] for each in listed.get_json()["items"]] == [submitted]
