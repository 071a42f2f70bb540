"""What an attempt means: arrived, to be tried again and when, or given up. Pure."""

import random
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

WAITS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""After each attempt but the last: ten attempts in a little over three days."""
JITTER: Final = 0.1
"""Each wait is longer or shorter by up to this share, so that what failed together parts."""

GIVEN_UP_AFTER: Final = timedelta(days=5)
"""An endpoint at which nothing arrives for so long is disabled."""

GONE: Final = 410
THROTTLING: Final = frozenset({429, 502, 504})
RESTS: Final = timedelta(seconds=30)
"""How long a receiver that says it has too much is left alone, unless it says for how long."""
LONGEST_REST: Final = timedelta(hours=24)

_chance = random.SystemRandom()


class Reply(NamedTuple):
    """What came of one attempt."""

    status: int | None
    """None: there was no answer."""
    error: str | None = None
    """Why there was none, in one word."""
    retry_after: str | None = None
    """The answer's `Retry-After`."""


class Verdict(NamedTuple):
    """What a delivery is after an attempt."""

    state: str
    next_attempt_at: datetime
    paused_until: datetime | None
    """Until then nothing is sent to this endpoint."""
    is_gone: bool


def judge(reply: Reply, attempts: int, now: datetime) -> Verdict:
    """Say what a delivery is after an attempt.

    Args:
        reply: of the attempt.
        attempts: with this one.
        now: when it ended.
    """
    if has_arrived(reply):
        return Verdict("delivered", now, None, is_gone=False)
    paused_until = _paused_until(reply, now)
    is_gone = reply.status == GONE
    if attempts > len(WAITS):
        return Verdict("failed", now, paused_until, is_gone)
    due = now + WAITS[attempts - 1] * _chance.uniform(1 - JITTER, 1 + JITTER)
    if paused_until is not None:
        due = max(due, paused_until)
    return Verdict("waiting", due, paused_until, is_gone)


def has_arrived(reply: Reply) -> bool:
    """Say whether the receiver has taken a message: 2xx and nothing else."""
    return reply.status is not None and 200 <= reply.status < 300  # noqa: PLR2004  RFC 9110


def _paused_until(reply: Reply, now: datetime) -> datetime | None:
    if reply.status is None:
        return None
    asked_for = _asked_for(reply.retry_after, now)
    if asked_for is None and reply.status in THROTTLING:
        asked_for = RESTS
    return now + min(asked_for, LONGEST_REST) if asked_for else None


def _asked_for(retry_after: str | None, now: datetime) -> timedelta | None:
    """Return the rest that `Retry-After` asks for, in seconds or up to a date."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), LONGEST_REST.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
        return max(moment - now, timedelta(0))
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
