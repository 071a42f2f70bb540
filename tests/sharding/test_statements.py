"""Hot statements as they are really sent: each finds its rows by citizen, so by shard.

PostgreSQL's own plan says how a row is found. It is asked with the scans and joins forbidden that
it would choose for tables as small as a test's.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from werkzeug.test import TestResponse

from service import clock
from service.ledger.accounts import lock_accounts
from service.ledger.captures import restore
from service.ledger.clawback import Claim, invalidate
from service.ledger.holds import capture, hold, release
from service.ledger.spending import donate, retire
from service.pipelining import PipelinedConnection, Reader
from service.runtime import Runtime
from service.sharding.placement import COLUMN, DISTRIBUTED
from tests.activities.callers import Callers
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_reading,
    a_ride,
    a_source,
    activity_ids,
    an_invoice,
    citizens,
    noon,
    record,
    record_own,
)
from tests.rewards.grades.town import Desk, Rider, rules_in_force
from tests.rewards.market import Market

TABLES = "|".join(sorted(DISTRIBUTED, key=len, reverse=True))
TOUCHES = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|USING|COPY)\s+({TABLES})\b", re.IGNORECASE)
WRITES_ROWS = re.compile(rf"\s*(?:INSERT INTO|COPY) ({TABLES})\s*\(([^)]*)\)", re.IGNORECASE)
UPSERT = re.compile(r"DO UPDATE SET(.*?)(?:RETURNING|$)", re.IGNORECASE | re.DOTALL)


class Sent(NamedTuple):
    """A statement and what went with it."""

    text: str
    terms: Any


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Sent]]:
    """Write down what is sent that touches a distributed table, each text once."""
    sent: dict[str, Sent] = {}

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def note(sender: Any, query: Any, params: Any = (), **more: Any) -> Any:
            text = query if isinstance(query, str) else query.as_string(sender.connection)
            if TOUCHES.search(text):
                sent.setdefault(text, Sent(text, params or None))
            return method(sender, query, params or (), **more)

        return note

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "copy", noting(psycopg.Cursor.copy))
        for sender in (psycopg.Cursor, PipelinedConnection, Reader):
            patched.setattr(sender, "execute", noting(sender.execute))
        yield sent


Doing = Callable[[Runtime, Flask], Callable[[], object]]
"""Makes ready, and returns what is to be done while statements are written down."""


def a_small_feed(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    source = a_source(runtime)
    citizens(runtime, source, ["card-1", "card-2", "card-3"])
    record(runtime, source, a_ride("card-1"), a_ride("card-2"))
    lines = [a_ride(card) for card in ("card-1", "card-2", "card-3")]
    later = [a_ride(card, at=noon() + timedelta(hours=3)) for card in ("card-1", "card-2")]
    return lambda: record(runtime, source, *lines, *later, an_invoice(uuid4().hex, "card-3"))


def a_large_feed(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    cards = [f"card-{number}" for number in range(40)]
    source = a_source(runtime, delay_days=3)
    citizens(runtime, source, cards)
    record(runtime, source, a_ride("card-0"), a_ride("card-1"))
    return lambda: record(runtime, source, *[a_ride(card) for card in cards])


def a_feed_of_readings(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    source = a_source(runtime, region="310000")
    hers, *_ = citizens(runtime, source, ["card-1", "card-2"])
    record(runtime, source, a_reading("card-1"), a_reading("card-2"))
    record_own(runtime, hers, a_reading(hour=5), region="310000")
    lines = [a_reading("card-1", hour=0.5), a_reading("card-2", hour=0.5)]
    return lambda: record(runtime, source, *lines, a_reading("card-1", hour=5))


def a_feed_of_one_citizen(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    source = a_source(runtime)
    a_citizen(runtime, source)
    again, later = a_ride(), noon() + timedelta(hours=2)
    record(runtime, source, again)
    return lambda: record(runtime, source, again, a_ride(), a_ride(at=later), a_ride(at=later))


def a_reading_of_one_citizen(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    source = a_source(runtime, region="310000")
    a_citizen(runtime, source)
    record(runtime, source, a_reading())
    return lambda: record(runtime, source, a_reading(hour=0.5))


def an_own_activity(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    citizen = a_citizen(runtime, a_source(runtime))
    assert record_own(runtime, citizen, a_reading(), region="310000").verdict == "pending"
    again = a_reading(hour=3)
    lines = [a_reading(hour=0.5), again, again]
    return lambda: [record_own(runtime, citizen, line, region="310000") for line in lines]


def reading(*paths: str) -> Doing:
    def make_ready(runtime: Runtime, app: Flask) -> Callable[[], object]:
        callers = Callers.of(app, runtime)
        answer = callers.send(a_ride())
        assert answer.json is not None
        activity_id = answer.json["items"][0]["activity_id"]
        named = {"activity": activity_id, "transfer": activity_id.replace("act_", "trf_")}
        return lambda: [_read(callers, path.format(**named)) for path in paths]

    return make_ready


def _read(callers: Callers, path: str) -> int:
    answer = callers.read(path)
    assert answer.status_code == 200, path
    return answer.status_code


def telling_her_grade(runtime: Runtime, app: Flask) -> Callable[[], object]:
    rider, rules = Rider.of(runtime, rides_days_ago=[1]), rules_in_force(runtime)
    offer = Market(runtime, app).offer(eligibility={"reduction_g_at_least": 1})
    desk, today = Desk(app, "citizen", rider.id), clock.today().isoformat()
    report = {"from": today, "to": today, "include": ["totals", "grade"], "rules": rules}
    return lambda: [
        _answered(desk.get(f"/me/grade?rules={rules}")),
        _answered(desk.post("/me/carbon-reports", report)),
        _answered(desk.post("/eligibility-checks", {"offer_id": offer.public_id})),
    ]


def _answered(answer: TestResponse) -> int:
    assert answer.status_code in {200, 201}, answer.text
    return answer.status_code


def spending(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    source = a_source(runtime)
    citizen = a_citizen(runtime, source)
    record(runtime, source, a_ride())
    return lambda: _spend(runtime, citizen)


def _spend(runtime: Runtime, citizen: UUID) -> None:
    held, captured, party = uuid4(), uuid4(), uuid4()
    doings: tuple[Callable[[psycopg.Connection[Any]], object], ...] = (
        lambda connection: hold(connection, citizen, held, 100),
        lambda connection: capture(connection, citizen, captured, held, 50, party),
        lambda connection: release(connection, citizen, uuid4(), held),
        lambda connection: restore(connection, citizen, uuid4(), captured, 10),
        lambda connection: retire(connection, citizen, uuid4(), points=10),
        lambda connection: donate(connection, citizen, uuid4(), 10, party),
        lambda connection: hold(connection, citizen, uuid4(), RIDE_8200_M_G),
    )
    for do in doings:
        with runtime.database.raw_transaction() as connection:
            do(connection)


def a_claw_back(runtime: Runtime, _app: Flask) -> Callable[[], object]:
    source = a_source(runtime)
    people = citizens(runtime, source, ["card-1", "card-2"])
    issues = activity_ids(record(runtime, source, a_ride("card-1"), a_ride("card-2")))
    claims = [Claim(who.hex, issue.hex) for who, issue in zip(people, issues, strict=True)]
    return lambda: _take_back(runtime, claims)


def _take_back(runtime: Runtime, claims: list[Claim]) -> None:
    with runtime.database.raw_transaction() as connection:
        accounts = lock_accounts(connection, [claim.citizen_id for claim in claims])
        invalidate(connection, accounts, claims)


HERS: dict[str, Doing] = {
    "a feed of one citizen": a_feed_of_one_citizen,
    "a reading of one citizen": a_reading_of_one_citizen,
    "an own activity": an_own_activity,
    "her account": reading("/v1/me/account"),
    "her account as it was": reading("/v1/me/account?as_of=2026-01-01T00:00:00Z"),
    "her statement": reading("/v1/me/transfers", "/v1/transfers/{transfer}"),
    "what she retired and is told": reading("/v1/me/retirements", "/v1/me/notices"),
    "her activities": reading("/v1/me/activities", "/v1/activities/{activity}"),
    "where her grams come from": reading("/v1/transfers/{transfer}/provenance"),
    "holding, capturing and spending": spending,
    "her grade, a report and an offer tried on": telling_her_grade,
}
"""One citizen's: one shard."""

