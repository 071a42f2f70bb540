"""Work that has lost a race is done once more."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.errors import DeadlockDetected, UniqueViolation

from service.retries import TRIES, retried


def losing(times: int, error: type[psycopg.Error]) -> Callable[[], int]:
    """Return work that loses so many races and then says how often it was begun."""
    begun = 0

    def work() -> int:
        nonlocal begun
        begun += 1
        if begun <= times:
            raise error
        return begun

    return work


@pytest.mark.parametrize("races", range(TRIES))
def test_a_few_lost_races_are_survived(races: int) -> None:
    assert retried(losing(races, DeadlockDetected)) == races + 1


def test_whoever_always_loses_is_told() -> None:
    with pytest.raises(DeadlockDetected):
        retried(losing(TRIES, DeadlockDetected))


def test_what_is_no_lost_race_is_told_at_once() -> None:
    work = losing(1, UniqueViolation)

    with pytest.raises(UniqueViolation):
        retried(work)

    assert work() == 2


def test_the_work_says_what_a_lost_race_is() -> None:
    assert retried(losing(1, UniqueViolation), after=(UniqueViolation,)) == 2
