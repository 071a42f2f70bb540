"""Sending a code: to a file for developers, or to the operator's gateway."""

import json
import os
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from service.identity.errors import SmsUnavailable
from service.settings import Settings

TO_FILE = "file"
FILE_NAME = "sms.jsonl"
GATEWAY_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """What is sent to one number."""

    phone: str
    """E.164 for a gateway; in the file, as it was typed, for whoever looks for it."""
    code: str
    request_id: str


def send(settings: Settings, message: CodeMessage) -> None:
    """Send a code; called after its transaction, so that no lock waits for a gateway.

    Raises:
        SmsUnavailable: the gateway did not take the message.
    """
    line = json.dumps(
        {"phone": message.phone, "code": message.code, "request_id": message.request_id}
    )
    if settings.sms_sender == TO_FILE:
        _append(settings.home / FILE_NAME, line)
    else:
        _post(settings.sms_sender, line)


def _append(path: Path, line: str) -> None:
    """Add one line with one write, so that lines of several processes never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


def _post(gateway: str, body: str) -> None:
    request = urllib.request.Request(  # noqa: S310  the operator's own setting
        gateway, body.encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=GATEWAY_TIMEOUT_S):  # noqa: S310
            return
    except (URLError, OSError, HTTPException) as error:
        raise SmsUnavailable(
            "The code could not be sent. Please try again in a minute.", retry_after_s=60
        ) from error
