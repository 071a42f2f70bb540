"""A source that corrects what it has reported, and what can be seen of it afterwards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from werkzeug.test import TestResponse

from service import clock, ids
from service.activities.audit import CHECKS as OF_ACTIVITIES
from service.activities.certification.batches import close_due_batches, decide_batch
from service.activities.certification.carrying_out import CarriedOut, carry_out
from service.activities.intake.candidates import Source
from service.ledger.audit import run_audit
from service.ledger.invariants import CHECKS as OF_THE_LEDGER
from service.ledger.spending import retire
from service.runtime import Runtime
from tests.activities.callers import bearer
from tests.activities.factories import (
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    noon,
    record,
    rows,
)

RIDE_4100_M_G = 191
"""4.1 km × 46.8 g/km, rounded down."""
RIDE_12300_M_G = 575
HALF_AN_HOUR = timedelta(minutes=30)
VERIFIER = uuid4()

END_LINKS = """
UPDATE source_link SET state = 'ended', ended_at = now(), account_sealed = NULL,
       sealed_key_version = NULL
WHERE citizen_id = %s
"""


def restated(distance_m: int = 4100, **changes: Any) -> dict[str, Any]:
    """Return the body of a correction: the same ride, of another length."""
    return {
        "reason": "a gate was counted twice",
        "started_at": noon().isoformat(),
        "ended_at": (noon() + HALF_AN_HOUR).isoformat(),
        "activity_data": {"distance_m": distance_m},
        **changes,
    }


WITHDRAWN = {"reason": "a test card", "withdrawn": True}


def correct(
    app: Flask, source: Source, act: UUID, body: dict[str, Any], **headers: str
) -> TestResponse:
    """Send a correction."""
    assert source.id is not None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().post(
        f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/corrections",
        json=body,
        headers={**bearer(app, "partner", source.id, "source"), **named},
    )


def corrected(app: Flask, source: Source, act: UUID, body: dict[str, Any]) -> dict[str, Any]:
    """Send one that is new, and return the answer."""
    response = correct(app, source, act, body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.get_json()
    return answer


def a_certified_ride(runtime: Runtime) -> tuple[Source, UUID, UUID, bytes]:
    """Return a source, a citizen, her ride of 8.2 km, and its line."""
    source = a_source(runtime)
    citizen, line = a_citizen(runtime, source), a_ride()
    (act,) = activity_ids(record(runtime, source, line))
    return source, citizen, act, line


def a_waiting_ride(runtime: Runtime) -> tuple[Source, UUID, UUID]:
    """Return a source that settles later, a citizen, and her ride of 8.2 km, which waits."""
    source = a_source(runtime, delay_days=1)
    citizen = a_citizen(runtime, source)
    (act,) = activity_ids(record(runtime, source, a_ride()))
    return source, citizen, act


def spend(runtime: Runtime, citizen: UUID, points: int) -> None:
    """Let a citizen spend points."""
    with runtime.database.raw_transaction() as connection:
        retire(connection, citizen, uuid4(), points=points).raise_refusal()


def owed(runtime: Runtime, citizen: UUID) -> tuple[int, int]:
    """Return points and grams that a citizen owes."""
    ((points, grams),) = rows(
        runtime, "SELECT owed_points, owed_g FROM account WHERE citizen_id = %s", citizen
    )
    return points, grams


def broken(runtime: Runtime) -> list[str]:
    """Return the invariants that do not hold."""
    report = run_audit(runtime.database, (*OF_THE_LEDGER, *OF_ACTIVITIES))
    return [each.name for each in report if each.differences]


def of_id(public: str) -> UUID:
    """Return the activity's id behind a public one."""
    return ids.uuid_of(ids.ACTIVITY, public)


def waiting(runtime: Runtime, citizen: UUID) -> list[tuple[UUID, int]]:
    """Return what waits of a citizen, with its points."""
    query = "SELECT activity_id, points FROM pending_activity WHERE citizen_id = %s"
    return [(act, points) for act, points in rows(runtime, query, citizen)]


def close(runtime: Runtime, source: Source) -> UUID:
    """Close a source's batch and return it."""
    close_due_batches(runtime.database, today=clock.today() + timedelta(days=2))
    query = (
        "SELECT id FROM certification_batch b WHERE source_id = %s AND NOT EXISTS"
        " (SELECT FROM certification_decision d WHERE d.batch_id = b.id)"
    )
    ((batch,),) = rows(runtime, query, source.id)
    assert isinstance(batch, UUID)
    return batch


def approve(runtime: Runtime, batch: UUID) -> CarriedOut:
    """Approve a batch and issue what is in it."""
    with runtime.database.raw_transaction() as connection:
        decide_batch(connection, batch, "approved", "looked at", VERIFIER)
    return carry_out(runtime.database, batch)


def rows_changed(runtime: Runtime, statement: str, *arguments: Any) -> None:
    """Change rows as the application."""
    with runtime.database.raw_transaction() as connection:
        connection.execute(statement.encode(), arguments)


def at_once(times: int, act: Callable[[], TestResponse]) -> list[TestResponse]:
    """Do the same several times at the same moment."""
    barrier = Barrier(times)

    def start(_: int) -> TestResponse:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(start, range(times)))
