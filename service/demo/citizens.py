"""The people of the simulated city: they sign in, link accounts, look at what they have."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from service.demo.client import Service
from service.demo.month import account_of
from service.demo.sources import SOURCES, Source
from service.identity.sms import FILE_NAME, TO_FILE
from service.runtime import Runtime

NUMBERS_OF_A_RUN = 10_000
SMS_WAIT_S = 5.0


class CodeMissingError(click.ClickException):
    """No one-time code came; the message says why not."""


class SmsFile:
    """The file in which a developer's service puts its messages."""

    def __init__(self, runtime: Runtime) -> None:
        if runtime.settings.sms_sender != TO_FILE:
            raise CodeMissingError(
                "The demonstration reads one-time codes from a file, and this service sends them "
                "as messages. Play it on a service of its own, without CARBON_SMS."
            )
        self._path: Path = runtime.settings.home / FILE_NAME
        self._read = self._path.stat().st_size if self._path.exists() else 0

    def code_of(self, request_id: str) -> str:
        """Return the code that was sent for a request.

        Raises:
            CodeMissingError: the service sends its codes elsewhere.
        """
        deadline = time.monotonic() + SMS_WAIT_S
        while time.monotonic() < deadline:
            for message in self._new_messages():
                if message["request_id"] == request_id:
                    return str(message["code"])
            time.sleep(0.05)
        raise CodeMissingError(
            f"No code came to {self._path}. Was the service started with CARBON_SMS?"
        )

    def _new_messages(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


@dataclass(frozen=True, slots=True)
class Citizen:
    """Somebody who is signed in."""

    index: int
    phone: str
    token: str

    def record(self, service: Service, act: dict[str, Any]) -> dict[str, Any]:
        """Record an act by herself and return the verdict."""
        verdict: dict[str, Any] = service.post("/v1/activities", act, self.token)
        return verdict

    def activities(self, service: Service) -> list[dict[str, Any]]:
        """Return everything that is recorded of her."""
        return service.items("/v1/me/activities", self.token)

    def account(self, service: Service) -> dict[str, Any]:
        """Return her points and grams."""
        account: dict[str, Any] = service.get("/v1/me/account", self.token)
        return account


def phone_of(seed: int, run: int, index: int) -> str:
    """Return a number that no other run uses: 199, the run, the person.

    Valid by its shape; nothing is ever sent to it, since codes go into a file.
    """
    return f"+86199{(seed * 1_000 + run) % NUMBERS_OF_A_RUN:04}{index:04}"


def move_in(
    service: Service, sms: SmsFile, phone: str, index: int, sources: dict[str, Source]
) -> Citizen:
    """Sign in with a one-time code, and link an account at every source."""
    asked = service.post("/v1/auth/otp", {"phone": phone})
    request_id = asked["request_id"]
    tokens = service.post(
        "/v1/auth/tokens",
        {"grant_type": "otp", "request_id": request_id, "code": sms.code_of(request_id)},
    )
    citizen = Citizen(index, phone, tokens["access_token"])
    for role in SOURCES:
        link = {"source": sources[role].name, "account_ref": account_of(index)}
        service.post("/v1/me/source-links", link, citizen.token)
    return citizen
