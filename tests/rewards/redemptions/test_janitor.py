"""Asking partners what became of what they never answered."""

import time
from datetime import timedelta
from typing import Any

import pytest

from service import clock
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions import janitor
from service.rewards.redemptions.janitor import ask_partners
from service.rewards.redemptions.timers import run_due
from tests.rewards.market import Customer, Market, Offered
from tests.rewards.redemptions.desk import Desk, asked_later, inquiries, open_desk, saying

OVERDUE = {"days": 31}
"""Past ten working days, whatever holidays are between."""


@pytest.fixture
def offered(market: Market, desk: Desk) -> Offered:
    """An offer of a bank that can be asked."""
    offered = market.offer(quota=10, budget_minor=100_000)
    desk.serve(market, offered.partner_id)
    return offered


@pytest.fixture
def customer(market: Market, offered: Offered) -> Customer:
    return market.customer(offered.partner_id, 250)


@pytest.fixture
def submitted(market: Market, customer: Customer, offered: Offered) -> str:
    return market.submitted(customer, offered)


def confirmed(offered: Offered, **more: Any) -> dict[str, Any]:
    said = {"partner_reference": "loan-" + offered.id.hex, "terms_hash": offered.terms.terms_hash}
    return {**said, **more}


class TestWhatWasSubmittedAndNeverAnswered:
    def test_is_not_asked_about_before_its_deadline(
        self, market: Market, submitted: str, desk: Desk
    ) -> None:
        with asked_later(market, days=5):
            assert submitted not in desk.asked

    def test_expires_when_the_partner_knows_nothing_of_it(
        self, market: Market, customer: Customer, submitted: str, offered: Offered
    ) -> None:
        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "expired"
            assert market.points(customer.id) == {"available": 150, "held": 100}
            assert market.taken(offered) == (1, 3000)
        assert [answer for answer, _ in inquiries(market, submitted)] == ["none"]

    def test_gives_everything_back_after_its_grace(
        self, market: Market, customer: Customer, submitted: str, offered: Offered
    ) -> None:
        with asked_later(market, **OVERDUE), clock.shifted(timedelta(hours=73)):
            run_due(market.runtime)

        assert market.records(submitted)[-2:] == ["expiry", "closure"]
        assert market.points(customer.id) == {"available": 250}
        assert market.taken(offered) == (0, 0)

    def test_is_captured_when_the_partner_says_so(
        self, market: Market, customer: Customer, submitted: str, offered: Offered, desk: Desk
    ) -> None:
        desk.says("captured", **confirmed(offered))

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "captured"
            assert market.points(customer.id) == {"available": 150, "redeemed": 100}

    @pytest.mark.parametrize(("said", "state"), [("declined", "declined"), ("voided", "voided")])
    def test_ends_when_the_partner_says_so(
        self,
        market: Market,
        customer: Customer,
        submitted: str,
        offered: Offered,
        desk: Desk,
        said: str,
        state: str,
    ) -> None:
        desk.says(said, reason="not-approved")

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == state
            assert market.points(customer.id) == {"available": 250}
            assert market.taken(offered) == (0, 0)

    def test_in_free_words_is_kept_as_a_code(
        self, market: Market, desk: Desk, submitted: str
    ) -> None:
        desk.says("declined", reason="Ms Wang owes us money.")

        with asked_later(market, **OVERDUE):
            [(answer, kept)] = inquiries(market, submitted)

        assert (answer, kept["reason"]) == ("declined", "other")

    def test_is_unknown_when_the_partner_is_not_sure(
        self, market: Market, customer: Customer, submitted: str, desk: Desk
    ) -> None:
        desk.says("pending")

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"
            assert market.points(customer.id) == {"available": 150, "held": 100}
            assert market.records(submitted)[-1] == "unknown"

    def test_is_unknown_when_the_partner_cannot_be_asked(self, market: Market) -> None:
        offered = market.offer()
        submitted = market.submitted(market.customer(offered.partner_id), offered)

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"
        assert inquiries(market, submitted) == [("no_answer", {"reason": "no-status-url"})]

    def test_is_unknown_while_the_partner_is_suspended(
        self, market: Market, desk: Desk, offered: Offered, submitted: str
    ) -> None:
        desk.says("captured", **confirmed(offered))
        with market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE partner SET state = 'suspended' WHERE id = %s", [offered.partner_id]
            )

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"
        assert inquiries(market, submitted) == [("no_answer", {"reason": "partner-suspended"})]
        assert submitted not in desk.asked


