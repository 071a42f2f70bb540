"""Text of one CSV field as a moment, quantity, identifier or position, or the reason why not."""

import math
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction

from service.activities.feeds.distances import Position
from service.activities.feeds.tables import UnusableRowError

MISSING = frozenset({"", "na", "n/a", "null", "none"})
IDENTIFIER_LENGTH_MAX = 100
YEARS = range(1990, 2101)
"""Outside of these a clock was wrong, not a journey long ago."""

MOMENT = re.compile(
    r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[ T]"
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6})[0-9]*)?)?"
)
NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{0,25})?(?:[eE][+-]?[0-9]{1,2})?")
"""No thousands separator: 1,240 is a thousand in one country and one and a quarter in another."""


def moment(text: str, zone: tzinfo) -> datetime:
    """Read a local time (`2018-09-01 11:17:31`, `2016/8/1 0:34`) as a moment in UTC."""
    match = MOMENT.fullmatch(text)
    if match is None or int(match[1]) not in YEARS:
        raise UnusableRowError("time-broken")
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    second, microsecond = int(match[6] or 0), int((match[7] or "0").ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, zone)
    except ValueError as error:
        raise UnusableRowError("time-broken") from error
    return local.astimezone(UTC)


def period(started: str, ended: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Read the two ends of an act that takes time."""
    start, end = moment(started, zone), moment(ended, zone)
    if end < start:
        raise UnusableRowError("times-reversed")
    if end == start:
        raise UnusableRowError("duration-zero")
    return start, end


def day(text: str) -> str:
    """Read a calendar day, `2019-05-21`."""
    moment(f"{text} 00:00", UTC)
    return text


def amount(text: str, what: str, highest: int) -> Fraction:
    """Read a quantity exactly; `highest` is where it stops being a measurement."""
    if text.lower() in MISSING:
        raise UnusableRowError(f"{what}-missing")
    if NUMBER.fullmatch(text) is None:
        raise UnusableRowError(f"{what}-broken")
    number = Fraction(Decimal(text))
    if number < 0:
        raise UnusableRowError(f"{what}-negative")
    if number > highest:
        raise UnusableRowError(f"{what}-implausible")
    return number


def whole(text: str, what: str, allowed: range) -> int:
    """Read a small whole number such as a month."""
    if not text.isascii() or not text.isdigit() or len(text) > len(str(allowed[-1])):
        raise UnusableRowError(f"{what}-broken")
    if int(text) not in allowed:
        raise UnusableRowError(f"{what}-broken")
    return int(text)


def identifier(text: str, what: str) -> str:
    """Read a name or number as text, so that leading zeros stay."""
    if text.lower() in MISSING:
        raise UnusableRowError(f"{what}-missing")
    if len(text) > IDENTIFIER_LENGTH_MAX or not text.isprintable():
        raise UnusableRowError(f"{what}-broken")
    return text


def position(longitude: str, latitude: str) -> Position:
    """Read degrees; the point 0, 0 is what devices write when they know none."""
    point = Position(_degrees(latitude, 90), _degrees(longitude, 180))
    if point == (0, 0):
        raise UnusableRowError("coordinates-broken")
    return point


def _degrees(text: str, limit: int) -> float:
    if NUMBER.fullmatch(text) is None or not math.fabs(float(text)) <= limit:
        raise UnusableRowError("coordinates-broken")
    return float(text)
