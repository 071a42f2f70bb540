"""What is asked of the server: feeds, single activities, account reads."""

import itertools
from collections.abc import Callable, Iterator

from benchmarks import city
from benchmarks.load import Load, in_another_process, request_bytes
from service.settings import Settings

FEED_LINES = 10_000
FEED_CONNECTIONS = 6
SMALL_CONNECTIONS = 16
NDJSON = "application/x-ndjson"

Rides = Callable[[int], tuple[str, list[bytes]]]
"""From the number of a feed to the token of its source and its lines."""


def feeds(
    settings: Settings, founded: city.City, seconds: float, seed: int, lines: int = FEED_LINES
) -> Load:
    """Send feeds of one source; `per_s` counts feeds."""

    def feed(number: int) -> tuple[str, list[bytes]]:
        return founded.source_token, list(city.rides(lines, seed + number))

    return feeds_of(settings, feed, seconds, lines)


def feeds_of(settings: Settings, feed: Rides, seconds: float, lines: int) -> Load:
    """Send feeds from wherever they come."""
    most = int(seconds * 60_000 / lines) + FEED_CONNECTIONS

    def prepared() -> Iterator[bytes]:
        requests = []
        for number in range(most):
            token, rides = feed(number)
            body = b"\n".join(rides) + b"\n"
            requests.append(request_bytes("POST", "/v1/activity-batches", token, body, NDJSON))
        return iter(requests)

    return all_answered(in_another_process(settings.port, FEED_CONNECTIONS, seconds, prepared))


def single_activities(settings: Settings, founded: city.City, seconds: float, seed: int) -> Load:
    """Send feeds of one line."""

    def prepared() -> Iterator[bytes]:
        return iter(
            [
                request_bytes("POST", "/v1/activity-batches", founded.source_token, ride, NDJSON)
                for ride in city.rides(int(seconds * 4_000), seed)
            ]
        )

    return all_answered(in_another_process(settings.port, SMALL_CONNECTIONS, seconds, prepared))


def account_reads(settings: Settings, founded: city.City, seconds: float) -> Load:
    """Read accounts, each by its citizen."""

    def prepared() -> Iterator[bytes]:
        requests = [
            request_bytes("GET", "/v1/me/account", token) for token in founded.citizen_tokens
        ]
        return itertools.cycle(requests)

    return all_answered(in_another_process(settings.port, SMALL_CONNECTIONS, seconds, prepared))


def all_answered(load: Load) -> Load:
    """Return a load none of whose requests was refused; the figures would mean nothing else."""
    if load.refused:
        raise SystemExit(f"{load.refused} requests were refused; the figures would mean nothing.")
    return load
