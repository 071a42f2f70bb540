"""The verifier of the simulated city: decides closed batches until everything due is settled."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import click

from service.demo.citizens import Citizen
from service.demo.client import Service
from service.identity.staff import add_staff
from service.runtime import Runtime

LONGEST_WAIT_S = 90.0
LOOK_EVERY_S = 1.0

STATEMENTS = {
    "approved": "The day's weighings and readings agree with the samples that were looked at.",
    "rejected": "The recycler's scale was out of calibration on this day.",
}


class NotSettledError(click.ClickException):
    """Batches are not closed, or decisions not carried out; the message says who should."""


@dataclass
class Verifier:
    """Somebody who looks at batches and says yes or no."""

    service: Service
    token: str
    reported_by: frozenset[str]
    """The sources whose batches she decides."""
    rejects: tuple[str, date]
    """A source and a day on which its scale was wrong."""
    decisions: dict[str, str] = field(default_factory=dict)
    """Batch id to what she said."""

    def decide_open_batches(self) -> None:
        """Decide everything that is closed and not decided yet."""
        for batch in self.service.items("/v1/certification-batches", self.token, state="open"):
            if batch["source"] in self.reported_by:
                self._decide(batch)

    def _decide(self, batch: dict[str, Any]) -> None:
        is_wrong = (batch["source"], date.fromisoformat(batch["happened_on"])) == self.rejects
        said = "rejected" if is_wrong else "approved"
        path = f"/v1/certification-batches/{batch['id']}/decisions"
        decision = {"decision": said, "statement": STATEMENTS[said]}
        self.service.post(path, decision, self.token)
        self.decisions[batch["id"]] = said


def employ_verifier(runtime: Runtime, service: Service, run: int) -> str:
    """Add a verifier, as `carbon staff add` does, let her log in and return her token."""
    name = f"sim-demo-verifier-{run}"
    with runtime.database.transaction() as session:
        new = add_staff(session, runtime.keys, name, "verifier")
    credentials = {"name": name, "password": new.password}
    token: str = service.post("/v1/auth/staff-tokens", credentials)["access_token"]
    return token


def settle(
    service: Service, verifier: Verifier, people: Sequence[Citizen], points_not_due: int
) -> None:
    """Let the verifier decide until nothing waits but what is not due yet.

    Closing batches and carrying out decisions is the work of the service's job worker.

    Raises:
        NotSettledError: the worker did not do it in time.
    """
    deadline = time.monotonic() + LONGEST_WAIT_S
    while True:
        verifier.decide_open_batches()
        waiting = sum(each.account(service)["points"]["pending"] for each in people)
        if waiting == points_not_due:
            return
        if time.monotonic() > deadline:
            raise NotSettledError(
                f"{waiting - points_not_due:,} points that are due still wait. Is the job worker "
                "running that `make run` starts?"
            )
        time.sleep(LOOK_EVERY_S)
