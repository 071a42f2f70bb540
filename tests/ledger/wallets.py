"""A citizen's wallet as the tests of the ledger see it: every kind of posting, and what it left."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from service import clock
from service.ledger.accounts import lock_account, lock_accounts
from service.ledger.captures import pool, restore
from service.ledger.carrying import extend
from service.ledger.chart import ENTRANCES, PLACES
from service.ledger.clawback import Claim, invalidate
from service.ledger.expiry import expire
from service.ledger.holds import capture, hold, release
from service.ledger.issuing import Issue, issue_lots
from service.ledger.postings import Outcome
from service.ledger.spending import donate, retire
from service.runtime import Runtime

BANK = UUID("00000000-0000-4000-8000-00000000ba9c")
SHOP = UUID("00000000-0000-4000-8000-0000000051f0")
POOL = UUID("00000000-0000-4000-8000-00000000b001")

Grant = tuple[int, int, date]
"""Points, grams, last day."""

Line = tuple[date, int, int]
"""Lot, points, grams."""

KINDS: dict[str, Callable[..., Outcome]] = {
    "hold": hold,
    "release": release,
    "capture": capture,
    "restore": restore,
    "pool": pool,
    "retire": retire,
    "donate": donate,
    "extend": extend,
}

COLUMNS = (*ENTRANCES, *PLACES)

READ_LOTS = f"""
SELECT expires_on, {", ".join(f"{place}_points, {place}_g" for place in COLUMNS)}
FROM lot WHERE citizen_id = %s ORDER BY expires_on
"""

COUNT_TRACES = """
SELECT (SELECT count(*) FROM account WHERE citizen_id = %(citizen)s),
       (SELECT count(*) FROM posting WHERE citizen_id = %(citizen)s),
       (SELECT count(*) FROM transfer WHERE citizen_id = %(citizen)s)
"""


def days_from_now(days: int) -> date:
    """Return a day in Asia/Shanghai: negative ones have passed."""
    return clock.today() + timedelta(days=days)


def lines_of(outcome: Outcome) -> list[Line]:
    """Return an outcome's lot lines without their kinds."""
    return [(line.expires_on, line.points, line.reduction_g) for line in outcome.lines]


def kinds_of(outcome: Outcome) -> list[str]:
    """Return the kinds of an outcome's lot lines."""
    return [line.kind for line in outcome.lines]


def refusal_of(outcome: Outcome) -> str | None:
    """Return the code of a refusal."""
    return None if outcome.refusal is None else outcome.refusal.code


