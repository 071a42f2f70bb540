"""Whole numbers of points and grams, and the one way a ratio becomes one of them."""

from decimal import Decimal
from fractions import Fraction


def floor_of(amount: int, ratio: Fraction) -> int:
    """Return `amount × ratio` in whole units, rounded down once, here.

    Args:
        amount: whole units, not negative.
        ratio: exact, not negative.
    """
    return amount * ratio.numerator // ratio.denominator


def exact_ratio(decimal_text: str) -> Fraction:
    """Read a decimal string such as ``"46.8"`` as an exact ratio, never through a float.

    Raises:
        ValueError: the text is not a finite decimal number.
    """
    number = Decimal(decimal_text)
    if not number.is_finite():
        raise ValueError(f"{decimal_text!r} is not a finite decimal number")
    return Fraction(number)
