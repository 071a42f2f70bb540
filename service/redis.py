"""The connection to Redis or Valkey, which holds only what may vanish.

Losing it loses no point: who calls catches `RedisError` and falls back to PostgreSQL where the
limit protects value.
"""

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

__all__ = ["TIMEOUT_S", "RedisError", "connect", "is_up"]

TIMEOUT_S = 0.2
"""A request does not wait longer for what it can do without."""


def connect(url: str) -> redis.Redis:
    """Return a client with a short timeout that never sends a command twice.

    The library would repeat a timed-out command ten times, so that one `INCR` during a freeze is
    counted twice and holds its caller for seconds.

    Args:
        url: `unix://…` or `redis://…`.

    Returns:
        A client that answers bytes; it connects when it is first used.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def is_up(client: redis.Redis) -> bool:
    """Whether Redis answers; for the operator's eyes, never for readiness."""
    try:
        return bool(client.ping())
    except RedisError:
        return False
