"""Which process is killed, how it is found, and when it is back."""

from collections.abc import Callable
from typing import NamedTuple

from checks.house import Service
from checks.processes import children_of, postmaster_of, words_of


class Target(NamedTuple):
    """One kind of process."""

    name: str
    pids: Callable[[Service], list[int]]
    """The present ones; one of them is killed."""


def _child(service: Service, sign: str) -> list[int]:
    return [pid for pid in children_of(service.pid) if sign in f"{words_of(pid)} "]


def _masters(service: Service) -> list[int]:
    return _child(service, "granian")


def _workers(service: Service) -> list[int]:
    started = [pid for master in _masters(service) for pid in children_of(master)]
    return [pid for pid in started if "spawn_main" in words_of(pid)]


def _postmasters(service: Service) -> list[int]:
    try:
        pid = postmaster_of(service.home)
    except (FileNotFoundError, IndexError):
        return []
    return [pid] if "postgres" in words_of(pid) else []


TARGETS = (
    Target("worker", _workers),
    Target("master", _masters),
    Target("sealer", lambda service: _child(service, " sealer ")),
    Target("jobs", lambda service: _child(service, " worker ")),
    Target("postgres", _postmasters),
)
"""A server worker, Granian's master, the sealer, the job worker, PostgreSQL's first process."""

COURIER = Target("courier", lambda service: _child(service, " courier "))
"""What sends partners their events."""
