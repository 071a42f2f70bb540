"""Which lots, and how many grams: arithmetic on plain values, the same in every kind of transfer.

Points leave the lots that expire soonest, and grams go with them in proportion, rounded down;
whoever takes the last point of a lot, or of a line, takes the grams that are left. What goes back
goes back in the opposite order.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple


class LiveLot(NamedTuple):
    """What can be spent of a lot."""

    expires_on: date
    points: int
    reduction_g: int


class Share(NamedTuple):
    """What is taken of one lot."""

    expires_on: date
    points: int
    reduction_g: int


class Line(NamedTuple):
    """A lot line of a hold or a capture, and what is left of it."""

    number: int
    """Of the hold's line."""
    expires_on: date
    points: int
    reduction_g: int
    points_left: int
    g_left: int


class Part(NamedTuple):
    """What is taken of one line."""

    line: Line
    points: int
    reduction_g: int


def proportion(grams: int, points: int, part: int) -> int:
    """Return the grams that go with a part of the points, rounded down."""
    return grams * part // points


def shares_by_points(lots: Iterable[LiveLot], points: int) -> list[Share]:
    """Take points from lots in the order given; the sum is less if the lots hold less."""
    shares = []
    for lot in lots:
        part = min(points, lot.points)
        if part > 0:
            grams = proportion(lot.reduction_g, lot.points, part)
            shares.append(Share(lot.expires_on, part, grams))
            points -= part
    return shares


def shares_by_grams(lots: Iterable[LiveLot], grams: int) -> list[Share]:
    """Take at least so many grams from lots in the order given, and no point more than it takes.

    Grams go with whole points, so the last lot may give a few grams more than were asked for; of
    grams without points exactly so many are taken.
    """
    shares = []
    for lot in lots:
        if grams <= 0:
            break
        if lot.reduction_g == 0:
            continue
        if lot.reduction_g <= grams:
            share = Share(*lot)
        elif lot.points == 0:
            share = Share(lot.expires_on, 0, grams)
        else:
            part = -(-grams * lot.points // lot.reduction_g)
            share = Share(lot.expires_on, part, proportion(lot.reduction_g, lot.points, part))
        shares.append(share)
        grams -= share.reduction_g
    return shares


def parts_of(lines: Sequence[Line], points: int, *, backwards: bool) -> list[Part]:
    """Take points from what is left of lines: forwards to go on, backwards to undo."""
    parts = []
    for line in reversed(lines) if backwards else lines:
        part = min(points, line.points_left)
        if part > 0:
            is_last = part == line.points_left
            grams = line.g_left if is_last else proportion(line.reduction_g, line.points, part)
            parts.append(Part(line, part, grams))
            points -= part
    return parts