class TestAnAnswerThatCannotBeSo:
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"terms_hash": "0" * 64}, "terms-mismatch"),
            ({"points": 101}, "capture-exceeds-hold"),
            ({"points": 0}, "capture-exceeds-hold"),
            ({"benefit_actual": {"rate_delta_bp": -99}}, "benefit-differs"),
            ({"partner_reference": None}, "not-complete"),
            ({"redemption_id": "rdm_" + "0" * 32}, "another-redemption"),
            ({"state": "fine"}, "answer-malformed"),
            ({"points": "many"}, "answer-malformed"),
            ({"partner_reference": "a\0b"}, "text-invalid"),
        ],
    )
    def test_moves_nothing(
        self,
        market: Market,
        customer: Customer,
        submitted: str,
        offered: Offered,
        desk: Desk,
        changes: dict[str, Any],
        why: str,
    ) -> None:
        desk.says("captured", **{**confirmed(offered), **changes})

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"
        ((answer, body),) = inquiries(market, submitted)
        assert (answer, body["contradiction"]) == ("contradictory", why)
        assert market.points(customer.id) == {"available": 150, "held": 100}

    def test_moves_nothing_though_its_reference_is_another_redemptions(
        self, market: Market, customer: Customer, submitted: str, offered: Offered, desk: Desk
    ) -> None:
        said = confirmed(offered)
        market.captured(customer, offered, partner_reference=said["partner_reference"])
        desk.says("captured", **said)

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"
        ((answer, body),) = inquiries(market, submitted)
        assert (answer, body["contradiction"]) == ("contradictory", "partner-reference-reused")

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, b"{}"),
            (404, b"{}"),
            (302, b""),
            (200, b"x" * 70_000),
            (200, b"[" * 60_000),
            (200, b"null"),
            (200, b"[]"),
            (200, b"\xff"),
            (200, b""),
        ],
    )
    def test_may_be_anything_at_all(
        self, market: Market, submitted: str, desk: Desk, status: int, body: bytes
    ) -> None:
        desk.answer = lambda _: (status, body)

        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"


class TestAnUnknownOne:
    @pytest.fixture
    def unknown(self, market: Market, submitted: str, desk: Desk) -> str:
        desk.says("pending")
        with asked_later(market, **OVERDUE):
            assert market.state(submitted) == "unknown"
        return submitted

    def test_is_asked_about_again_after_a_minute_two_four(
        self, market: Market, unknown: str, desk: Desk
    ) -> None:
        before = desk.asked.count(unknown)
        asked = []
        with clock.shifted(timedelta(**OVERDUE)):
            for minute in range(1, 9):
                with asked_later(market, minutes=minute, seconds=5):
                    asked.append(desk.asked.count(unknown) - before)

        assert asked == [1, 1, 2, 2, 2, 2, 3, 3]

    def test_is_never_given_back_by_time_and_silence(
        self, market: Market, customer: Customer, unknown: str, desk: Desk
    ) -> None:
        desk.answer = lambda _: (503, b"")
        for days in (40, 60, 100, 1000):
            with asked_later(market, days=days):
                run_due(market.runtime)

        assert market.state(unknown) == "unknown"
        assert market.points(customer.id)["held"] == 100

    def test_needs_people_after_some_working_days(self, market: Market, unknown: str) -> None:
        def needs_human() -> bool:
            uuid = uuid_of(REDEMPTION, unknown)
            query = "SELECT needs_human FROM redemption WHERE id = %s"
            with market.runtime.database.raw_transaction() as connection:
                return bool(connection.execute(query, [uuid]).fetchall()[0][0])

        with asked_later(market, days=33):
            early = needs_human()
        with asked_later(market, days=52):
            late = needs_human()

        assert (early, late) == (False, True)

    @pytest.mark.parametrize(
        ("said", "state", "left"),
        [
            ("none", "voided", {"available": 250}),
            ("voided", "voided", {"available": 250}),
            ("declined", "declined", {"available": 250}),
            ("captured", "captured", {"available": 150, "redeemed": 100}),
        ],
    )
    def test_ends_when_the_partner_answers_at_last(
        self,
        market: Market,
        customer: Customer,
        unknown: str,
        offered: Offered,
        desk: Desk,
        said: str,
        state: str,
        left: dict[str, int],
    ) -> None:
        desk.says(said, **(confirmed(offered) if said == "captured" else {}))

        with asked_later(market, days=33):
            assert market.state(unknown) == state
        assert market.points(customer.id) == left

    def test_may_still_be_captured_by_its_partner(
        self, market: Market, unknown: str, offered: Offered
    ) -> None:
        with clock.shifted(timedelta(days=40)):
            captured = market.capture(offered, unknown)

        assert captured.status_code == 201


class TestManyPartners:
    def test_are_not_slowed_by_one_that_hangs(
        self, market: Market, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(janitor, "PATIENCE_S", 1.0)
        with open_desk() as hanging:
            hanging.answer = _hang
            for place in (hanging, desk):
                offered = market.offer()
                place.serve(market, offered.partner_id)
                for _ in range(4):
                    last = market.submitted(market.customer(offered.partner_id), offered)
            began_at = time.monotonic()
            with asked_later(market, **OVERDUE):
                took_s = time.monotonic() - began_at

        assert market.state(last) == "expired"
        assert len(hanging.asked) == janitor.SILENT_IN_ROW
        assert took_s < 6

    def test_that_capture_while_they_are_asked_win(
        self, market: Market, desk: Desk, offered: Offered, submitted: str
    ) -> None:
        def captures_first(redemption_id: str) -> tuple[int, bytes]:
            market.capture(offered, redemption_id)
            return saying("none", redemption_id)

        desk.answer = captures_first
        with clock.shifted(timedelta(**OVERDUE)):
            ask_partners(market.runtime)

        assert market.state(submitted) == "captured"
        assert inquiries(market, submitted) == []


def _hang(redemption_id: str) -> tuple[int, bytes]:
    time.sleep(3)
    return saying("none", redemption_id)
