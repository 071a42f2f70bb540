"""How many requests a minute one caller may make, and the headers that say so.

Calls with a token are counted in the memory of the worker that gets them, each worker granting its
share: a hot read cannot afford a network hop. Calls without one are counted by address in Valkey,
in memory while Valkey is away. These limits protect the service, never value: a limit that protects
value is kept in PostgreSQL by the package it belongs to.

The library's own memory store starts a thread for every hundredth of a second in which something is
counted; a dictionary that is thrown away each minute does the same in a microsecond.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Literal, TypeVar

import redis
import structlog
from limits.storage import RedisStorage
from redis.exceptions import RedisError

from service.errors import LimitExceeded
from service.runtime import Runtime

log = structlog.get_logger()

View = TypeVar("View", bound=Callable[..., Any])
PolicyName = Literal["caller", "feed", "none"]

WINDOW_S = 60
FEED_PER_MINUTE = 600_000
AWAY_S = 5
"""For how long Valkey is not asked again after it did not answer."""
STANDING = "carbon.rate_standing"
_POLICY = "_carbon_rate_policy"


class QuotaExceeded(LimitExceeded):
    """More requests came than one caller may send."""

    code = "quota-exceeded"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one caller stands against a policy after this request."""

    policy: str
    quota: int
    remaining: int
    reset_s: int
    exceeded: bool


def rate_policy(name: PolicyName) -> Callable[[View], View]:
    """Choose a view's policy: `feed` for sources' feeds, `none` for health; `caller` by default."""

    def choose(view: View) -> View:
        setattr(view, _POLICY, name)
        return view

    return choose


class MinuteCounts:
    """Counts by key in this process, forgotten every minute."""

    def __init__(self) -> None:
        self._minute = -1
        self._counts: dict[str, int] = {}

    def count(self, key: str, now_s: float) -> int:
        """Count one more and return how many there are in this minute."""
        minute = int(now_s // WINDOW_S)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        # Two threads may count the same one once: the limit is soft by a handful, never unbounded.
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        return count


class RateLimits:
    """The limits of one worker process."""

    def __init__(self, runtime: Runtime) -> None:
        self.per_minute = runtime.settings.rate_limit_per_minute
        self.workers = runtime.settings.workers
        self._local = MinuteCounts()
        self._shared = _storage(runtime.redis)
        self._away_until_s = 0.0

    def of_caller(self, key: str, policy: PolicyName) -> Standing:
        """Count a call that bears a token."""
        quota = FEED_PER_MINUTE if policy == "feed" else self.per_minute
        now_s = time.time()
        count = self._local.count(f"{policy} {key}", now_s)
        return _standing(policy, quota, max(quota // self.workers, 1), count, now_s)

    def of_address(self, address: str) -> Standing:
        """Count a call that bears none."""
        now_s = time.time()
        key = _network_of(address)
        count = self._count_shared(key, now_s)
        if count is not None:
            return _standing("address", self.per_minute, self.per_minute, count, now_s)
        share = max(self.per_minute // self.workers, 1)
        count = self._local.count(f"address {key}", now_s)
        return _standing("address", self.per_minute, share, count, now_s)

    def _count_shared(self, key: str, now_s: float) -> int | None:
        if now_s < self._away_until_s:
            return None
        try:
            return int(self._shared.incr(f"{key}/{int(now_s // WINDOW_S)}", WINDOW_S))
        except RedisError:
            self._away_until_s = now_s + AWAY_S
            log.warning("rate_limits_counted_locally", for_s=AWAY_S)
            return None


def policy_of(view: Callable[..., Any]) -> PolicyName:
    """Return the policy that a view has chosen."""
    policy: PolicyName = getattr(view, _POLICY, "caller")
    return policy


def settle(standing: Standing, environ: dict[str, Any]) -> None:
    """Note where a caller stands, for the headers, and refuse what is too much.

    Raises:
        QuotaExceeded: the caller has to wait for the next minute.
    """
    environ[STANDING] = standing
    if standing.exceeded:
        raise QuotaExceeded(
            "Please wait {retry_after_s} seconds; {quota} requests a minute are possible.",
            retry_after_s=standing.reset_s,
            quota=standing.quota,
            violated_policies=[standing.policy],
        )


def headers_of(standing: Standing) -> list[tuple[str, str]]:
    """Say the policy and the standing (draft-ietf-httpapi-ratelimit-headers)."""
    return [
        ("RateLimit-Policy", f'"{standing.policy}";q={standing.quota};w={WINDOW_S}'),
        ("RateLimit", f'"{standing.policy}";r={standing.remaining};t={standing.reset_s}'),
    ]


def _standing(policy: str, quota: int, share: int, count: int, now_s: float) -> Standing:
    """Judge a count; what remains is what this worker is sure to grant."""
    reset_s = WINDOW_S - int(now_s) % WINDOW_S
    return Standing(policy, quota, max(share - count, 0), reset_s, count > share)


def _network_of(address: str) -> str:
    """Return an IPv4 address, or the /64 in which one IPv6 household picks its addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return parsed.exploded[:19]
    return str(parsed)


def _storage(client: redis.Redis) -> RedisStorage:
    """Return the library's counters over our own connections, with their short timeouts."""
    return RedisStorage("redis://", connection_pool=client.connection_pool, key_prefix="rate")
