"""A citizen's own points: retired for something of hers, or given to a pool."""

import pytest

from service.ledger.errors import AmountInvalid
from service.runtime import Runtime
from tests.ledger.wallets import SHOP, Wallet, days_from_now, lines_of, refusal_of

LAPSED, SOON, LATER = days_from_now(-1), days_from_now(10), days_from_now(100)


class TestRetiringPoints:
    def test_takes_what_expires_soonest_with_its_grams(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (20, 41, LATER), (10, 37, SOON))

        retired = wallet.retire(13)

        assert lines_of(retired) == [(SOON, 10, 37), (LATER, 3, 6)]
        assert wallet.at("retired") == lines_of(retired)
        assert wallet.at("available") == [(LATER, 17, 35)]

    def test_more_than_there_are_is_refused(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (20, 41, LATER), (9, 9, LAPSED))

        assert refusal_of(wallet.retire(21)) == "insufficient-points"
        assert wallet.at("retired") == []

    def test_never_takes_what_is_held(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (20, 41, LATER))
        wallet.hold(20)

        assert refusal_of(wallet.retire(1)) == "insufficient-points"


class TestRetiringGrams:
    def test_takes_the_fewest_points_that_carry_them(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))

        assert lines_of(wallet.retire(reduction_g=11)) == [(SOON, 3, 11)]  # 3.7 g a point
        assert lines_of(wallet.retire(reduction_g=12)) == [(SOON, 4, 14)]  # of 7 points, 26 g

    def test_goes_on_with_the_next_lot(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (20, 41, LATER))

        assert lines_of(wallet.retire(reduction_g=40)) == [(SOON, 10, 37), (LATER, 2, 4)]

    def test_takes_all_of_them_with_all_points(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))

        assert lines_of(wallet.retire(reduction_g=37)) == [(SOON, 10, 37)]

    def test_takes_grams_without_points(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (0, 30, SOON), (20, 41, LATER))

        assert lines_of(wallet.retire(reduction_g=30)) == [(SOON, 0, 30)]

    def test_passes_over_points_without_grams(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 0, SOON), (20, 41, LATER))

        assert lines_of(wallet.retire(reduction_g=2)) == [(LATER, 1, 2)]

    def test_takes_exactly_so_many_grams_without_points(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (0, 50, SOON))

        assert lines_of(wallet.retire(reduction_g=20)) == [(SOON, 0, 20)]

    def test_more_than_there_are_is_refused(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON), (10, 90, LAPSED))

        refused = wallet.retire(reduction_g=38)

        assert refused.refusal is not None
        assert refused.refusal.code == "insufficient-grams"
        assert refused.refusal.members == {"asked": 38, "available": 37}

    @pytest.mark.parametrize("amount", [None, 1])
    def test_needs_one_amount_and_no_more(self, amount: int | None, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        before = wallet.traces()

        with pytest.raises(AmountInvalid):
            wallet.retire(amount, reduction_g=amount)

        assert wallet.traces() == before


class TestDonating:
    def test_what_is_owed_is_not_hers_to_give(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false = wallet.issue(10, 20, LATER)
        hold_id = wallet.hold(10).id
        wallet.invalidate(false)
        wallet.release(hold_id)

        assert wallet.owed() == (10, 20)
        assert refusal_of(wallet.donate(10)) == "grams-owed"

    def test_takes_what_expires_soonest_with_its_grams(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (20, 41, LATER), (10, 37, SOON))

        donated = wallet.donate(13)

        assert lines_of(donated) == [(SOON, 10, 37), (LATER, 3, 6)]
        assert wallet.at("pooled") == lines_of(donated)

    def test_names_the_pool(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (20, 41, LATER))

        wallet.donate(13, SHOP)

        assert wallet.read(
            "SELECT party FROM transfer WHERE citizen_id = %s AND kind = 'donate'",
            wallet.citizen_id,
        ) == [(SHOP,)]

    def test_more_than_there_are_is_refused(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (20, 41, LATER))

        assert refusal_of(wallet.donate(21)) == "insufficient-points"
