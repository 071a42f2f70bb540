"""What becomes of held points that a partner confirms: captured, given back, pooled."""

from uuid import uuid4

import pytest

from service.ledger.errors import CaptureUnknown, HoldUnknown
from service.runtime import Runtime
from tests.ledger.wallets import BANK, POOL, SHOP, Wallet, days_from_now, lines_of, refusal_of

SOON, LATER = days_from_now(10), days_from_now(100)


class TestCapturing:
    def test_all_moves_every_line(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))

        captured = wallet.capture(wallet.hold(15).id, 15)

        assert lines_of(captured) == [(SOON, 10, 37), (LATER, 5, 10)]
        assert wallet.at("redeemed") == lines_of(captured)
        assert wallet.at("held") == []

    def test_a_part_takes_grams_of_its_line_and_leaves_the_rest_held(
        self, runtime: Runtime
    ) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held = wallet.hold(10)

        assert lines_of(wallet.capture(held.id, 4)) == [(SOON, 4, 14)]  # 37·4/10 = 14.8
        assert wallet.at("held") == [(SOON, 6, 23)]

    def test_several_times_reckons_with_the_line_and_the_last_takes_the_rest(
        self, runtime: Runtime
    ) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held = wallet.hold(10)

        grams = [wallet.capture(held.id, points).reduction_g for points in (3, 3, 3, 1)]

        assert grams == [11, 11, 11, 4]
        assert wallet.at("redeemed") == [(SOON, 10, 37)]

    def test_goes_on_in_the_line_where_the_last_capture_ended(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)
        wallet.capture(held.id, 8)

        assert lines_of(wallet.capture(held.id, 4)) == [(SOON, 2, 8), (LATER, 2, 4)]

    def test_after_a_release_takes_what_is_left(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)
        wallet.release(held.id, 7)

        assert lines_of(wallet.capture(held.id, 8)) == [(SOON, 8, 30)]

    def test_names_the_partner_on_each_line(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)
        wallet.capture(held.id, 2, SHOP)
        wallet.capture(held.id, 13, BANK)

        assert wallet.read(
            "SELECT party, sum(points) FROM transfer WHERE citizen_id = %s AND kind = 'capture'"
            " GROUP BY party ORDER BY 2",
            wallet.citizen_id,
        ) == [(SHOP, 2), (BANK, 13)]

    def test_more_than_is_held_is_refused_and_leaves_the_hold(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        held = wallet.hold(15)

        refused = wallet.capture(held.id, 16)

        assert refused.refusal is not None
        assert refused.refusal.members == {"asked": 16, "held": 15}
        assert wallet.at("held") == lines_of(held)

    def test_does_not_take_from_another_hold(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        first, second = wallet.hold(4), wallet.hold(6)

        assert refusal_of(wallet.capture(first.id, 5)) == "hold-exceeded"
        assert lines_of(wallet.capture(second.id, 6)) == [(SOON, 6, 23)]

    def test_an_unknown_hold_leaves_no_trace(self, runtime: Runtime) -> None:
        stranger = Wallet(runtime)

        with pytest.raises(HoldUnknown):
            stranger.capture(uuid4(), 1)

        assert stranger.traces() == (0, 0, 0)


class TestRestoring:
    def test_all_returns_to_the_lots_it_came_from(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        capture_id = wallet.captured(15)

        restored = wallet.restore(capture_id)

        assert lines_of(restored) == [(LATER, 5, 10), (SOON, 10, 37)]
        assert wallet.at("available") == [(SOON, 10, 37), (LATER, 20, 41)]

    def test_a_part_goes_backwards(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        capture_id = wallet.captured(15)

        assert lines_of(wallet.restore(capture_id, 2)) == [(LATER, 2, 4)]
        assert lines_of(wallet.restore(capture_id, 7)) == [(LATER, 3, 6), (SOON, 4, 14)]
        assert lines_of(wallet.restore(capture_id)) == [(SOON, 6, 23)]

    def test_concerns_one_capture_of_the_hold(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held = wallet.hold(10)
        first, second = wallet.capture(held.id, 3), wallet.capture(held.id, 7)

        assert refusal_of(wallet.restore(first.id, 4)) == "capture-exceeded"
        assert lines_of(wallet.restore(first.id)) == [(SOON, 3, 11)]
        assert lines_of(wallet.restore(second.id)) == [(SOON, 7, 26)]
        assert wallet.at("available") == [(SOON, 10, 37)]

    def test_does_not_return_points_to_the_hold(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held = wallet.hold(10)
        wallet.restore(wallet.capture(held.id, 4).id)

        assert refusal_of(wallet.capture(held.id, 7)) == "hold-exceeded"
        assert lines_of(wallet.capture(held.id, 6)) == [(SOON, 6, 23)]

    @pytest.mark.parametrize("points", [3, None])
    def test_more_than_is_left_is_refused(self, points: int | None, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(5)
        wallet.restore(capture_id, 3 if points else 5)

        assert refusal_of(wallet.restore(capture_id, points)) == "capture-exceeded"

    def test_names_the_capture_and_its_partner(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(5, SHOP)

        wallet.restore(capture_id)

        assert wallet.read(
            "SELECT of_id, party FROM transfer WHERE citizen_id = %s AND kind = 'restore'",
            wallet.citizen_id,
        ) == [(capture_id, SHOP)]

    def test_an_unknown_capture_leaves_no_trace(self, runtime: Runtime) -> None:
        stranger = Wallet(runtime)

        with pytest.raises(CaptureUnknown):
            stranger.restore(uuid4())

        assert stranger.traces() == (0, 0, 0)

    def test_a_hold_is_no_capture(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held = wallet.hold(5)

        with pytest.raises(CaptureUnknown):
            wallet.restore(held.id)

    def test_a_refused_capture_is_unknown(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        refused = wallet.capture(wallet.hold(5).id, 6)

        with pytest.raises(CaptureUnknown):
            wallet.restore(refused.id)


class TestPooling:
    def test_hands_captured_grams_to_the_pool(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))

        pooled = wallet.pool(wallet.captured(15))

        assert lines_of(pooled) == [(SOON, 10, 37), (LATER, 5, 10)]
        assert wallet.at("pooled") == lines_of(pooled)
        assert wallet.at("redeemed") == []

    def test_a_part_reckons_with_the_line(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(10)

        assert lines_of(wallet.pool(capture_id, 4)) == [(SOON, 4, 14)]
        assert lines_of(wallet.pool(capture_id)) == [(SOON, 6, 23)]

    def test_leaves_no_more_to_restore(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(10)
        wallet.pool(capture_id, 4)

        assert refusal_of(wallet.restore(capture_id, 7)) == "capture-exceeded"
        assert lines_of(wallet.restore(capture_id)) == [(SOON, 6, 23)]
        assert refusal_of(wallet.pool(capture_id)) == "capture-exceeded"

    def test_leaves_the_owed_grams_where_they_are(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        false = wallet.issue(10, 20, LATER)
        capture_id = wallet.captured(20)
        wallet.invalidate(false)

        refused = wallet.pool(capture_id)
        pooled = wallet.pool(capture_id, 10)

        assert wallet.owed() == (10, 20)
        assert refused.refusal is not None
        assert refused.refusal.members == {"asked": 57, "available": 37}
        assert lines_of(pooled) == [(SOON, 10, 37)]

    def test_of_what_was_owed_waits_for_its_recovery(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false = wallet.issue(10, 20, LATER)
        capture_id = wallet.captured(10)
        wallet.invalidate(false)
        assert refusal_of(wallet.pool(capture_id)) == "grams-owed"

        wallet.issue(10, 20, LATER)

        assert lines_of(wallet.pool(capture_id)) == [(LATER, 10, 20)]

    def test_what_was_restored_is_refused(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(10)
        wallet.restore(capture_id)

        assert refusal_of(wallet.pool(capture_id, 1)) == "capture-exceeded"

    def test_names_the_pool(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(10)

        wallet.pool(capture_id)

        assert wallet.read(
            "SELECT of_id, party FROM transfer WHERE citizen_id = %s AND kind = 'pool'",
            wallet.citizen_id,
        ) == [(capture_id, POOL)]

    def test_an_unknown_capture_leaves_no_trace(self, runtime: Runtime) -> None:
        stranger = Wallet(runtime)

        with pytest.raises(CaptureUnknown):
            stranger.pool(uuid4())

        assert stranger.traces() == (0, 0, 0)
