"""An id is good for one thing for ever: repeats, conflicts, refusals that stay, amounts."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service import clock
from service.ledger.errors import AmountInvalid, PostingConflict
from service.ledger.postings import Outcome
from service.ledger.transfers import line_id
from service.runtime import Runtime
from tests.ledger.wallets import BANK, SHOP, Wallet, days_from_now, lines_of, refusal_of

SOON, LATER, LATEST = days_from_now(10), days_from_now(100), days_from_now(1000)
A_DAY = timedelta(days=1)


@pytest.fixture
def wallet(runtime: Runtime) -> Wallet:
    """Two lots, a hold, and a capture, each with something left."""
    return Wallet.with_lots(runtime, (100, 370, SOON), (200, 410, LATER))


Post = Callable[[UUID], Outcome]


def every_kind(wallet: Wallet) -> dict[str, Post]:
    """Return one posting of each kind, to be sent under an id."""
    held, capture_id = wallet.hold(20), wallet.captured(20)
    return {
        "hold": lambda chosen: wallet.hold(90, posting_id=chosen),
        "release": lambda chosen: wallet.release(held.id, 3, LATEST, posting_id=chosen),
        "release of all": lambda chosen: wallet.release(held.id, posting_id=chosen),
        "capture": lambda chosen: wallet.capture(held.id, 3, posting_id=chosen),
        "restore": lambda chosen: wallet.restore(capture_id, 3, LATEST, posting_id=chosen),
        "restore of all": lambda chosen: wallet.restore(capture_id, posting_id=chosen),
        "pool": lambda chosen: wallet.pool(capture_id, 3, posting_id=chosen),
        "retire": lambda chosen: wallet.retire(80, posting_id=chosen),
        "retire by grams": lambda chosen: wallet.retire(reduction_g=300, posting_id=chosen),
        "donate": lambda chosen: wallet.donate(80, posting_id=chosen),
        "extend": lambda chosen: wallet.extend(SOON, LATER, posting_id=chosen),
    }


KINDS = (
    *("hold", "release", "release of all", "capture", "restore", "restore of all", "pool"),
    *("retire", "retire by grams", "donate", "extend"),
)


class TestTheSameIdWithTheSameTerms:
    @pytest.mark.parametrize("kind", KINDS)
    def test_gets_the_first_answer_and_moves_nothing(self, kind: str, wallet: Wallet) -> None:
        post, chosen = every_kind(wallet)[kind], uuid4()
        first = post(chosen)
        after = wallet.lots(), wallet.transfers()

        second = post(chosen)

        assert (first.is_repeat, second.is_repeat) == (False, True)
        assert second.lines == first.lines
        assert second.lines
        assert (second.points, second.reduction_g) == (first.points, first.reduction_g)
        assert (wallet.lots(), wallet.transfers()) == after

    @pytest.mark.parametrize("kind", ["release", "restore", "extend"])
    def test_gets_it_when_the_grace_lot_has_lapsed_long_ago(
        self, kind: str, wallet: Wallet
    ) -> None:
        post, chosen = every_kind(wallet)[kind], uuid4()
        first = post(chosen)

        with clock.shifted(timedelta(days=2000)):
            assert post(chosen).lines == first.lines

    def test_gets_it_when_there_is_nothing_left(self, wallet: Wallet) -> None:
        first = wallet.retire(300, posting_id=(chosen := uuid4()))

        assert wallet.retire(300, posting_id=chosen).lines == first.lines

    def test_gets_the_lines_in_order(self, runtime: Runtime) -> None:
        grants = [(2, 7, days_from_now(90 * quarter)) for quarter in range(1, 21)]
        wallet = Wallet.with_lots(runtime, *grants)
        first = wallet.hold(39, posting_id=(chosen := uuid4()))

        assert wallet.hold(39, posting_id=chosen).lines == first.lines


class TestTheSameIdWithOtherTerms:
    def conflict(self, post: Callable[[Any, UUID], Outcome], first: Any, second: Any) -> str:
        """Post first one thing, then another under the same id; return the field in conflict."""
        chosen = uuid4()
        post(first, chosen)
        with pytest.raises(PostingConflict) as caught:
            post(second, chosen)
        return str(caught.value.members["field"])

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_another_kind_names_the_kind(self, kind: str, wallet: Wallet) -> None:
        posts = every_kind(wallet)
        other = "donate" if kind != "donate" else "hold"

        field = self.conflict(lambda name, chosen: posts[name](chosen), kind, other)

        assert field == "kind"

    def test_of_other_points_names_the_points(self, wallet: Wallet) -> None:
        held, capture_id = wallet.hold(20), wallet.captured(20)
        posts: list[Callable[[int | None, UUID], Outcome]] = [
            lambda points, chosen: wallet.hold(points or 5, posting_id=chosen),
            lambda points, chosen: wallet.release(held.id, points, posting_id=chosen),
            lambda points, chosen: wallet.capture(held.id, points or 5, posting_id=chosen),
            lambda points, chosen: wallet.restore(capture_id, points, posting_id=chosen),
            lambda points, chosen: wallet.pool(capture_id, points, posting_id=chosen),
            lambda points, chosen: wallet.retire(points or 5, posting_id=chosen),
            lambda points, chosen: wallet.donate(points or 5, posting_id=chosen),
        ]
        for post in posts:
            assert self.conflict(post, 3, 4) == "points"
            assert self.conflict(post, 3, None) == "points"

    def test_of_other_grams_names_the_grams(self, wallet: Wallet) -> None:
        field = self.conflict(
            lambda grams, chosen: wallet.retire(reduction_g=grams, posting_id=chosen), 30, 31
        )

        assert field == "reduction_g"

    def test_of_another_hold_names_the_hold(self, wallet: Wallet) -> None:
        held, other = wallet.hold(20).id, wallet.hold(20).id
        posts: list[Callable[[UUID, UUID], Outcome]] = [
            lambda hold_id, chosen: wallet.capture(hold_id, 3, posting_id=chosen),
            lambda hold_id, chosen: wallet.release(hold_id, 3, posting_id=chosen),
        ]
        for post in posts:
            assert self.conflict(post, held, other) == "hold_id"
            assert self.conflict(post, held, uuid4()) == "hold_id"

    def test_of_another_capture_names_what_it_goes_on_with(self, wallet: Wallet) -> None:
        capture_id, other_id = wallet.captured(20), wallet.captured(20)
        posts: list[Callable[[UUID, UUID], Outcome]] = [
            lambda of_id, chosen: wallet.restore(of_id, 3, posting_id=chosen),
            lambda of_id, chosen: wallet.pool(of_id, 3, posting_id=chosen),
        ]
        for post in posts:
            assert self.conflict(post, capture_id, other_id) == "of_id"
            assert self.conflict(post, capture_id, uuid4()) == "of_id"

    def test_for_another_party_names_the_party(self, wallet: Wallet) -> None:
        held, capture_id = wallet.hold(20), wallet.captured(20)
        posts: list[Callable[[UUID, UUID], Outcome]] = [
            lambda party, chosen: wallet.capture(held.id, 3, party, posting_id=chosen),
            lambda party, chosen: wallet.pool(capture_id, 3, party, posting_id=chosen),
            lambda party, chosen: wallet.donate(3, party, posting_id=chosen),
        ]
        for post in posts:
            assert self.conflict(post, BANK, SHOP) == "party"

    def test_of_another_lot_names_its_day(self, wallet: Wallet) -> None:
        field = self.conflict(
            lambda day, chosen: wallet.extend(day, LATEST, posting_id=chosen), LATER, SOON
        )

        assert field == "expires_on"

    def test_to_another_day_names_the_day(self, wallet: Wallet) -> None:
        held, capture_id = wallet.hold(20), wallet.captured(20)
        posts: list[Callable[[date, UUID], Outcome]] = [
            lambda day, chosen: wallet.extend(SOON, day, posting_id=chosen),
            lambda day, chosen: wallet.release(held.id, 3, day, posting_id=chosen),
            lambda day, chosen: wallet.restore(capture_id, 3, day, posting_id=chosen),
        ]
        for post in posts:
            assert self.conflict(post, LATER, LATEST) == "carry_to"

    def test_to_no_other_day_names_the_day(self, wallet: Wallet) -> None:
        held, capture_id = wallet.hold(20), wallet.captured(20)
        posts: list[Callable[[date | None, UUID], Outcome]] = [
            lambda day, chosen: wallet.release(held.id, 3, day, posting_id=chosen),
            lambda day, chosen: wallet.restore(capture_id, 3, day, posting_id=chosen),
        ]
        for post in posts:
            assert self.conflict(post, LATER, None) == "carry_to"
            assert self.conflict(post, None, LATER) == "carry_to"

    def test_leaves_the_first_as_it_was(self, wallet: Wallet) -> None:
        first = wallet.hold(5, posting_id=(chosen := uuid4()))
        before = wallet.lots(), wallet.traces()

        with pytest.raises(PostingConflict):
            wallet.hold(6, posting_id=chosen)

        assert (wallet.lots(), wallet.traces()) == before
        assert wallet.hold(5, posting_id=chosen).lines == first.lines

    def test_is_a_conflict_after_a_refusal_too(self, wallet: Wallet) -> None:
        field = self.conflict(
            lambda points, chosen: wallet.hold(points, posting_id=chosen), 1000, 1
        )

        assert field == "points"


class TestAnIdThatATransferHas:
    def test_of_an_issue_is_a_conflict(self, wallet: Wallet) -> None:
        issue_id = wallet.issue(5, 17, SOON)
        before = wallet.lots(), wallet.traces()

        for post in (wallet.hold, wallet.donate, wallet.retire):
            with pytest.raises(PostingConflict) as caught:
                post(1, posting_id=issue_id)
            assert caught.value.members["field"] == "kind"

        assert (wallet.lots(), wallet.traces()) == before

    def test_of_another_postings_line_is_a_conflict(self, wallet: Wallet) -> None:
        held = wallet.hold(110)
        second_line = line_id(held.id, 1)

        with pytest.raises(PostingConflict):
            wallet.release(held.id, posting_id=second_line)
        with pytest.raises(PostingConflict):
            wallet.extend(LATER, LATEST, posting_id=second_line)
        with pytest.raises(PostingConflict):
            wallet.capture(held.id, 1, posting_id=second_line)


class TestARefusal:
    def refusals(self, wallet: Wallet) -> dict[str, Post]:
        held, capture_id = wallet.hold(20), wallet.captured(20)
        return {
            "insufficient-points": lambda chosen: wallet.hold(261, posting_id=chosen),
            "insufficient-points ": lambda chosen: wallet.donate(261, posting_id=chosen),
            "insufficient-points  ": lambda chosen: wallet.retire(261, posting_id=chosen),
            "insufficient-grams": lambda chosen: wallet.retire(reduction_g=800, posting_id=chosen),
            "hold-exceeded": lambda chosen: wallet.capture(held.id, 21, posting_id=chosen),
            "hold-exceeded ": lambda chosen: wallet.release(held.id, 21, posting_id=chosen),
            "capture-exceeded": lambda chosen: wallet.restore(capture_id, 21, posting_id=chosen),
            "capture-exceeded ": lambda chosen: wallet.pool(capture_id, 21, posting_id=chosen),
            "nothing-to-carry": lambda chosen: wallet.extend(
                LATEST, LATEST + A_DAY, posting_id=chosen
            ),
        }

    def test_stays_one_even_when_it_would_succeed_now(self, wallet: Wallet) -> None:
        posts = {post: uuid4() for post in self.refusals(wallet).values()}
        first = {post: post(chosen) for post, chosen in posts.items()}
        wallet.issue(1000, 1000, LATEST)
        before = wallet.lots(), wallet.traces()

        for post, chosen in posts.items():
            again = post(chosen)
            assert again.is_repeat
            assert str(again.refusal) == str(first[post].refusal)
            assert refusal_of(again) == refusal_of(first[post])

        assert (wallet.lots(), wallet.traces()) == before

    def test_has_its_code_and_moves_nothing(self, wallet: Wallet) -> None:
        posts = self.refusals(wallet)
        before = wallet.lots(), wallet.transfers()

        codes = {code: refusal_of(post(uuid4())) for code, post in posts.items()}

        assert codes == {code: code.strip() for code in posts}
        assert (wallet.lots(), wallet.transfers()) == before

    def test_under_a_new_id_is_decided_anew(self, wallet: Wallet) -> None:
        wallet.hold(301)
        wallet.issue(1, 1, LATEST)

        assert refusal_of(wallet.hold(301)) is None

    def test_is_raised_for_the_caller_on_demand(self, wallet: Wallet) -> None:
        refused = wallet.hold(301)
        assert refused.refusal is not None

        with pytest.raises(type(refused.refusal)):
            refused.raise_refusal()


class TestAnAmount:
    @pytest.mark.parametrize("amount", [0, -1, 2**53, 2**63, 10**30])
    def test_that_cannot_be_moved_leaves_no_trace(self, amount: int, wallet: Wallet) -> None:
        held, capture_id = wallet.hold(20), wallet.captured(20)
        before = wallet.lots(), wallet.traces()

        posts: list[Callable[[], Outcome]] = [
            lambda: wallet.hold(amount),
            lambda: wallet.release(held.id, amount),
            lambda: wallet.capture(held.id, amount),
            lambda: wallet.restore(capture_id, amount),
            lambda: wallet.pool(capture_id, amount),
            lambda: wallet.retire(amount),
            lambda: wallet.retire(reduction_g=amount),
            lambda: wallet.donate(amount),
        ]
        for post in posts:
            with pytest.raises(AmountInvalid):
                post()

        assert (wallet.lots(), wallet.traces()) == before

    def test_may_be_as_large_as_json_can_say(self, wallet: Wallet) -> None:
        assert refusal_of(wallet.hold(2**53 - 1)) == "insufficient-points"
        assert refusal_of(wallet.retire(reduction_g=2**53 - 1)) == "insufficient-grams"

    def test_of_billions_is_apportioned_exactly(self, runtime: Runtime) -> None:
        points, grams = 2**40 + 1, 2**42 - 3
        wallet = Wallet.with_lots(runtime, (points, grams, SOON))

        first = wallet.hold(2**39)

        assert lines_of(first) == [(SOON, 2**39, grams * 2**39 // points)]
        assert lines_of(wallet.hold(points - 2**39)) == [
            (SOON, points - 2**39, grams - first.reduction_g)
        ]