@dataclass(frozen=True)
class Wallet:
    """One citizen; every call is a transaction of its own, under a new id unless one is given."""

    runtime: Runtime
    citizen_id: UUID = field(default_factory=uuid4)
    is_pipelined: bool = False
    """Whether her postings come in transactions whose statements share round trips."""

    @classmethod
    def with_lots(cls, runtime: Runtime, *grants: Grant) -> "Wallet":
        """Make a citizen who was issued `(points, grams, last day)` one after another."""
        wallet = cls(runtime)
        for grant in grants:
            wallet.issue(*grant)
        return wallet

    def issue(
        self, points: int, grams: int, expires_on: date, *, transfer_id: UUID | None = None
    ) -> UUID:
        """Issue into one lot and return the transfer's id."""
        chosen = transfer_id or uuid4()
        issue = Issue(self.citizen_id.hex, chosen.hex, expires_on.isoformat(), points, grams)
        with self.runtime.database.raw_transaction() as connection:
            issue_lots(connection, lock_account(connection, self.citizen_id), [issue])
        return chosen

    def hold(self, points: int, *, posting_id: UUID | None = None) -> Outcome:
        return self.post(hold, posting_id, points)

    def release(
        self,
        hold_id: UUID,
        points: int | None = None,
        carry_to: date | None = None,
        *,
        posting_id: UUID | None = None,
    ) -> Outcome:
        return self.post(release, posting_id, hold_id, points, carry_to)

    def capture(
        self, hold_id: UUID, points: int, party: UUID = BANK, *, posting_id: UUID | None = None
    ) -> Outcome:
        return self.post(capture, posting_id, hold_id, points, party)

    def restore(
        self,
        capture_id: UUID,
        points: int | None = None,
        carry_to: date | None = None,
        *,
        posting_id: UUID | None = None,
    ) -> Outcome:
        return self.post(restore, posting_id, capture_id, points, carry_to)

    def pool(
        self,
        capture_id: UUID,
        points: int | None = None,
        party: UUID = POOL,
        *,
        posting_id: UUID | None = None,
    ) -> Outcome:
        return self.post(pool, posting_id, capture_id, party, points)

    def retire(
        self,
        points: int | None = None,
        *,
        reduction_g: int | None = None,
        posting_id: UUID | None = None,
    ) -> Outcome:
        return self.post(retire, posting_id, points=points, reduction_g=reduction_g)

    def donate(self, points: int, party: UUID = POOL, *, posting_id: UUID | None = None) -> Outcome:
        return self.post(donate, posting_id, points, party)

    def extend(
        self, expires_on: date, carry_to: date, *, posting_id: UUID | None = None
    ) -> Outcome:
        return self.post(extend, posting_id, expires_on, carry_to)

    def invalidate(self, *issue_ids: UUID) -> list[Outcome]:
        """Take back what some issues gave, in one call."""
        claims = [Claim(self.citizen_id.hex, issue_id.hex) for issue_id in issue_ids]
        with self.runtime.database.raw_transaction() as connection:
            accounts = lock_account(connection, self.citizen_id)
            return invalidate(connection, accounts, claims)

    def expire(self) -> None:
        """Book what has lapsed."""
        whose = [self.citizen_id.hex]
        with self.runtime.database.raw_transaction() as connection:
            expire(connection, lock_accounts(connection, whose), whose, clock.today())

    def post(
        self,
        kind: Callable[..., Outcome],
        posting_id: UUID | None,
        *terms: Any,
        **named_terms: Any,
    ) -> Outcome:
        """Post any kind under an id."""
        chosen = posting_id or uuid4()
        database = self.runtime.database
        opened = database.pipelined_transaction if self.is_pipelined else database.raw_transaction
        with opened() as connection:
            return kind(connection, self.citizen_id, chosen, *terms, **named_terms)

    def post_terms(self, kind: str, posting_id: UUID, terms: dict[str, Any]) -> Outcome:
        """Post a kind by its name, with terms as the ledger stores them."""
        named = dict(terms)
        if "of_id" in named:
            named["capture_id"] = named.pop("of_id")
        return self.post(KINDS[kind], posting_id, **named)

    def captured(self, points: int, party: UUID = BANK) -> UUID:
        """Hold and capture points; return the capture's id."""
        return self.capture(self.hold(points).id, points, party).id

    def lots(self) -> dict[date, dict[str, tuple[int, int]]]:
        """Return `(points, grams)` by lot and place, leaving out places where nothing is."""
        with self.connection() as connection:
            return self.lots_read_by(connection)

    def lots_read_by(
        self, reader: "psycopg.Connection[Any]"
    ) -> dict[date, dict[str, tuple[int, int]]]:
        """Return the same by a connection that is open already."""
        rows = reader.execute(READ_LOTS, (self.citizen_id,))
        return {day: _places(amounts) for day, *amounts in rows}

    def at(self, place: str) -> list[Line]:
        """Return what is at a place, lot by lot."""
        return [(day, *lot[place]) for day, lot in self.lots().items() if place in lot]

    def owed(self) -> tuple[int, int]:
        """Return points and grams that she owes."""
        rows = self.read(
            "SELECT owed_points, owed_g FROM account WHERE citizen_id = %s", self.citizen_id
        )
        return rows[0] if rows else (0, 0)

    def transfers(self) -> list[tuple[str, date, int, int]]:
        """Return kind, lot, points and grams of each transfer, in order."""
        return self.read(
            "SELECT kind, expires_on, points, reduction_g FROM transfer"
            " WHERE citizen_id = %s ORDER BY recorded_at, line",
            self.citizen_id,
        )

    def traces(self) -> tuple[int, int, int]:
        """Count her rows of accounts, postings and transfers."""
        with self.connection() as connection:
            row = connection.execute(COUNT_TRACES, {"citizen": self.citizen_id}).fetchone()
        assert row is not None
        return row[0], row[1], row[2]

    def read(self, query: str, *values: Any) -> list[Any]:
        """Return what a query finds."""
        with self.connection() as connection:
            return connection.execute(query, values).fetchall()

    def connection(self) -> "psycopg.Connection[Any]":
        """Connect as somebody who reads everything; used in a `with`."""
        return psycopg.connect(self.runtime.settings.migration_database_url)


def _places(amounts: list[int]) -> dict[str, tuple[int, int]]:
    pairs = zip(amounts[::2], amounts[1::2], strict=True)
    return {place: pair for place, pair in zip(COLUMNS, pairs, strict=True) if pair != (0, 0)}