SEVERAL: dict[str, Doing] = {
    "a small feed": a_small_feed,
    "a large feed": a_large_feed,
    "a feed of readings": a_feed_of_readings,
    "a claw-back": a_claw_back,
}


@pytest.mark.parametrize("doing", [*HERS, *SEVERAL])
def test_every_hot_statement_finds_its_rows_by_citizen(
    runtime: Runtime, app: Flask, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    do = {**HERS, **SEVERAL}[doing](runtime, app)
    with recorded(monkeypatch) as sent:
        do()

    assert sent, "nothing was written down"
    with runtime.database.raw_transaction() as connection:
        lost = {text for each in sent.values() if (text := elsewhere(connection, each, COLUMN))}
    assert not lost


@pytest.mark.parametrize("doing", HERS)
def test_what_one_citizen_does_names_her_by_value(
    runtime: Runtime, app: Flask, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    """A citizen who is only found by a join is looked for on every shard."""
    do = HERS[doing](runtime, app)
    with recorded(monkeypatch) as sent:
        do()

    by_value = rf"{COLUMN} = (?:'|ANY \('{{[0-9a-f-]{{36}}}}')"
    with runtime.database.raw_transaction() as connection:
        lost = {text for each in sent.values() if (text := elsewhere(connection, each, by_value))}
    assert not lost


def elsewhere(connection: psycopg.Connection[Any], sent: Sent, wanted: str) -> str | None:
    """Return the statement, if it looks for rows of a distributed table in another way."""
    writes = WRITES_ROWS.match(sent.text)
    if writes is not None and COLUMN not in writes[2]:
        return sent.text
    if sent.text.lstrip().upper().startswith("COPY"):
        return None
    for scan in scans(plan_of(connection, sent)):
        how = " ".join(str(scan.get(each, "")) for each in ("Index Cond", "Recheck Cond", "Filter"))
        if not re.search(wanted, how):
            return f"{sent.text}\n{scan['Relation Name']} is found by: {how or 'reading it all'}"
    return None


def plan_of(connection: psycopg.Connection[Any], sent: Sent) -> dict[str, Any]:
    assert connection.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS)
    for way in ("seqscan", "hashjoin", "mergejoin", "bitmapscan"):
        connection.execute(f"SET LOCAL enable_{way} = off".encode())
    row = connection.execute(f"EXPLAIN (FORMAT JSON) {sent.text}".encode(), sent.terms).fetchone()
    assert row is not None
    found: dict[str, Any] = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    return found


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield where the plan reads a distributed table."""
    if plan.get("Relation Name") in DISTRIBUTED and plan["Node Type"].endswith("Scan"):
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


WRITING = sorted(
    {*HERS, *SEVERAL} - {each for each in HERS if each.startswith(("her ", "where ", "what "))}
)
MOMENT_PLUS_INTERVAL = re.compile(r"_at \+ interval")
MUTABLE = """
SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY(%s) AND provolatile <> 'i' ORDER BY 1
"""


@pytest.mark.parametrize("doing", WRITING)
def test_an_upsert_changes_a_row_by_immutable_functions_only(
    runtime: Runtime, app: Flask, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    """Citus refuses others, and a moment plus an interval, which depends on a setting."""
    do = {**HERS, **SEVERAL}[doing](runtime, app)
    with recorded(monkeypatch) as sent:
        do()

    changes = [match[1] for each in sent.values() for match in UPSERT.finditer(each.text)]
    with runtime.database.raw_transaction() as connection:
        called = re.findall(r"(\w+)\s*\(", " ".join(changes))
        mutable = [row[0] for row in connection.execute(MUTABLE, [called])]
    assert mutable == []
    assert not [each for each in changes if MOMENT_PLUS_INTERVAL.search(each)]
