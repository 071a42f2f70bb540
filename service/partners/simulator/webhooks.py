"""Webhooks as a partner receives them: verified by Standard Webhooks 1.0 in twenty lines."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

TOLERANCE_S: Final = 300


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether a webhook is ours, unchanged and of now.

    Args:
        secret: `whsec_…`, as it was given with the endpoint.
        headers: by names of any case.
        body: as it arrived, before anything has read it.
    """
    named = {name.lower(): value for name, value in headers.items()}
    event_id, sent_at = named.get("webhook-id", ""), named.get("webhook-timestamp", "")
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{sent_at}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = named.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(each, f"v1,{expected}") for each in given)
