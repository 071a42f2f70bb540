"""Who may do what to a redemption: strangers, partners after a revocation, the frozen, the gone."""

import json
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from service.app import create_app
from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze
from service.identity.erasure import begin_erasure, complete_erasure
from service.ids import CONSENT, public_id
from service.leaving import consequences
from service.ledger.audit import run_audit
from service.rewards.redemptions.invariants import CHECKS
from service.rewards.redemptions.timers import run_due
from service.runtime import Runtime
from service.web.context import access_tokens
from tests.rewards.market import Customer, Market, Offered
from tests.rewards.redemptions.staff import post


@pytest.fixture
def offered(market: Market) -> Offered:
    return market.offer()


@pytest.fixture
def customer(market: Market, offered: Offered) -> Customer:
    return market.customer(offered.partner_id, 250)


def revoke(market: Market, customer: Customer) -> None:
    path = f"/v1/consents/{public_id(CONSENT, customer.consent_id)}/revocations"
    assert post(market, path, {}, market.as_citizen(customer)).status_code == 201


def read(market: Market, redemption_id: str, headers: dict[str, str]) -> TestResponse:
    return market.client.get(f"/v1/redemptions/{redemption_id}", headers=headers)


def code(answer: TestResponse) -> tuple[int, str | None]:
    return answer.status_code, answer.get_json().get("code")


UNKNOWN = (404, "redemption-unknown")

STEPS: dict[str, dict[str, Any]] = {
    "captures": {"partner_reference": "loan-1", "terms_hash": "0" * 64},
    "declines": {"reason": "other"},
    "voids": {},
    "reversals": {"reason": "other"},
    "disputes": {"reason": "other"},
}


