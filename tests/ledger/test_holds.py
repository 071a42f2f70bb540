"""Reserving points, and letting them go again."""

from datetime import timedelta
from uuid import uuid4

import pytest

from service import clock
from service.ledger.errors import HoldUnknown
from service.runtime import Runtime
from tests.ledger.wallets import Wallet, days_from_now, kinds_of, lines_of, refusal_of

SOON, LATER, LATEST = days_from_now(10), days_from_now(100), days_from_now(1000)
A_DAY = timedelta(days=1)


class TestHolding:
    def test_takes_what_expires_soonest_first(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (30, 95, LATEST), (10, 37, SOON), (20, 41, LATER))

        held = wallet.hold(35)

        assert lines_of(held) == [(SOON, 10, 37), (LATER, 20, 41), (LATEST, 5, 15)]
        assert wallet.at("held") == lines_of(held)
        assert wallet.at("available") == [(LATEST, 25, 80)]

    def test_writes_a_numbered_line_for_each_lot(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))

        held = wallet.hold(11)

        assert wallet.read(
            "SELECT hold_id, hold_line, line, expires_on, points FROM transfer"
            " WHERE citizen_id = %s AND kind = 'hold' ORDER BY line",
            wallet.citizen_id,
        ) == [(held.id, 0, 0, SOON, 10), (held.id, 1, 1, LATER, 1)]

    def test_takes_grams_in_proportion_rounded_down(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (7, 100, SOON))

        assert lines_of(wallet.hold(3)) == [(SOON, 3, 42)]  # 100·3/7 = 42.86
        assert lines_of(wallet.hold(1)) == [(SOON, 1, 14)]  # 58·1/4 = 14.5
        assert lines_of(wallet.hold(3)) == [(SOON, 3, 44)]  # the last ones take the rest

    def test_takes_points_without_grams_too(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (7, 2, SOON))

        assert lines_of(wallet.hold(3)) == [(SOON, 3, 0)]
        assert lines_of(wallet.hold(4)) == [(SOON, 4, 2)]

    def test_passes_over_grams_without_points(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (0, 500, SOON), (5, 11, LATER))

        assert lines_of(wallet.hold(5)) == [(LATER, 5, 11)]
        assert wallet.at("available") == [(SOON, 0, 500)]

    def test_of_all_but_one_point_leaves_one(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))

        wallet.hold(4)

        assert wallet.at("available") == [(SOON, 1, 3)]

    @pytest.mark.parametrize("is_pipelined", [False, True])
    def test_spans_more_lots_than_a_citizen_has_quarters(
        self, runtime: Runtime, *, is_pipelined: bool
    ) -> None:
        grants = [(2, 7, days_from_now(90 * quarter)) for quarter in range(1, 21)]
        wallet = Wallet(runtime, is_pipelined=is_pipelined)
        for grant in grants:
            wallet.issue(*grant)

        held = wallet.hold(40)

        assert lines_of(held) == [(day, 2, 7) for _, _, day in grants]
        assert len(lines_of(wallet.release(held.id))) == 20

    def test_a_lot_on_its_last_day_is_possible(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, days_from_now(0)))

        assert refusal_of(wallet.hold(5)) is None

    def test_a_lapsed_lot_is_refused_though_nobody_has_booked_it(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, days_from_now(-1)), (3, 7, SOON))

        refused = wallet.hold(4)

        assert refusal_of(refused) == "insufficient-points"
        assert wallet.at("held") == []

    def test_more_than_there_is_is_refused_and_moves_nothing(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))

        refused = wallet.hold(6)

        assert refused.refusal is not None
        assert refused.refusal.members == {"asked": 6, "available": 5, "points_short": 1}
        assert wallet.at("available") == [(SOON, 5, 11)]

    def test_what_is_held_already_is_refused(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        wallet.hold(3)

        assert refusal_of(wallet.hold(3)) == "insufficient-points"

    def test_by_one_citizen_leaves_another_alone(self, runtime: Runtime) -> None:
        wallet, other = (Wallet.with_lots(runtime, (5, 11, SOON)) for _ in range(2))

        wallet.hold(5, posting_id=(chosen := uuid4()))

        assert lines_of(other.hold(2, posting_id=chosen)) == [(SOON, 2, 4)]


class TestReleasing:
    def test_returns_all_to_the_lots_it_came_from(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)

        released = wallet.release(held.id)

        assert lines_of(released) == [(LATER, 5, 10), (SOON, 10, 37)]
        assert wallet.at("available") == [(SOON, 10, 37), (LATER, 20, 41)]

    def test_a_part_goes_backwards(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)  # 10 of 37 g, 5 of 10 g

        assert lines_of(wallet.release(held.id, 2)) == [(LATER, 2, 4)]
        assert lines_of(wallet.release(held.id, 6)) == [(LATER, 3, 6), (SOON, 3, 11)]
        assert lines_of(wallet.release(held.id, 7)) == [(SOON, 7, 26)]

    def test_after_a_part_was_captured_returns_the_rest(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)
        wallet.capture(held.id, 12)

        assert lines_of(wallet.release(held.id)) == [(LATER, 3, 6)]

    def test_makes_the_points_free_for_another_hold(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        wallet.release(wallet.hold(5).id)

        assert lines_of(wallet.hold(5)) == [(SOON, 5, 11)]

    @pytest.mark.parametrize("points", [6, None])
    def test_more_than_is_still_held_is_refused(self, points: int | None, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        held = wallet.hold(5)
        wallet.capture(held.id, 5 if points is None else 1)

        assert refusal_of(wallet.release(held.id, points)) == "hold-exceeded"

    def test_an_unknown_hold_leaves_no_trace(self, runtime: Runtime) -> None:
        stranger = Wallet(runtime)

        with pytest.raises(HoldUnknown):
            stranger.release(uuid4())

        assert stranger.traces() == (0, 0, 0)

    def test_somebody_elses_hold_is_unknown(self, runtime: Runtime) -> None:
        held = Wallet.with_lots(runtime, (5, 11, SOON)).hold(5)

        with pytest.raises(HoldUnknown):
            Wallet.with_lots(runtime, (5, 11, SOON)).release(held.id)

    def test_a_refused_hold_is_unknown(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        refused = wallet.hold(6)

        with pytest.raises(HoldUnknown):
            wallet.release(refused.id)

    def test_what_is_no_hold_is_unknown(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        capture_id = wallet.captured(2)

        with pytest.raises(HoldUnknown):
            wallet.release(capture_id)


class TestALotThatLapsesUnderAHold:
    def test_is_still_captured(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        held = wallet.hold(5)

        with clock.shifted(11 * A_DAY):
            wallet.expire()
            captured = wallet.capture(held.id, 5)

        assert lines_of(captured) == [(SOON, 5, 11)]
        assert wallet.at("redeemed") == [(SOON, 5, 11)]

    def test_is_expired_when_released(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))
        held = wallet.hold(3)

        with clock.shifted(11 * A_DAY):
            wallet.expire()
            wallet.release(held.id)
            refused = wallet.hold(1)
            wallet.expire()

        assert refusal_of(refused) == "insufficient-points"
        assert wallet.lots()[SOON] == {"issued": (5, 11), "expired": (5, 11)}

    def test_moves_to_a_grace_lot_when_released_with_one(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON), (4, 9, LATER))
        held = wallet.hold(7)
        grace = SOON + timedelta(days=30)

        with clock.shifted(11 * A_DAY):
            released = wallet.release(held.id, carry_to=grace)
            again = wallet.hold(5)

        assert kinds_of(released) == ["release", "release", "carry_out", "carry_in"]
        assert lines_of(released) == [(LATER, 2, 4), (SOON, 5, 11), (SOON, 5, 11), (grace, 5, 11)]
        assert (released.points, released.reduction_g) == (7, 15)
        assert lines_of(again) == [(grace, 5, 11)]

    def test_needs_no_grace_lot_before_it_lapses(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 11, SOON))

        released = wallet.release(wallet.hold(5).id, carry_to=LATER)

        assert lines_of(released) == [(SOON, 5, 11)]
        assert wallet.at("available") == [(SOON, 5, 11)]
