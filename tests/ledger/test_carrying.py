"""Points that move to another last day: an extension, or a grace lot."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from service import clock
from service.ledger.carrying import LIFE_LONGEST, extend_lots
from service.ledger.errors import CarryDateInvalid
from service.ledger.expiry import BookedRun
from service.runtime import Runtime
from tests.ledger.wallets import Wallet, days_from_now, kinds_of, lines_of, refusal_of
from tests.rivals import LOCK, a_rival, wait_until_one_waits

LAPSED, TODAY, SOON, LATER = (days_from_now(days) for days in (-1, 0, 10, 100))
TEN_DAYS = timedelta(days=10)


class TestExtendingOneLot:
    def test_moves_what_is_available_with_all_its_grams(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))

        extended = wallet.extend(SOON, LATER)

        assert kinds_of(extended) == ["carry_out", "carry_in"]
        assert lines_of(extended) == [(SOON, 10, 37), (LATER, 10, 37)]
        assert wallet.lots() == {
            SOON: {"issued": (10, 37), "carried_out": (10, 37)},
            LATER: {"issued": (20, 41), "carried_in": (10, 37), "available": (30, 78)},
        }

    def test_opens_the_new_lot_if_there_is_none(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))

        wallet.extend(SOON, LATER)

        assert wallet.lots()[LATER] == {"carried_in": (10, 37), "available": (10, 37)}

    def test_moves_grams_without_points(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (0, 37, SOON))

        assert lines_of(wallet.extend(SOON, LATER)) == [(SOON, 0, 37), (LATER, 0, 37)]

    def test_leaves_what_is_held_where_it_is(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held = wallet.hold(4)

        wallet.extend(SOON, LATER)

        assert wallet.at("held") == [(SOON, 4, 14)]
        assert lines_of(wallet.release(held.id)) == [(SOON, 4, 14)]

    def test_that_filled_again_moves_it_again(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        wallet.extend(SOON, LATER)
        wallet.issue(1, 5, SOON)

        assert lines_of(wallet.extend(SOON, LATER)) == [(SOON, 1, 5), (LATER, 1, 5)]

    @pytest.mark.parametrize("day", [SOON, LAPSED, days_from_now(11)])
    def test_that_is_spent_or_lapsed_or_was_never_there_is_refused(
        self, day: date, runtime: Runtime
    ) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (3, 7, LAPSED))
        wallet.retire(10)

        refused = wallet.extend(day, LATER)

        assert refusal_of(refused) == "nothing-to-carry"
        assert refused.points == 0

    @pytest.mark.parametrize(
        ("expires_on", "carry_to"),
        [
            (SOON, SOON),
            (LATER, SOON),
            (LAPSED, days_from_now(-1)),
            (SOON, TODAY + LIFE_LONGEST + timedelta(days=1)),
        ],
    )
    def test_to_a_day_that_is_not_later_or_too_far_leaves_no_trace(
        self, expires_on: date, carry_to: date, runtime: Runtime
    ) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        before = wallet.traces()

        with pytest.raises(CarryDateInvalid):
            wallet.extend(expires_on, carry_to)

        assert wallet.traces() == before


class TestExtendingEverybodysLots:
    def test_moves_every_lot_of_the_day(self, fresh_runtime: Runtime) -> None:
        wallets = [Wallet.with_lots(fresh_runtime, (10, 37, SOON)) for _ in range(15)]
        another = Wallet.with_lots(fresh_runtime, (5, 11, TODAY))

        run = extend_lots(fresh_runtime.database, SOON, LATER)

        assert run == BookedRun(15, 150, 555)
        assert {tuple(wallet.at("available")) for wallet in wallets} == {((LATER, 10, 37),)}
        assert another.at("available") == [(TODAY, 5, 11)]

    def test_a_second_time_moves_nothing(self, fresh_runtime: Runtime) -> None:
        Wallet.with_lots(fresh_runtime, (10, 37, SOON))
        extend_lots(fresh_runtime.database, SOON, LATER)

        assert extend_lots(fresh_runtime.database, SOON, LATER) == BookedRun()

    def test_moves_what_has_come_in_since(self, fresh_runtime: Runtime) -> None:
        wallet = Wallet.with_lots(fresh_runtime, (10, 37, SOON))
        extend_lots(fresh_runtime.database, SOON, LATER)
        wallet.issue(1, 5, SOON)

        assert extend_lots(fresh_runtime.database, SOON, LATER) == BookedRun(1, 1, 5)
        assert wallet.at("available") == [(LATER, 11, 42)]

    def test_that_have_lapsed_is_refused(self, fresh_runtime: Runtime) -> None:
        with pytest.raises(CarryDateInvalid):
            extend_lots(fresh_runtime.database, LAPSED, LATER)

    def test_that_lapse_while_it_waits_for_a_lock_are_not_revived(
        self, fresh_runtime: Runtime
    ) -> None:
        wallet = Wallet.with_lots(fresh_runtime, (10, 37, TODAY))

        with a_rival(fresh_runtime) as rival, ThreadPoolExecutor(1) as pool:
            rival.execute(LOCK, [wallet.citizen_id])
            run = pool.submit(extend_lots, fresh_runtime.database, TODAY, LATER)
            wait_until_one_waits(fresh_runtime)
            with clock.shifted(timedelta(days=1)):
                rival.commit()
                with pytest.raises(CarryDateInvalid):
                    run.result()

        assert wallet.at("available") == [(TODAY, 10, 37)]


class TestAGraceLot:
    def test_takes_what_is_restored_into_a_lapsed_lot(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        capture_id = wallet.captured(12)
        grace = SOON + 2 * TEN_DAYS

        with clock.shifted(2 * TEN_DAYS):
            restored = wallet.restore(capture_id, 5, carry_to=grace)

        assert kinds_of(restored) == ["restore", "restore", "carry_out", "carry_in"]
        assert lines_of(restored) == [(LATER, 2, 4), (SOON, 3, 11), (SOON, 3, 11), (grace, 3, 11)]
        assert wallet.lots()[grace] == {"carried_in": (3, 11), "available": (3, 11)}

    def test_may_be_a_lot_that_is_there(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))
        capture_id = wallet.captured(12)

        with clock.shifted(2 * TEN_DAYS):
            wallet.restore(capture_id, carry_to=LATER)

        assert wallet.at("available") == [(LATER, 30, 78)]

    def test_without_one_a_restored_lapsed_lot_is_expired(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        capture_id = wallet.captured(10)

        with clock.shifted(2 * TEN_DAYS):
            wallet.restore(capture_id)
            refused = wallet.hold(1)
            wallet.expire()

        assert refusal_of(refused) == "insufficient-points"
        assert wallet.at("expired") == [(SOON, 10, 37)]

    @pytest.mark.parametrize("carry_to", [LAPSED, TODAY + LIFE_LONGEST + timedelta(days=1)])
    def test_lives_from_today_to_ten_years_at_most(self, carry_to: date, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        held, capture_id = wallet.hold(3), wallet.captured(3)
        before = wallet.traces()

        with pytest.raises(CarryDateInvalid):
            wallet.release(held.id, carry_to=carry_to)
        with pytest.raises(CarryDateInvalid):
            wallet.restore(capture_id, carry_to=carry_to)

        assert wallet.traces() == before
