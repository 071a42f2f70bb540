"""Which lots and how many grams: nothing is lost, nothing made, and the last takes the rest."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from service.ledger.apportioning import (
    Line,
    LiveLot,
    parts_of,
    shares_by_grams,
    shares_by_points,
)

FIRST_DAY = date(2029, 3, 31)

steadily = settings(deadline=None, derandomize=True)


def lots_of(amounts: list[tuple[int, int]]) -> list[LiveLot]:
    return [
        LiveLot(FIRST_DAY + timedelta(days=number), points, grams)
        for number, (points, grams) in enumerate(amounts)
    ]


LOTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 500)), max_size=6).map(lots_of)


@steadily
@given(lots=LOTS, points=st.integers(1, 300))
def test_points_come_from_the_soonest_lots_and_only_the_last_is_cut(
    lots: list[LiveLot], points: int
) -> None:
    shares = shares_by_points(lots, points)

    there = sum(lot.points for lot in lots)
    assert sum(share.points for share in shares) == min(points, there)
    used = [lot for lot in lots if lot.points][: len(shares)]
    assert [share.expires_on for share in shares] == [lot.expires_on for lot in used]
    for share, lot in list(zip(shares, used, strict=True))[:-1]:
        assert (share.points, share.reduction_g) == (lot.points, lot.reduction_g)


@steadily
@given(lots=LOTS, points=st.integers(1, 300))
def test_no_gram_goes_that_its_points_do_not_carry(lots: list[LiveLot], points: int) -> None:
    by_day = {lot.expires_on: lot for lot in lots}

    for share in shares_by_points(lots, points):
        lot = by_day[share.expires_on]
        exact = lot.reduction_g * share.points
        assert 0 <= exact - share.reduction_g * lot.points < lot.points


@steadily
@given(
    lot=st.tuples(st.integers(1, 60), st.integers(0, 999)),
    cuts=st.lists(st.integers(1, 20), max_size=30),
)
def test_a_lot_taken_in_parts_gives_all_its_grams(lot: tuple[int, int], cuts: list[int]) -> None:
    points, grams = lot
    taken = 0
    for cut in [*cuts, points]:
        for share in shares_by_points([LiveLot(FIRST_DAY, points, grams)], cut):
            points -= share.points
            grams -= share.reduction_g
            taken += share.reduction_g
            assert grams >= 0

    assert (points, grams, taken) == (0, 0, lot[1])


@steadily
@given(lots=LOTS, grams=st.integers(1, 3000))
def test_grams_asked_for_are_reached_with_the_fewest_points(
    lots: list[LiveLot], grams: int
) -> None:
    shares = shares_by_grams(lots, grams)

    got = sum(share.reduction_g for share in shares)
    assert got >= min(grams, sum(lot.reduction_g for lot in lots))
    if shares and shares[-1].points:
        *before, last = shares
        lot = next(each for each in lots if each.expires_on == last.expires_on)
        one_less = lot.reduction_g * (last.points - 1) // lot.points
        assert sum(share.reduction_g for share in before) + one_less < grams


@st.composite
def some_lines(draw: st.DrawFn) -> list[Line]:
    """Draw a hold's lines, of which something may be gone already."""
    lines = []
    for number in range(draw(st.integers(1, 5))):
        points, grams = draw(st.integers(1, 30)), draw(st.integers(0, 200))
        gone = draw(st.integers(0, points))
        grams_gone = grams * gone // points
        day = FIRST_DAY + timedelta(days=number)
        lines.append(Line(number, day, points, grams, points - gone, grams - grams_gone))
    return lines


@steadily
@given(lines=some_lines(), points=st.integers(1, 150), backwards=st.booleans())
def test_lines_are_taken_in_order_or_backwards(
    lines: list[Line], points: int, *, backwards: bool
) -> None:
    parts = parts_of(lines, points, backwards=backwards)

    assert sum(part.points for part in parts) == min(points, sum(x.points_left for x in lines))
    numbers = [part.line.number for part in parts]
    assert numbers == sorted(numbers, reverse=backwards)
    for part in parts[:-1]:
        assert (part.points, part.reduction_g) == (part.line.points_left, part.line.g_left)


@steadily
@given(
    line=st.tuples(st.integers(1, 40), st.integers(0, 400)),
    cuts=st.lists(st.integers(1, 15), max_size=20),
)
def test_a_line_taken_in_parts_gives_all_its_grams(line: tuple[int, int], cuts: list[int]) -> None:
    points, grams = line
    left = Line(0, FIRST_DAY, points, grams, points, grams)
    for cut in [*cuts, points]:
        for part in parts_of([left], cut, backwards=False):
            if part.points < left.points_left:
                assert part.reduction_g == grams * part.points // points
            left = left._replace(
                points_left=left.points_left - part.points, g_left=left.g_left - part.reduction_g
            )
            assert left.g_left >= 0

    assert (left.points_left, left.g_left) == (0, 0)
