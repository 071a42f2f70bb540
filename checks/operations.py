"""One thing asked of the service under an id, and what its answer says has happened."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID, uuid4

import psycopg

from checks.books import CHART
from checks.calling import JSON, Client, Unanswered
from checks.town import Town, feed_of
from service.db import Database, DatabaseUnavailable
from service.ledger.holds import capture, hold, release
from service.ledger.postings import Outcome
from service.ledger.spending import donate, retire

PARTY: Final = UUID(int=7)
CONNECTION_LOST: Final = ("08", "57P")
"""Beginnings of the SQL states that say only that the connection or the server ended."""


class Effect(NamedTuple):
    """Points that an answer says have moved."""

    citizen_id: UUID
    source: str
    target: str
    points: int


class Answered(NamedTuple):
    """What the service has told."""

    told: str
    """What must be the same whenever it is told again."""
    effects: tuple[Effect, ...]


class Misanswered(Exception):
    """An answer that nobody should ever get, such as 500."""


class Request(Protocol):
    """Something to ask for, again and again under the same id."""

    @property
    def what(self) -> str:
        """Its kind, in a word."""
        ...

    def send(self) -> Answered:
        """Ask, and return the answer.

        Raises:
            Unanswered: whether it happened is not known.
        """
        ...


@dataclass(slots=True)
class Operation:
    """A request and what has become of it."""

    request: Request
    answer: Answered | None = None
    was_unknown: bool = False
    error: str = ""

    def send(self) -> None:
        """Ask, for the first time or again; an answer may not change."""
        try:
            answer = self.request.send()
        except Unanswered:
            self.was_unknown = self.was_unknown or self.answer is None
            return
        except Exception as error:  # noqa: BLE001  whatever reaches a caller is what is judged
            self.error = f"{self.request.what}: {type(error).__name__}: {error}"
            return
        if self.answer is not None and answer.told != self.answer.told:
            self.error = f"{self.request.what}: first {self.answer.told}, then {answer.told}"
        self.answer = self.answer or answer


@dataclass(slots=True)
class Feed:
    """Some acts that a source reports; their keys are the ids."""

    client: Client
    town: Town
    lines: list[dict[str, Any]]
    what: str = "feed"

    @property
    def names(self) -> list[str]:
        """The acts' external ids."""
        return [line["external_id"] for line in self.lines]

    def send(self) -> Answered:
        """Report them."""
        answer = self.client.feed(self.town.source_token, feed_of(self.lines))
        if answer.status != 200:
            raise Misanswered(f"{answer.status} {answer.body}")
        items = answer.body["items"]
        verdicts = {item.get("first_verdict", item["verdict"]) for item in items}
        if verdicts != {"certified"}:
            raise Misanswered(f"not all certified: {items}")
        told = [(each["activity_id"], each["reduction_g"], each["points"]) for each in items]
        citizens = [self.town.citizens[line["account_ref"]] for line in self.lines]
        effects = [
            Effect(citizen, "issued", "available", item["points"])
            for citizen, item in zip(citizens, items, strict=True)
        ]
        return Answered(json.dumps(told), tuple(effects))


@dataclass(slots=True)
class Posting:
    """One call of the ledger's functions, as a transaction of its own."""

    database: Database
    citizen_id: UUID
    what: str
    points: int
    hold_id: UUID | None = None
    id: UUID = field(default_factory=uuid4)

    def send(self) -> Answered:
        """Post it."""
        try:
            with self.database.raw_transaction() as connection:
                outcome = self._posted(connection)
        except DatabaseUnavailable as error:
            raise Unanswered from error
        except psycopg.OperationalError as error:
            if error.sqlstate is None or error.sqlstate.startswith(CONNECTION_LOST):
                raise Unanswered from error
            raise
        return _answered(self.citizen_id, outcome)

    def _posted(self, connection: psycopg.Connection[Any]) -> Outcome:
        mine = connection, self.citizen_id, self.id
        if self.what == "hold":
            return hold(*mine, self.points)
        if self.what == "retire":
            return retire(*mine, points=self.points)
        if self.what == "donate":
            return donate(*mine, self.points, PARTY)
        assert self.hold_id is not None
        if self.what == "capture":
            return capture(*mine, self.hold_id, self.points, PARTY)
        return release(*mine, self.hold_id, self.points)


@dataclass(slots=True)
class Retirement:
    """A citizen's own grams, retired over HTTP under an Idempotency-Key."""

    client: Client
    token: str
    citizen_id: UUID
    points: int
    what: str = "retirement over HTTP"
    key: str = field(default_factory=lambda: uuid4().hex)

    def send(self) -> Answered:
        """Ask for it."""
        body = json.dumps({"points": self.points}).encode()
        answer = self.client.post(
            "/v1/me/retirements", self.token, body, JSON, Idempotency_Key=self.key
        )
        if answer.status != 201:
            raise Misanswered(f"{answer.status} {answer.body}")
        told = json.dumps(answer.body, sort_keys=True)
        effect = Effect(self.citizen_id, "available", "retired", answer.body["points"])
        return Answered(told, (effect,))


def _answered(citizen_id: UUID, outcome: Outcome) -> Answered:
    if outcome.refusal is not None:
        return Answered(outcome.refusal.code, ())
    effects = [Effect(citizen_id, *CHART[line.kind], line.points) for line in outcome.lines]
    return Answered(str(outcome.lines), tuple(effects))
