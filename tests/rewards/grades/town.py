"""Rules of grades and people with certified acts, made the way they are made in life."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from werkzeug.test import TestResponse

from service import clock
from service.access_tokens import AccessTokens, Kind
from service.activities.intake.candidates import Source
from service.rewards.grades.judging import Threshold
from service.rewards.grades.versions import NewRules, approve_rules, enter_rules
from service.runtime import Runtime
from service.web.context import ACCESS_TOKENS
from tests.activities.factories import RIDE_8200_M_G, a_citizen, a_ride, a_source, noon, record

RIDE_G = RIDE_8200_M_G
SOURCE = "made up for a test, decided by nobody"
LIGHT = Threshold("light_green", RIDE_G, 1)
MEDIUM = Threshold("medium_green", 2 * RIDE_G, 1)
DEEP = Threshold("deep_green", 2 * RIDE_G, 2)
LADDER = (LIGHT, MEDIUM, DEEP)


def rules_in_force(
    runtime: Runtime,
    *thresholds: Threshold,
    name: str | None = None,
    months: int = 3,
    since: date = date(2020, 1, 1),
    approved: bool = True,
) -> str:
    """Enter rules and have them approved; return their name."""
    rules = NewRules(
        name or f"rules-{uuid4().hex[:12]}", since, months, thresholds or LADDER, SOURCE
    )
    with runtime.database.raw_transaction() as connection:
        entered = enter_rules(connection, rules, uuid4(), clock.today())
        if approved:
            approve_rules(connection, entered.name, entered.version, uuid4(), clock.today())
    return entered.name


@dataclass(frozen=True)
class Rider:
    """A citizen with her card, and the metro that reports her rides."""

    runtime: Runtime
    source: Source
    id: UUID

    @classmethod
    def of(cls, runtime: Runtime, *, rides_days_ago: Sequence[int] = ()) -> "Rider":
        """Make her, with rides at noon."""
        source = a_source(runtime)
        rider = cls(runtime, source, a_citizen(runtime, source))
        for days_ago in rides_days_ago:
            rider.rides(days_ago)
        return rider

    def rides(self, days_ago: int, **changes: Any) -> UUID:
        """Let her ride at noon of a day, reported a day later; return the activity."""
        at = noon(days_ago)
        with clock.shifted(-timedelta(days=days_ago - 1)):
            feed = record(self.runtime, self.source, a_ride(at=at, **changes))
        (outcome,) = feed.outcomes
        assert outcome.verdict == "certified", outcome
        assert outcome.activity_id is not None
        return UUID(hex=outcome.activity_id)


@dataclass(frozen=True)
class Desk:
    """Calls as one caller."""

    app: Flask
    kind: Kind
    id: UUID = field(default_factory=uuid4)
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    language: str = "en"

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        tokens: AccessTokens = self.app.extensions[ACCESS_TOKENS]
        token = tokens.issue(self.kind, self.id, roles=self.roles, scopes=self.scopes)
        named = {"Authorization": f"Bearer {token}", "Accept-Language": self.language}
        return self.app.test_client().open(
            f"/v1{path}",
            method=method,
            json=body,
            headers=named | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def get(self, path: str) -> TestResponse:
        return self.send("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.send("POST", path, body, **headers)


def an_operator(app: Flask) -> Desk:
    """Return an operator's desk, a new one each time."""
    return Desk(app, "staff", roles=("operator",))
