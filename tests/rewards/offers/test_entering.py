"""A partner enters an offer: every number said, and nothing that could be taken two ways."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.rewards.market import Market
from tests.rewards.offers.shop import Shop, code_of, faults_of, terms

FACTOR = {"kind": "premium_factor", "factor": "0.95", "band_min": "0.90", "band_max": "1.10"}
ATTEST = {
    "mode": "attest",
    "points": 0,
    "eligibility": {"person_required": True},
    "caps": {"per_person": {"period": "quarter", "most": 1}},
}


class TestADraft:
    def test_is_answered_with_its_first_version(self, shop: Shop, bank_id: UUID) -> None:
        made = shop.draft(bank_id, quota=10, budget_minor=30_000)

        offer = made.get_json()
        assert made.status_code == 201
        assert (offer["state"], offer["active_version"], offer["version"]) == ("draft", None, 1)
        assert offer["terms"]["offer_id"] == offer["id"]
        assert len(offer["terms_hash"]) == 64

    def test_says_everything_that_binds(self, shop: Shop, bank_id: UUID) -> None:
        entered = shop.draft(bank_id).get_json()["terms"]

        assert entered["valid_from"] == "2025-12-31T16:00:00+00:00"
        assert entered["currency"] == "CNY"
        assert entered["caps"] == {"per_citizen": None, "per_person": None}
        assert entered["timers"] == {
            "quote_s": 600,
            "reserve_s": 900,
            "submit_business_days": 10,
            "submit_s": None,
            "unknown_business_days": 5,
            "grace_s": 259_200,
        }

    def test_of_an_insurer_has_thirty_days_to_submit(self, shop: Shop, market: Market) -> None:
        entered = shop.draft(market.bank("insurer")).get_json()["terms"]

        assert entered["timers"]["submit_business_days"] is None
        assert entered["timers"]["submit_s"] == 30 * 86_400

    @pytest.mark.parametrize("role", ["source", "verifier", "buyer"])
    def test_is_only_for_those_who_give_benefits(
        self, shop: Shop, market: Market, role: str
    ) -> None:
        assert code_of(shop.draft(market.bank(role))) == (403, "partner-cannot-offer")

    def test_takes_a_name_once(self, shop: Shop, bank_id: UUID) -> None:
        shop.drafted(bank_id, name="coupon")

        assert code_of(shop.draft(bank_id, name="coupon")) == (409, "offer-name-taken")

    def test_has_one_effect_under_one_key(self, shop: Shop, bank_id: UUID) -> None:
        body = {"name": "coupon", "terms": terms()}
        headers = {**shop.as_partner(bank_id), "Idempotency-Key": uuid4().hex}

        first, second = (
            shop.client.post("/v1/offers", json=body, headers=headers) for _ in range(2)
        )

        assert first.get_json() == second.get_json()
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_can_be_entered_by_staff_for_a_partner(self, shop: Shop, market: Market) -> None:
        offered = market.offer()
        body = {"partner": "nobody-here", "name": "coupon", "terms": terms()}

        unknown = shop.client.post("/v1/offers", json=body, headers=shop.as_staff())
        body["partner"] = _name_of(market, offered.partner_id)
        made = shop.client.post("/v1/offers", json=body, headers=shop.as_staff())
        del body["partner"]
        unnamed = shop.client.post("/v1/offers", json=body, headers=shop.as_staff())

        assert code_of(unknown) == (404, "partner-unknown")
        assert (made.status_code, made.get_json()["partner"]) == (
            201,
            _name_of(market, offered.partner_id),
        )
        assert faults_of(unnamed) == {"/partner": "field-missing"}

    def test_is_nobody_elses(self, shop: Shop, bank_id: UUID) -> None:
        assert faults_of(shop.draft(bank_id, partner="another")) == {
            "/partner": "value-not-allowed"
        }

    @pytest.mark.parametrize(
        "more", [{"state": "active"}, {"active_version": 1}, {"version": 2}, {"taken": 0}]
    )
    def test_cannot_say_more_than_is_asked(
        self, shop: Shop, bank_id: UUID, more: dict[str, Any]
    ) -> None:
        assert code_of(shop.draft(bank_id, **more)) == (400, "unknown-field")

    def test_needs_the_scope(self, shop: Shop, bank_id: UUID) -> None:
        headers = shop.as_partner(bank_id, ("offers:read",))

        made = shop.client.post(
            "/v1/offers", json={"name": "coupon", "terms": terms()}, headers=headers
        )

        assert code_of(made) == (403, "role-missing")


class TestTerms:
    @pytest.mark.parametrize(
        "changes",
        [
            {"benefit": {"kind": "credit_line_uplift", "uplift_percent": "20"}},
            {"benefit": {"kind": "interest_coupon", "amount_minor": 3000, "currency": "CNY"}},
            {"benefit": FACTOR},
            {"benefit": {"kind": "goods", "sku": "tree-1", "description": "A tree"}},
            {"benefit": {"kind": "voucher", "amount_minor": 1, "currency": "CNY"}},
            {"mode": "lock", "maturity": {"days": 365, "at_maturity": "release"}},
            ATTEST,
            {"timers": {"submit_s": 60}},
        ],
    )
    def test_of_every_kind_are_taken(
        self, shop: Shop, bank_id: UUID, changes: dict[str, Any]
    ) -> None:
        made = shop.draft(bank_id, terms=terms(**changes))

        assert made.status_code == 201, made.get_json()

    @pytest.mark.parametrize(
        ("changes", "faults"),
        [
            ({"points": 1.5}, {"/terms/points": "type-wrong"}),
            ({"points": "300"}, {"/terms/points": "type-wrong"}),
            ({"points": True}, {"/terms/points": "type-wrong"}),
            ({"points": 0}, {"/terms/points": "value-invalid"}),
            ({"currency": "USD"}, {"/terms/currency": "value-not-allowed"}),
            ({"payer": "US"}, {"/terms/payer": "value-not-allowed"}),
            ({"payer": None}, {"/terms/payer": "field-null"}),
            ({"title": {"zh": "只有中文"}}, {"/terms/title/en": "field-missing"}),
            (
                {"title": {"zh": "优" * 101, "en": "<b>x</b>"}},
                {"/terms/title/zh": "length-out-of-range", "/terms/title/en": "value-invalid"},
            ),
            (
                {"valid_to": "2026-01-01T00:00:00+08:00"},
                {"/terms/valid_to": "value-invalid"},
            ),
            ({"valid_to": "2090-01-01"}, {"/terms/valid_to": "time-malformed"}),
            ({"valid_to": "2090-01-01T00:00:00"}, {"/terms/valid_to": "time-without-offset"}),
            (
                {"valid_from": "0001-01-01T00:00:00+14:00"},
                {"/terms/valid_from": "time-malformed"},
            ),
            (
                {"maturity": {"days": 3, "at_maturity": "burn"}},
                {"/terms/maturity": "value-invalid"},
            ),
            ({"mode": "lock"}, {"/terms/maturity": "value-invalid"}),
            (
                {"mode": "lock", "maturity": {"days": 0}},
                {
                    "/terms/maturity/days": "number-out-of-range",
                    "/terms/maturity/at_maturity": "field-missing",
                },
            ),
            (
                {"mode": "attest"},
                {
                    "/terms/points": "value-invalid",
                    "/terms/caps/per_person": "value-invalid",
                    "/terms/eligibility/person_required": "value-invalid",
                },
            ),
            (
                {**ATTEST, "caps": {"per_person": {"period": "year", "most": 2}}},
                {"/terms/caps/per_person": "value-invalid"},
            ),
            (
                {"caps": {"per_person": {"period": "day", "most": 1}}},
                {"/terms/eligibility/person_required": "value-invalid"},
            ),
            (
                {"caps": {"per_citizen": {"period": "hour", "most": 0}}},
                {
                    "/terms/caps/per_citizen/period": "value-not-allowed",
                    "/terms/caps/per_citizen/most": "number-out-of-range",
                },
            ),
            (
                {"eligibility": {"grade_at_least": "deep_green"}},
                {"/terms/eligibility/grade_rules": "value-invalid"},
            ),
            (
                {"eligibility": {"grade_rules": "nobody-has-entered"}},
                {"/terms/eligibility/grade_rules": "value-not-allowed"},
            ),
            (
                {"eligibility": {"person_required": 1}},
                {"/terms/eligibility/person_required": "type-wrong"},
            ),
            (
                {"timers": {"submit_s": 60, "submit_business_days": 1}},
                {"/terms/timers/submit_s": "value-invalid"},
            ),
            ({"timers": {"quote_s": 0}}, {"/terms/timers/quote_s": "number-out-of-range"}),
            ({"benefit": 7}, {"/terms/benefit": "type-wrong"}),
            ({"benefit": {"kind": "cash"}}, {"/terms/benefit/kind": "value-not-allowed"}),
            (
                {"benefit": {"kind": "rate_discount"}},
                {"/terms/benefit/rate_delta_bp": "field-missing"},
            ),
            (
                {"benefit": {"kind": "rate_discount", "rate_delta_bp": 50}},
                {"/terms/benefit/rate_delta_bp": "number-out-of-range"},
            ),
            (
                {"benefit": {"kind": "credit_line_uplift", "uplift_percent": 20}},
                {"/terms/benefit/uplift_percent": "type-wrong"},
            ),
            (
                {"benefit": {"kind": "credit_line_uplift", "uplift_percent": "0.0"}},
                {"/terms/benefit/uplift_percent": "number-out-of-range"},
            ),
            ({"benefit": {**FACTOR, "factor": "0.89"}}, {"/terms/benefit/factor": "value-invalid"}),
            ({"benefit": {**FACTOR, "factor": "1e0"}}, {"/terms/benefit/factor": "value-invalid"}),
            ({"benefit": {**FACTOR, "factor": 0.95}}, {"/terms/benefit/factor": "type-wrong"}),
            (
                {"benefit": {**FACTOR, "band_max": "0.5"}},
                {"/terms/benefit/band_max": "value-invalid"},
            ),
        ],
    )
    def test_that_say_something_else_are_refused_with_the_place(
        self, shop: Shop, bank_id: UUID, changes: dict[str, Any], faults: dict[str, str]
    ) -> None:
        made = shop.draft(bank_id, terms=terms(**changes))

        assert (made.status_code, faults_of(made)) == (422, faults)

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            (
                {"benefit": {"kind": "rate_discount", "rate_delta_bp": -5, "factor": "1"}},
                "/terms/benefit/factor",
            ),
            ({"version": 7}, "/terms/version"),
            ({"terms_hash": "0" * 64}, "/terms/terms_hash"),
            ({"reversal": {"window_days": 3, "fee": 1}}, "/terms/reversal/fee"),
        ],
    )
    def test_with_members_that_nobody_knows_are_refused(
        self, shop: Shop, bank_id: UUID, changes: dict[str, Any], pointer: str
    ) -> None:
        made = shop.draft(bank_id, terms=terms(**changes))

        assert code_of(made) == (400, "unknown-field")
        assert faults_of(made) == {pointer: "unknown-field"}

    def test_are_refused_in_chinese_to_who_reads_it(self, shop: Shop, bank_id: UUID) -> None:
        headers = {**shop.as_partner(bank_id), "Accept-Language": "zh-CN"}
        body = {"name": "coupon", "terms": terms(benefit={**FACTOR, "factor": "2"})}

        made = shop.client.post("/v1/offers", json=body, headers=headers)

        assert made.get_json()["errors"][0]["detail"] == "系数须在备案区间之内。"


class TestAnotherVersion:
    def test_leaves_the_one_before(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        added = shop.add_version(bank_id, offer_id, points=400)

        first = shop.client.get(
            f"/v1/offers/{offer_id}/versions/1", headers=shop.as_partner(bank_id)
        )
        assert (added.status_code, added.get_json()["version"]) == (201, 2)
        assert added.get_json()["terms_hash"] != first.get_json()["terms_hash"]
        assert first.get_json()["terms"]["points"] == 300

    def test_counts_by_the_same_periods(self, shop: Shop, bank_id: UUID) -> None:
        monthly = {"per_citizen": {"period": "month", "most": 2}}
        offer_id = shop.drafted(bank_id, terms=terms(caps=monthly))

        more = shop.add_version(
            bank_id, offer_id, caps={"per_citizen": {"period": "month", "most": 3}}
        )
        other = shop.add_version(
            bank_id, offer_id, caps={"per_citizen": {"period": "year", "most": 2}}
        )

        assert more.status_code == 201
        assert faults_of(other) == {"/terms/caps/per_citizen/period": "value-not-allowed"}

    def test_is_only_for_its_partner(self, shop: Shop, market: Market, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)

        assert code_of(shop.add_version(market.bank(), offer_id)) == (404, "offer-unknown")
        assert code_of(shop.add_version(bank_id, "ofr_x")) == (404, "id-unknown")

    def test_is_not_added_to_what_is_retired(self, shop: Shop, bank_id: UUID) -> None:
        offer_id = shop.drafted(bank_id)
        shop.change(bank_id, offer_id, "retirement", "draft")

        assert code_of(shop.add_version(bank_id, offer_id)) == (409, "state-conflict")


def _name_of(market: Market, partner_id: UUID) -> str:
    with market.runtime.database.raw_transaction() as connection:
        row = connection.execute("SELECT name FROM partner WHERE id = %s", [partner_id]).fetchone()
    assert row is not None
    return str(row[0])
