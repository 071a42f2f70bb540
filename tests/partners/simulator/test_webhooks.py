"""The simulated partner's own check of a webhook, beside the reference library."""

import base64
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from service.partners.simulator.webhooks import is_genuine

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
BODY = '{"type": "redemption.submitted"}'


def headers(at: datetime, secret: str = SECRET) -> dict[str, str]:
    """What the reference library would send."""
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": f"v1a,b3RoZXI= {Webhook(secret).sign('evt_1', at, BODY)}",
    }


def test_accepts_what_the_reference_library_signs() -> None:
    assert is_genuine(SECRET, headers(datetime.now(UTC)), BODY.encode())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_refuses_what_is_of_another_time(minutes: int) -> None:
    then = datetime.now(UTC) + timedelta(minutes=minutes)

    assert not is_genuine(SECRET, headers(then), BODY.encode())


def test_refuses_another_body_secret_or_nothing() -> None:
    now = datetime.now(UTC)
    other = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

    assert not is_genuine(SECRET, headers(now), BODY.encode() + b" ")
    assert not is_genuine(SECRET, headers(now, other), BODY.encode())
    assert not is_genuine(SECRET, {}, BODY.encode())