class TestAnotherPartner:
    @pytest.mark.parametrize("step", STEPS)
    def test_finds_nothing(
        self, market: Market, offered: Offered, customer: Customer, step: str
    ) -> None:
        redemption_id = market.captured(customer, offered)

        assert code(market.step(market.offer(), redemption_id, step, STEPS[step])) == UNKNOWN

    def test_reads_and_lists_nothing(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id = market.captured(customer, offered)
        headers = market.as_partner(market.bank())

        listed = market.client.get("/v1/redemptions", headers=headers)

        assert code(read(market, redemption_id, headers)) == UNKNOWN
        assert listed.get_json()["items"] == []


class TestThePartner:
    @pytest.mark.parametrize("step", STEPS)
    def test_finds_nothing_before_it_was_submitted(
        self, market: Market, offered: Offered, customer: Customer, step: str
    ) -> None:
        redemption_id = market.reserved(customer, offered)

        assert code(market.step(offered, redemption_id, step, STEPS[step])) == UNKNOWN
        headers = market.as_partner(offered.partner_id)
        assert code(read(market, redemption_id, headers)) == UNKNOWN

    @pytest.mark.parametrize(
        ("step", "scope"),
        [
            ("captures", "redemptions:capture"),
            ("declines", "redemptions:capture"),
            ("voids", "redemptions:void"),
            ("reversals", "redemptions:reverse"),
            ("disputes", "redemptions:reverse"),
        ],
    )
    def test_needs_the_scope(
        self, market: Market, offered: Offered, customer: Customer, step: str, scope: str
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        others = {"redemptions:read", "redemptions:capture", "redemptions:void"} - {scope}
        with market.app.app_context():
            token = access_tokens().issue(
                "partner", offered.partner_id, roles=["bank"], scopes=others
            )
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}

        path = f"/v1/redemptions/{redemption_id}/{step}"
        refused = post(market, path, STEPS[step], headers)

        assert refused.status_code == 403


class TestAnotherCitizen:
    @pytest.mark.parametrize("step", ["submissions", "voids", "disputes"])
    def test_finds_nothing(
        self, market: Market, offered: Offered, customer: Customer, step: str
    ) -> None:
        redemption_id = market.reserved(customer, offered)
        stranger = market.as_citizen(market.customer(offered.partner_id))
        said = {"reason": "other", "words": "Mine!"} if step == "disputes" else {}

        answer = post(market, f"/v1/redemptions/{redemption_id}/{step}", said, stranger)

        assert code(answer) == UNKNOWN
        assert code(read(market, redemption_id, stranger)) == UNKNOWN

    def test_cannot_accept_her_quote(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        quote_id = market.quote(customer, offered).get_json()["id"]

        refused = market.reserve(market.customer(offered.partner_id), quote_id)

        assert code(refused) == (404, "quote-unknown")


class TestARevokedConsent:
    def test_stops_a_quote(self, market: Market, offered: Offered, customer: Customer) -> None:
        revoke(market, customer)

        assert code(market.quote(customer, offered)) == (403, "consent-revoked")

    def test_stops_a_reservation(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        quote_id = market.quote(customer, offered).get_json()["id"]
        revoke(market, customer)

        assert code(market.reserve(customer, quote_id)) == (403, "consent-revoked")
        assert market.points(customer.id) == {"available": 250}

    def test_stops_a_submission(self, market: Market, offered: Offered, customer: Customer) -> None:
        redemption_id = market.reserved(customer, offered)
        revoke(market, customer)

        assert code(market.submit(customer, redemption_id)) == (403, "consent-revoked")
        assert market.state(redemption_id) == "reserved"

    def test_stops_the_partners_reading(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        headers = market.as_partner(offered.partner_id)
        before = read(market, redemption_id, headers)
        revoke(market, customer)

        assert before.status_code == 200
        assert code(read(market, redemption_id, headers)) == (403, "consent-revoked")

    @pytest.mark.parametrize("step", ["declines", "voids"])
    def test_lets_the_partner_end_what_was_submitted(
        self, market: Market, offered: Offered, customer: Customer, step: str
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        revoke(market, customer)

        assert market.step(offered, redemption_id, step, STEPS[step]).status_code == 201

    def test_lets_the_partner_capture_and_reverse(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        revoke(market, customer)

        captured = market.capture(offered, redemption_id)
        reversed_ = market.step(offered, redemption_id, "reversals", {"reason": "other"})

        assert (captured.status_code, reversed_.status_code) == (201, 201)

    def test_lets_her_take_back_what_is_reserved(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id = market.reserved(customer, offered)
        revoke(market, customer)

        path = f"/v1/redemptions/{redemption_id}/voids"
        assert post(market, path, {}, market.as_citizen(customer)).status_code == 201


class TestAFrozenAccount:
    def freeze(self, market: Market, customer: Customer) -> None:
        with market.runtime.database.transaction() as session:
            freeze(session, customer.id, COMMAND_LINE, "A look at its activities.")

    def test_spends_nothing(self, market: Market, offered: Offered, customer: Customer) -> None:
        quote_id = market.quote(customer, offered).get_json()["id"]
        reserved = market.reserved(market.customer(offered.partner_id), offered)
        self.freeze(market, customer)

        assert code(market.reserve(customer, quote_id)) == (403, "account-frozen")
        assert market.points(customer.id) == {"available": 250}
        assert market.state(reserved) == "reserved"

    def test_submits_nothing(self, market: Market, offered: Offered, customer: Customer) -> None:
        redemption_id = market.reserved(customer, offered)
        self.freeze(market, customer)

        assert code(market.submit(customer, redemption_id)) == (403, "account-frozen")

    def test_has_what_was_submitted_finished(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        self.freeze(market, customer)

        assert market.capture(offered, redemption_id).status_code == 201


class TestWhoeverHasLeft:
    @pytest.fixture
    def quiet(self, fresh_runtime: Runtime) -> Market:
        return Market(fresh_runtime, create_app(fresh_runtime))

    def leave(self, market: Market, customer: Customer) -> None:
        runtime = market.runtime
        with runtime.database.transaction() as session:
            follow = consequences(lambda: runtime.settings)
            begin_erasure(session, customer.id, "command_line", follow)
        with runtime.eraser.raw_transaction() as connection:
            complete_erasure(connection, customer.id)

    def test_has_what_was_submitted_finished_and_reversed(self, quiet: Market) -> None:
        offered = quiet.offer()
        customer = quiet.customer(offered.partner_id, 250)
        redemption_id = quiet.submitted(customer, offered)
        self.leave(quiet, customer)

        captured = quiet.capture(offered, redemption_id)
        reversed_ = quiet.step(offered, redemption_id, "reversals", {"reason": "other"})

        assert (captured.status_code, reversed_.status_code) == (201, 201)
        assert [each.name for each in run_audit(quiet.runtime.database, CHECKS) if each.first] == []

    def test_takes_her_words_with_her(self, quiet: Market) -> None:
        offered = quiet.offer()
        customer = quiet.customer(offered.partner_id, 250)
        redemption_id = quiet.captured(customer, offered)
        with quiet.runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO dispute_words (citizen_id, record_id, words)"
                " SELECT %s, id, 'My words.' FROM redemption_record LIMIT 1",
                [customer.id],
            )
        self.leave(quiet, customer)

        with quiet.runtime.database.raw_transaction() as connection:
            left = connection.execute("SELECT count(*) FROM dispute_words").fetchall()
        assert left == [(0,)]
        assert quiet.state(redemption_id) == "captured"

    def test_gives_back_what_was_only_reserved_in_time(self, quiet: Market) -> None:
        offered = quiet.offer(quota=1, timers={"reserve_s": 1})
        customer = quiet.customer(offered.partner_id, 250)
        redemption_id = quiet.reserved(customer, offered)
        self.leave(quiet, customer)

        while quiet.state(redemption_id) == "reserved":
            run_due(quiet.runtime)

        assert quiet.state(redemption_id) == "expired"
        assert quiet.taken(offered) == (0, 0)


HOSTILE: list[Any] = [
    None,
    [],
    "x",
    {"partner_reference": "=1+1", "terms_hash": "0" * 64},
    {"partner_reference": "a\u0000", "terms_hash": "0" * 64},
    {"partner_reference": "x" * 65, "terms_hash": "0" * 64},
    {"partner_reference": "a", "terms_hash": "0" * 64, "points": -1},
    {"partner_reference": "a", "terms_hash": "0" * 64, "points": 1.5},
    {"partner_reference": "a", "terms_hash": "0" * 64, "points": "1"},
    {"partner_reference": "a", "terms_hash": "0" * 64, "points": True},
    {"partner_reference": "a", "terms_hash": "0" * 64, "points": 2**63},
    {"partner_reference": "a", "terms_hash": "0" * 64, "more": 1},
    {"partner_reference": "a", "terms_hash": "0" * 64, "effective_from": "tomorrow"},
    {"partner_reference": "a", "terms_hash": "0" * 64, "effective_from": "2026-01-01T00:00:00"},
    {
        "partner_reference": "a",
        "terms_hash": "0" * 64,
        "effective_from": "2027-01-01T00:00:00Z",
        "effective_to": "2026-01-01T00:00:00Z",
    },
    {"partner_reference": "a", "terms_hash": "0" * 64, "benefit_actual": {"kind": []}},
    {"partner_reference": "a", "terms_hash": "0" * 64, "benefit_actual": {"factor": "NaN"}},
    {"reason": "other", "share": "0"},
    {"reason": "other", "share": "1e-3"},
    {"reason": "other", "share": "NaN"},
    {"reason": "other", "share": "0.5", "points": 3},
    {"reason": "because"},
    {"reason": "other", "words": "x" * 2001},
    {"reason": "other", "note": "\ud800"},
]


class TestAHostileBody:
    @pytest.mark.parametrize("step", STEPS)
    def test_is_refused_and_moves_nothing(
        self, market: Market, offered: Offered, customer: Customer, step: str
    ) -> None:
        redemption_id = market.submitted(customer, offered)
        before = market.records(redemption_id)
        path = f"/v1/redemptions/{redemption_id}/{step}"

        statuses = {
            market.client.post(
                path,
                data=json.dumps(body),
                content_type="application/json",
                headers=market.as_partner(offered.partner_id),
            ).status_code
            for body in HOSTILE
        }

        assert statuses <= {400, 409, 415, 422}
        assert market.records(redemption_id) == before

    @pytest.mark.parametrize("wanted", ["rdm_1", "qte_" + "0" * 32, "rdm_" + "g" * 32, "%00", "'"])
    def test_of_an_id_finds_nothing(self, market: Market, offered: Offered, wanted: str) -> None:
        headers = market.as_partner(offered.partner_id)

        assert read(market, wanted, headers).status_code == 404


class TestARepeatedStep:
    def test_stays_refused_though_it_could_be_done_now(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id, key = market.submitted(customer, offered), uuid4().hex
        body = {"reason": "cooling-off"}

        first = market.step(offered, redemption_id, "reversals", body, key)
        market.capture(offered, redemption_id)
        again = market.step(offered, redemption_id, "reversals", body, key)

        assert code(first) == code(again) == (409, "state-conflict")
        assert again.headers["Idempotent-Replayed"] == "true"
        assert market.state(redemption_id) == "captured"

    def test_with_another_body_is_told_so(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id, key = market.submitted(customer, offered), uuid4().hex

        market.capture(offered, redemption_id, key, points=10, partner_reference="a")
        other = market.capture(offered, redemption_id, key, points=11, partner_reference="a")

        assert code(other) == (422, "idempotency-key-reused")

    def test_may_use_a_key_that_another_step_had(
        self, market: Market, offered: Offered, customer: Customer
    ) -> None:
        redemption_id, key = market.submitted(customer, offered), uuid4().hex

        captured = market.capture(offered, redemption_id, key)
        reversed_ = market.step(offered, redemption_id, "reversals", {"reason": "other"}, key)

        assert (captured.status_code, reversed_.status_code) == (201, 201)
