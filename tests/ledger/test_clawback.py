"""A reduction that proved false leaves the books; what is spent already is owed."""

from datetime import timedelta
from uuid import uuid4

import pytest

from service import clock
from service.ledger.accounts import lock_account
from service.ledger.clawback import Claim, invalidate
from service.ledger.errors import IssueUnknown
from service.ledger.issuing import Issue, issue_lots
from service.runtime import Runtime
from tests.ledger.wallets import Wallet, days_from_now, lines_of

LAPSED, SOON, LATER, LATEST = (days_from_now(days) for days in (-1, 10, 100, 1000))


class TestInvalidating:
    def test_takes_the_issues_own_grams_and_points_from_its_lot(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 99, SOON), (20, 41, LATER))
        false_one = wallet.issue(5, 17, LATER)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == [(LATER, 5, 17)]
        assert wallet.at("invalidated") == [(LATER, 5, 17)]
        assert wallet.at("available") == [(SOON, 10, 99), (LATER, 20, 41)]
        assert wallet.owed() == (0, 0)

    def test_takes_what_is_missing_from_other_lots_the_soonest_first(
        self, runtime: Runtime
    ) -> None:
        wallet = Wallet.with_lots(runtime, (10, 30, LATEST), (2, 5, SOON))
        false_one = wallet.issue(5, 17, LATER)
        wallet.hold(6)  # the soonest two, and of the false lot's 5 points (17 g) 4 (13 g)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == [(LATER, 1, 4), (LATEST, 4, 13)]
        assert wallet.owed() == (0, 0)

    def test_takes_from_the_soonest_of_the_other_lots(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 17, LATER)
        wallet.retire(5)
        wallet.issue(3, 10, LATEST)
        wallet.issue(3, 10, SOON)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == [(SOON, 3, 10), (LATEST, 2, 7)]

    def test_never_takes_what_is_held(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 17, SOON)
        held = wallet.hold(4)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == [(SOON, 1, 4)]
        assert wallet.owed() == (4, 13)
        assert lines_of(wallet.capture(held.id, 4)) == [(SOON, 4, 13)]

    def test_takes_nothing_of_a_lapsed_lot_booked_or_not(self, runtime: Runtime) -> None:
        outcomes = []
        for is_booked in (False, True):
            wallet = Wallet(runtime)
            false_one = wallet.issue(5, 17, SOON)
            wallet.issue(9, 9, SOON)
            wallet.issue(3, 40, LATER)
            with clock.shifted(timedelta(days=11)):
                if is_booked:
                    wallet.expire()
                (outcome,) = wallet.invalidate(false_one)
            outcomes.append((lines_of(outcome), wallet.owed()))

        assert outcomes[0] == outcomes[1] == ([(LATER, 3, 17)], (2, 0))

    def test_what_is_spent_is_owed_and_no_balance_is_negative(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 17, SOON)
        wallet.retire(5)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == []
        assert wallet.owed() == (5, 17)
        assert wallet.lots() == {SOON: {"issued": (5, 17), "retired": (5, 17)}}

    def test_points_against_points_and_grams_against_grams(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 170, SOON)
        wallet.retire(5)
        wallet.issue(9, 30, LATER)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == [(LATER, 5, 30)]
        assert wallet.owed() == (0, 140)

    def test_takes_grams_without_points(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(0, 17, SOON)

        (outcome,) = wallet.invalidate(false_one)

        assert lines_of(outcome) == [(SOON, 0, 17)]

    def test_a_second_time_is_a_repeat(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 17, SOON)
        wallet.retire(2)
        (first,) = wallet.invalidate(false_one)
        wallet.issue(50, 170, SOON)

        (second,) = wallet.invalidate(false_one)

        assert second.is_repeat
        assert (second.id, second.lines) == (first.id, first.lines)
        assert wallet.owed() == (0, 0)
        assert wallet.lots()[SOON]["invalidated"] == (5, 17)

    def test_what_was_owed_in_full_is_a_repeat_too(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 17, SOON)
        wallet.retire(5)
        wallet.invalidate(false_one)

        (second,) = wallet.invalidate(false_one)

        assert second.is_repeat
        assert wallet.owed() == (5, 17)

    def test_several_issues_together_share_what_there_is(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        first, second = wallet.issue(5, 17, SOON), wallet.issue(4, 20, LATER)
        wallet.retire(6)

        outcomes = wallet.invalidate(first, second)

        assert [lines_of(outcome) for outcome in outcomes] == [[(LATER, 3, 15)], []]
        assert wallet.owed() == (6, 22)

    def test_an_unknown_issue_leaves_no_trace(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        known = wallet.issue(5, 17, SOON)
        before = wallet.traces()

        with pytest.raises(IssueUnknown):
            wallet.invalidate(known, uuid4())

        assert wallet.traces() == before
        assert wallet.at("available") == [(SOON, 5, 17)]

    def test_what_is_no_issue_is_unknown(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (5, 17, SOON))
        held = wallet.hold(5)

        with pytest.raises(IssueUnknown):
            wallet.invalidate(held.id)


class TestRecovering:
    def test_comes_at_the_next_issue_before_anything_else(self, runtime: Runtime) -> None:
        wallet = self.one_who_owes(runtime, 5, 17)

        wallet.issue(20, 41, LATER)

        assert wallet.transfers()[-2:] == [("issue", LATER, 20, 41), ("recover", LATER, 5, 17)]
        assert wallet.at("available") == [(LATER, 15, 24)]
        assert wallet.owed() == (0, 0)

    def test_goes_on_over_several_issues(self, runtime: Runtime) -> None:
        wallet = self.one_who_owes(runtime, 5, 17)

        owed = []
        for points, grams in ((2, 3), (0, 5), (2, 90), (2, 8)):
            wallet.issue(points, grams, LATER)
            owed.append(wallet.owed())

        assert owed == [(3, 14), (3, 9), (1, 0), (0, 0)]
        assert wallet.lots()[LATER] == {
            "issued": (6, 106),
            "invalidated": (5, 17),
            "available": (1, 89),
        }

    def test_goes_on_over_several_issues_of_one_call(self, runtime: Runtime) -> None:
        wallet = self.one_who_owes(runtime, 5, 17)
        issues = [
            Issue(wallet.citizen_id.hex, uuid4().hex, day.isoformat(), points, grams)
            for points, grams, day in ((2, 3, LATER), (2, 90, SOON), (2, 8, LATEST))
        ]

        with runtime.database.raw_transaction() as connection:
            issue_lots(connection, lock_account(connection, wallet.citizen_id), issues)

        recovered = [each[1:] for each in wallet.transfers() if each[0] == "recover"]
        assert sorted(recovered) == [(SOON, 2, 14), (LATER, 2, 3), (LATEST, 1, 0)]
        assert wallet.owed() == (0, 0)

    def test_names_the_issue_that_it_was_taken_from(self, runtime: Runtime) -> None:
        wallet = self.one_who_owes(runtime, 5, 17)

        issue_id = wallet.issue(20, 41, LATER)

        assert wallet.read(
            "SELECT of_id, posting_id FROM transfer WHERE citizen_id = %s AND kind = 'recover'",
            wallet.citizen_id,
        ) == [(issue_id, None)]

    def test_happens_in_the_transaction_that_invalidated(self, runtime: Runtime) -> None:
        wallet = Wallet(runtime)
        false_one = wallet.issue(5, 17, SOON)
        wallet.retire(5)

        corrected = Issue(wallet.citizen_id.hex, uuid4().hex, LATER.isoformat(), 4, 15)
        with runtime.database.raw_transaction() as connection:
            accounts = lock_account(connection, wallet.citizen_id)
            invalidate(connection, accounts, [Claim(wallet.citizen_id.hex, false_one.hex)])
            issue_lots(connection, accounts, [corrected])

        assert wallet.at("available") == []
        assert wallet.owed() == (1, 2)

    def test_happens_once_under_one_lock(self, runtime: Runtime) -> None:
        wallet = self.one_who_owes(runtime, 5, 17)

        with runtime.database.raw_transaction() as connection:
            accounts = lock_account(connection, wallet.citizen_id)
            for _ in range(2):
                issue = Issue(wallet.citizen_id.hex, uuid4().hex, LATER.isoformat(), 4, 15)
                issue_lots(connection, accounts, [issue])

        assert wallet.at("available") == [(LATER, 3, 13)]
        assert wallet.owed() == (0, 0)

    @staticmethod
    def one_who_owes(runtime: Runtime, points: int, grams: int) -> Wallet:
        wallet = Wallet(runtime)
        false_one = wallet.issue(points, grams, SOON)
        wallet.retire(points)
        wallet.invalidate(false_one)
        return wallet
