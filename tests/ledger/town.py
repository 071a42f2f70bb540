"""A source, the citizens whose accounts it knows, and what it reports of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from service import clock
from service.activities.intake.candidates import SIGNED, Source
from service.activities.intake.desk import Intake
from service.activities.intake.outcomes import Outcome
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import account_digest
from service.partners.organisations import PartnerTerms, add_partner
from service.runtime import Runtime

SHENZHEN = "440300"


@dataclass(frozen=True, slots=True)
class Town:
    """One source and its desk; `delay_days` other than 0 lets everything wait for a batch."""

    runtime: Runtime
    intake: Intake
    source: Source
    citizens: dict[str, UUID] = field(default_factory=dict)

    @classmethod
    def founded(cls, runtime: Runtime, *accounts: str, delay_days: int = 0) -> "Town":
        """Make a source and one citizen for each account."""
        name = f"town-{uuid4().hex[:12]}"
        jwks = {"keys": [runtime.keys.signing_key.public_jwk]}
        terms = PartnerTerms(name, frozenset({"source"}), jwks)
        digests = {}
        with runtime.database.raw_transaction() as connection:
            partner = add_partner(connection, terms)
            for account in accounts:
                digests[account_digest(runtime.keys, partner.id, account)] = account
            create_simulated_citizens(
                connection,
                partner.id,
                list(digests),
                since=clock.now() - timedelta(days=900),
                account_key_version=runtime.keys.account_key.version,
            )
            rows = connection.execute(
                "SELECT account_digest, citizen_id FROM source_link WHERE source_id = %s",
                [partner.id],
            ).fetchall()
        source = Source(partner.id, SHENZHEN, SIGNED, delay_days)
        citizens = {digests[bytes(digest)]: citizen for digest, citizen in rows}
        return cls(runtime, Intake(runtime.database, runtime.keys), source, citizens)

    def report(self, lines: Iterable[dict[str, Any]]) -> list[Outcome]:
        """Send lines as one feed."""
        raw = [msgspec.json.encode(each) for each in lines]
        return self.intake.record_feed(self.source, raw).outcomes


def ride(account: str, *, start: datetime | None = None, **more: Any) -> dict[str, Any]:
    """Return a line about a metro ride of 8.2 km, twenty minutes long."""
    started_at = start or hours_ago(6)
    ended_at = more.pop("end", started_at + timedelta(minutes=20))
    return {
        "external_id": uuid4().hex,
        "account_ref": account,
        "behavior": "metro_ride",
        "started_at": started_at.isoformat(),
        "ended_at": ended_at.isoformat(),
        "activity_data": {"distance_m": 8200},
        **more,
    }


def hours_ago(hours: float) -> datetime:
    """Return a moment in the past, to the second."""
    return (clock.now() - timedelta(hours=hours)).replace(microsecond=0)
