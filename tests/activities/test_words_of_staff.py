"""What staff say of a citizen is kept only where her erasure reaches it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from service import ids
from service.activities.appeals.appeals import make_appeal
from service.identity.staff import add_staff
from service.runtime import Runtime
from tests.activities.callers import bearer
from tests.activities.corrections.desk import a_certified_ride
from tests.activities.factories import (
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    noon,
    record,
    rows,
)

WORDS = "she lent her card to a neighbour"
STORED = "SELECT count(*) FROM idempotency_key WHERE principal_id = ANY(%s)"

Sent = tuple[UUID, str, dict[str, Any] | None]
"""By which operator, to which path, with which body."""


def an_invalidation(runtime: Runtime) -> list[Sent]:
    _, _, act, _ = a_certified_ride(runtime)
    path = f"/v1/activities/{ids.public_id(ids.ACTIVITY, act)}/invalidations"
    one, other = an_operator(runtime), an_operator(runtime)
    return [(one, path, {"reason": WORDS}), (other, f"{path}/approvals", None)]


def a_decision(runtime: Runtime) -> list[Sent]:
    source = a_source(runtime)
    citizen = a_citizen(runtime, source)
    (act,) = activity_ids(record(runtime, source, a_ride(at=noon(9))))
    with runtime.database.raw_transaction() as connection:
        appeal, _ = make_appeal(connection, citizen, act, "I was there")
    path = f"/v1/appeals/{ids.public_id(ids.APPEAL, appeal.id)}/decisions"
    return [(an_operator(runtime), path, {"decision": "dismissed", "statement": WORDS})]


def an_operator(runtime: Runtime) -> UUID:
    with runtime.database.transaction() as session:
        return add_staff(session, runtime.keys, f"olga-{uuid4().hex}", "operator").id


def answers(app: Flask, sent: Sequence[Sent], key: str) -> list[TestResponse]:
    return [
        app.test_client().post(
            path,
            json=body,
            headers=bearer(app, "staff", operator, "operator") | {"Idempotency-Key": key},
        )
        for operator, path, body in sent
    ]


@pytest.fixture(params=[an_invalidation, a_decision])
def sent(request: pytest.FixtureRequest, runtime: Runtime) -> list[Sent]:
    made: list[Sent] = request.param(runtime)
    return made


def test_is_kept_with_no_stored_answer(app: Flask, runtime: Runtime, sent: list[Sent]) -> None:
    told = answers(app, sent, uuid4().hex)

    assert all(WORDS in answer.text for answer in told)
    assert rows(runtime, STORED, [operator for operator, _, _ in sent]) == [(0,)]


def test_is_answered_again_under_the_same_key(app: Flask, sent: list[Sent]) -> None:
    key = uuid4().hex
    first = answers(app, sent, key)

    again = answers(app, sent, key)

    assert [answer.status_code for answer in first] == [201] * len(sent)
    assert [answer.status_code for answer in again] == [200] * len(sent)
    assert again[-1].get_json() == first[-1].get_json()


def test_is_refused_under_a_key_that_cannot_be_read(app: Flask, sent: list[Sent]) -> None:
    answer, *_ = answers(app, sent, "two words")

    assert (answer.status_code, answer.get_json()["code"]) == (400, "idempotency-key-malformed")
