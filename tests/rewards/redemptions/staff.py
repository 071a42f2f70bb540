"""What staff, and the reconciler, do about redemptions in the tests."""

from typing import Any
from uuid import UUID, uuid4

from werkzeug.test import TestResponse

from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.settling import settle
from service.web.context import access_tokens
from tests.rewards.market import Market


def as_staff(
    market: Market, staff_id: UUID, role: str = "operator", key: str | None = None
) -> dict[str, str]:
    with market.app.app_context():
        token = access_tokens().issue("staff", staff_id, roles=[role])
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": key or uuid4().hex}


def post(market: Market, path: str, body: dict[str, Any], headers: dict[str, str]) -> TestResponse:
    return market.client.post(path, json=body, headers=headers)


def settled(market: Market, redemption_id: str) -> str:
    """Let a captured redemption be settled, as an accepted batch would."""
    uuid = uuid_of(REDEMPTION, redemption_id)
    with market.runtime.database.raw_transaction() as connection:
        capture_id = connection.execute(
            "SELECT id FROM redemption_record WHERE redemption_id = %s AND kind = 'capture'", [uuid]
        ).fetchall()[0][0]
        settle(connection, {uuid: capture_id}, f"stb_{uuid4().hex}")
    return redemption_id


def resolve(market: Market, redemption_id: str, outcome: str) -> TestResponse:
    path = f"/v1/redemptions/{redemption_id}/resolutions"
    body = {"outcome": outcome, "reason": "We have asked the bank."}
    return post(market, path, body, as_staff(market, uuid4()))
