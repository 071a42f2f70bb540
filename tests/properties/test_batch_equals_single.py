"""A feed of many lines means the same as its lines sent one by one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count, zip_longest
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import clock
from service.activities.account import account_of
from service.activities.audit import CHECKS as ACTIVITY_CHECKS
from service.ledger.audit import run_audit
from service.ledger.invariants import CHECKS as LEDGER_CHECKS
from service.runtime import Runtime
from tests.ledger.town import Town

ACCOUNTS = ("ann", "bea")
STRANGER = "nobody's"
UNIQUE = count()

Verdict = tuple[str, str | None, int | None, int | None]
"""Verdict, code, grams, points."""

# Few accounts, ids, hours and quantities, so that lines meet: the same again, the same id with
# other content, two trips at one time, more than a day's cap, one invoice twice.
rides = st.fixed_dictionaries(
    {
        "external_id": st.integers(0, 29).map(str),
        "account_ref": st.sampled_from([*ACCOUNTS, *ACCOUNTS, STRANGER]),
        "behavior": st.sampled_from(["metro_ride", "metro_ride", "shared_bike_ride"]),
        "started_at": st.integers(0, 35),
        "minutes": st.sampled_from([20, 20, 20, 90, 0, -5]),
        "activity_data": st.sampled_from(
            [{"distance_m": 3000}] * 4
            + [{"distance_m": 1}, {"distance_m": 90_000}, {}, {"speed": 1}]
        ),
    }
)
invoices = st.fixed_dictionaries(
    {
        "external_id": st.integers(0, 9).map(str),
        "account_ref": st.sampled_from(ACCOUNTS),
        "behavior": st.just("e_invoice"),
        "started_at": st.integers(0, 22),
        "minutes": st.just(0),
        "activity_data": st.sampled_from(["1", "2"]).map(lambda number: {"document_id": number}),
    }
)


def busy_day(number: int) -> dict[str, Any]:
    """Return one of many honest rides of one citizen, more of which than its cap fill a day."""
    return {
        "external_id": f"busy-{number}",
        "account_ref": "ann",
        "behavior": "metro_ride",
        "started_at": 4 * number,
        "minutes": 20,
        "activity_data": {"distance_m": 3000},
    }


feeds = st.builds(
    lambda busy, noise: [line for pair in zip_longest(busy, noise) for line in pair if line],
    st.integers(0, 9).map(lambda rides: [busy_day(number) for number in range(rides)]),
    st.lists(st.one_of(rides, rides, invoices), max_size=25),
)


def written(line: dict[str, Any], day: datetime, town: str) -> bytes:
    """Return a drawn line as bytes; what counts once is named after its town."""
    started_at = day + timedelta(minutes=20 * line["started_at"])
    data = dict(line["activity_data"])
    if "document_id" in data:
        data["document_id"] += town
    return msgspec.json.encode(
        {
            "external_id": line["external_id"],
            "account_ref": line["account_ref"],
            "behavior": line["behavior"],
            "started_at": started_at.isoformat(),
            "ended_at": (started_at + timedelta(minutes=line["minutes"])).isoformat(),
            "activity_data": data,
        }
    )


def verdicts(town: Town, lines: Sequence[bytes]) -> list[Verdict]:
    outcomes = town.intake.record_feed(town.source, lines).outcomes
    return [(each.verdict, each.code, each.reduction_g, each.points) for each in outcomes]


def balances(town: Town) -> list[bytes]:
    with town.runtime.database.raw_transaction() as connection:
        return [
            account_of(connection, town.citizens[name], clock.today()).as_json()
            for name in ACCOUNTS
        ]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(feed=feeds, delay_days=st.sampled_from([0, 0, 2]))
def test_a_feed_means_the_same_as_its_lines_one_by_one(
    feed: list[dict[str, Any]], delay_days: int, runtime: Runtime
) -> None:
    day = clock.start_of(clock.today() - timedelta(days=2))
    at_once = Town.founded(runtime, *ACCOUNTS, delay_days=delay_days)
    one_by_one = Town.founded(runtime, *ACCOUNTS, delay_days=delay_days)
    name_a, name_b = f"a{next(UNIQUE)}", f"b{next(UNIQUE)}"
    together = [written(line, day, name_a) for line in feed]
    apart = [written(line, day, name_b) for line in feed]

    crowd = verdicts(at_once, together)
    singles = [verdict for line in apart for verdict in verdicts(one_by_one, [line])]

    assert crowd == singles
    assert balances(at_once) == balances(one_by_one)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(feed=feeds, cuts=st.lists(st.integers(0, 30), max_size=3))
def test_any_feeds_leave_books_that_an_audit_accepts(
    feed: list[dict[str, Any]], cuts: list[int], fresh_runtime: Runtime
) -> None:
    day = clock.start_of(clock.today() - timedelta(days=2))
    town = Town.founded(fresh_runtime, *ACCOUNTS)
    # One id for two accounts is a source's fault, which the audit is there to find.
    own_ids = [{**line, "external_id": line["account_ref"] + line["external_id"]} for line in feed]
    lines = [written(line, day, f"c{next(UNIQUE)}") for line in own_ids]

    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(lines)], strict=True):
        verdicts(town, lines[start:end])

    findings = run_audit(fresh_runtime.database, (*LEDGER_CHECKS, *ACTIVITY_CHECKS))
    assert [finding for finding in findings if finding.differences] == []
