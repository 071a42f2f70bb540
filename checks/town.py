"""Whom the checks deal with: one source, its citizens, acts that count, and tokens to call with."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from service import clock
from service.access_tokens import AccessTokens
from service.identity.erasure import begin_erasure, complete_erasure
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import account_digest
from service.leaving import consequences
from service.ledger.accounts import lock_accounts
from service.ledger.issuing import Issue, issue_lots
from service.partners.organisations import PartnerTerms, add_partner
from service.runtime import Runtime

TOKEN_LIFE = timedelta(hours=3)
LINKED_FOR = timedelta(days=60)
RIDES_A_DAY = 5
"""As many metro rides a day count (service/methodologies/metro.py)."""
DAYS = 5
RIDES_MOST = RIDES_A_DAY * DAYS
"""For one citizen."""


class Town:
    """One source and citizens whose accounts it knows."""

    def __init__(self, runtime: Runtime, citizens: int) -> None:
        """Found it.

        Args:
            runtime: of the service under test.
            citizens: each with one account at the source.
        """
        self.runtime = runtime
        self._tokens = AccessTokens(runtime.keys, runtime.settings.issuer)
        name = f"town-{uuid4().hex[:12]}"
        jwks = {"keys": [runtime.keys.signing_key.public_jwk]}
        with runtime.database.raw_transaction() as connection:
            terms = PartnerTerms(name, frozenset({"source"}), jwks)
            self.source_id = add_partner(connection, terms).id
        self.source_token = self._tokens.issue(
            "partner", self.source_id, roles=["source"], name=name, lifetime=TOKEN_LIFE
        )
        self.citizens = self.join([f"card-{n:06d}" for n in range(citizens)])
        """By account."""

    @classmethod
    def known(cls, runtime: Runtime, source_id: UUID, citizens: dict[str, UUID]) -> "Town":
        """Return a town that another process has founded."""
        town = cls.__new__(cls)
        town.runtime, town.source_id, town.citizens = runtime, source_id, citizens
        return town

    def join(self, accounts: Sequence[str]) -> dict[str, UUID]:
        """Let a citizen come for each account; return them by account."""
        keys = self.runtime.keys
        digests = {account_digest(keys, self.source_id, each): each for each in accounts}
        with self.runtime.database.raw_transaction() as connection:
            create_simulated_citizens(
                connection,
                self.source_id,
                list(digests),
                since=clock.now() - LINKED_FOR,
                account_key_version=keys.account_key.version,
            )
            rows = connection.execute(
                "SELECT account_digest, citizen_id FROM source_link"
                " WHERE source_id = %s AND account_digest = ANY(%s)",
                (self.source_id, list(digests)),
            ).fetchall()
        return {digests[bytes(digest)]: citizen_id for digest, citizen_id in rows}

    def token_of(self, citizen_id: UUID) -> str:
        """Return what a citizen calls with."""
        return self._tokens.issue("citizen", citizen_id, lifetime=TOKEN_LIFE)

    def endow(self, citizens: Sequence[UUID], points: int) -> None:
        """Issue points, with three grams behind each, over two lots."""
        days = [(clock.today() + timedelta(days=days)).isoformat() for days in (60, 400)]
        issues = [
            Issue(citizen.hex, uuid4().hex, day, points // 2, points // 2 * 3)
            for citizen in citizens
            for day in days
        ]
        with self.runtime.database.raw_transaction() as connection:
            accounts = lock_accounts(connection, [each.hex for each in citizens])
            issue_lots(connection, accounts, issues)


def erase(runtime: Runtime, citizen_id: UUID) -> None:
    """Let a citizen leave, as `DELETE /v1/me` does."""
    follow = consequences(lambda: runtime.settings)
    with runtime.database.transaction() as session:
        begin_erasure(session, citizen_id, "citizen", follow)
    with runtime.eraser.raw_transaction() as connection:
        complete_erasure(connection, citizen_id)


def metro_ride(account: str, number: int) -> dict[str, Any]:
    """Return a citizen's n-th ride: it overlaps none of the others and is under the daily cap.

    Args:
        account: at the source.
        number: from 0 to `RIDES_MOST` - 1.
    """
    day, hour = divmod(number, RIDES_A_DAY)
    midnight = clock.start_of(clock.today() - timedelta(days=day + 1))
    began_at = midnight + timedelta(hours=8 + 2 * hour)
    return act(account, "metro_ride", began_at.isoformat(), 20, {"distance_m": 8200})


def invoice(account: str) -> dict[str, Any]:
    """Return an electronic invoice of yesterday noon: five a day count."""
    noon = clock.start_of(clock.today() - timedelta(days=1)) + timedelta(hours=12)
    return act(account, "e_invoice", noon.isoformat(), 0, {"document_id": uuid4().hex})


def act(
    account: str, behavior: str, began_at: str, minutes: int, data: dict[str, Any]
) -> dict[str, Any]:
    """Return one line of a feed under a number of its own."""
    ended_at = datetime.fromisoformat(began_at) + timedelta(minutes=minutes)
    return {
        "external_id": uuid4().hex,
        "account_ref": account,
        "behavior": behavior,
        "started_at": began_at,
        "ended_at": ended_at.isoformat(),
        "activity_data": data,
    }


def feed_of(lines: Sequence[dict[str, Any]]) -> bytes:
    """Return lines as the body of a feed."""
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
