"""Issuing, expiring and invalidating many at once means the same as one by one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import clock
from service.ledger.accounts import Accounts, lock_accounts
from service.ledger.clawback import Claim, invalidate
from service.ledger.expiry import expire
from service.ledger.issuing import Issue, issue_lots
from service.ledger.postings import Outcome
from service.runtime import Runtime
from tests.ledger.wallets import Wallet, days_from_now, lines_of

WHO = st.integers(0, 2)
DAYS = st.sampled_from([-3, -1, 0, 5, 40])
GRANTS = st.lists(
    st.tuples(WHO, st.integers(0, 30), st.integers(0, 200), DAYS).filter(
        lambda grant: grant[1] + grant[2] > 0
    ),
    max_size=30,
)
SPENT = st.lists(st.tuples(WHO, st.integers(1, 60)), max_size=4)

Grant = tuple[int, int, int, int]
Town = list[Wallet]
Rows = list[Any]


def at_once(_: int) -> int:
    """Put everything into one batch."""
    return 0


def one_by_one(number: int) -> int:
    """Put each thing into a batch of its own."""
    return number


def in_batches(things: Sequence[Any], batch_of: Callable[[int], int]) -> list[list[Any]]:
    batches: dict[int, list[Any]] = {}
    for number, thing in enumerate(things):
        batches.setdefault(batch_of(number), []).append(thing)
    return list(batches.values())


@contextmanager
def locked(
    town: Town, citizen_ids: Sequence[str]
) -> Iterator[tuple[psycopg.Connection[Any], Accounts]]:
    with town[0].runtime.database.raw_transaction() as connection:
        yield connection, lock_accounts(connection, citizen_ids)


def issue_all(town: Town, grants: Sequence[Grant], batch_of: Callable[[int], int]) -> list[UUID]:
    ids = [uuid4() for _ in grants]
    issues = [
        Issue(town[who].citizen_id.hex, each.hex, days_from_now(day).isoformat(), points, grams)
        for each, (who, points, grams, day) in zip(ids, grants, strict=True)
    ]
    for batch in in_batches(issues, batch_of):
        with locked(town, [issue.citizen_id for issue in batch]) as (connection, accounts):
            issue_lots(connection, accounts, batch)
    return ids


def invalidate_all(
    town: Town, false_ones: Sequence[tuple[int, UUID]], batch_of: Callable[[int], int]
) -> list[Outcome]:
    claims = [Claim(town[who].citizen_id.hex, each.hex) for who, each in false_ones]
    outcomes: list[Outcome] = []
    for batch in in_batches(claims, batch_of):
        with locked(town, [claim.citizen_id for claim in batch]) as (connection, accounts):
            outcomes += invalidate(connection, accounts, batch)
    return outcomes


def expire_all(town: Town, batch_of: Callable[[int], int]) -> None:
    for batch in in_batches([wallet.citizen_id.hex for wallet in town], batch_of):
        with locked(town, batch) as (connection, accounts):
            expire(connection, accounts, batch, clock.today())


def seen_of(town: Town) -> Rows:
    """Return each citizen's lots, debt and transfers, but not their order inside a batch."""
    return [(wallet.lots(), wallet.owed(), sorted(wallet.transfers())) for wallet in town]


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    before=GRANTS,
    spent=SPENT,
    false_ones=st.lists(st.integers(0, 29), max_size=20, unique=True),
    after=GRANTS,
)
def test_a_batch_equals_its_parts(
    before: list[Grant],
    spent: list[tuple[int, int]],
    false_ones: list[int],
    after: list[Grant],
    runtime: Runtime,
) -> None:
    seen, taken = [], []
    for batch_of in (at_once, one_by_one):
        town = [Wallet(runtime) for _ in range(3)]
        ids = issue_all(town, before, batch_of)
        for who, points in spent:
            town[who].retire(points)
        false = [(before[n][0], ids[n]) for n in false_ones if n < len(before)]
        taken.append([lines_of(outcome) for outcome in invalidate_all(town, false, batch_of)])
        issue_all(town, after, batch_of)
        expire_all(town, batch_of)
        seen.append(seen_of(town))

    assert taken[0] == taken[1]
    assert seen[0] == seen[1]


def test_a_large_batch_issues_invalidates_and_recovers_like_a_small_one(runtime: Runtime) -> None:
    seen = []
    for batch_of in (at_once, one_by_one):
        town = [Wallet(runtime) for _ in range(20)]
        ids = issue_all(town, [(who, 7, 100, 40) for who in range(20)], batch_of)
        for wallet in town:
            wallet.retire(5)
        invalidate_all(town, list(enumerate(ids)), batch_of)
        issue_all(town, [(who, who, 3 * who + 1, 5) for who in range(20)], batch_of)
        with clock.shifted(timedelta(days=6)):
            expire_all(town, batch_of)
        seen.append(seen_of(town))

    assert seen[0] == seen[1]
    assert {wallet.owed() for wallet in town} != {(0, 0)}
