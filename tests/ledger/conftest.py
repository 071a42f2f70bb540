"""Citizens with lots, and the headers with which they call."""

from collections.abc import Callable
from datetime import date
from uuid import UUID, uuid4

import pytest
from flask import Flask

from service.access_tokens import Kind
from service.ledger.accounts import lock_account
from service.ledger.issuing import Issue, issue_lots
from service.runtime import Runtime
from service.web.context import access_tokens

Issued = Callable[..., UUID]
Headers = Callable[..., dict[str, str]]


def issue(runtime: Runtime, citizen_id: UUID, points: int, grams: int, expires_on: date) -> UUID:
    """Issue points and grams into one lot and return the transfer's id."""
    transfer_id = uuid4()
    with runtime.database.raw_transaction() as connection:
        issue_lots(
            connection,
            lock_account(connection, citizen_id),
            [Issue(citizen_id.hex, transfer_id.hex, expires_on.isoformat(), points, grams)],
        )
    return transfer_id


@pytest.fixture
def a_citizen_with(runtime: Runtime) -> Issued:
    """Make a citizen who was issued `(points, grams, expires_on)` one after another."""

    def make(*lots: tuple[int, int, date]) -> UUID:
        citizen_id = uuid4()
        for points, grams, expires_on in lots:
            issue(runtime, citizen_id, points, grams, expires_on)
        return citizen_id

    return make


@pytest.fixture
def as_caller(app: Flask) -> Headers:
    """Return the headers of a caller who has just signed in."""

    def headers(caller_id: UUID, kind: Kind = "citizen", *roles: str) -> dict[str, str]:
        with app.app_context():
            token = access_tokens().issue(kind, caller_id, roles=roles)
        return {"Authorization": f"Bearer {token}"}

    return headers
