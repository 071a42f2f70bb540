"""Sources, citizens and acts, made in the real database through the product's own functions."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from joserfc.jwk import ECKey

from service import clock
from service.activities.intake.candidates import SELF_RECORDED, SIGNED, Source
from service.activities.intake.desk import Intake
from service.activities.intake.lines import OwnLine, read_own_line
from service.activities.intake.outcomes import Outcome
from service.activities.intake.parts import Feed
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import account_digest, holders_of
from service.partners.organisations import PartnerTerms, add_partner
from service.runtime import Runtime

SHENZHEN = "440300"
RIDE_8200_M_G = 383
"""tests/methodologies/travel.yaml: 8.2 km × 46.8 g/km, rounded down."""
NOON = timedelta(hours=12)


def a_source(runtime: Runtime, *, delay_days: int = 0, region: str = SHENZHEN) -> Source:
    """Register a source; with a delay, what it reports waits for certification."""
    jwks = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
    terms = PartnerTerms(
        name=f"metro-{uuid4().hex[:12]}",
        roles=frozenset({"source"}),
        jwks=jwks,
        region=region,
        settlement_delay_days=delay_days,
    )
    with runtime.database.raw_transaction() as connection:
        partner = add_partner(connection, terms)
    return Source(partner.id, region, SIGNED, delay_days)


def a_citizen(runtime: Runtime, source: Source, account_ref: str = "card-1") -> UUID:
    """Make a citizen who has linked an account of the source."""
    return citizens(runtime, source, [account_ref])[0]


def citizens(runtime: Runtime, source: Source, account_refs: Sequence[str]) -> list[UUID]:
    """Make one citizen for each account of the source, in the same order."""
    assert source.id is not None
    digests = [account_digest(runtime.keys, source.id, ref) for ref in account_refs]
    with runtime.database.raw_transaction() as connection:
        create_simulated_citizens(
            connection,
            source.id,
            digests,
            since=clock.now() - timedelta(days=90),
            account_key_version=runtime.keys.account_key.version,
        )
        holders = holders_of(connection, source.id, digests)
    return [holders[digest][-1].citizen_id for digest in digests]


def noon(days_ago: int = 1) -> datetime:
    """Return noon of a day, in Shanghai."""
    return clock.start_of(clock.today() - timedelta(days=days_ago)) + NOON


def a_ride(account_ref: str = "card-1", *, at: datetime | None = None, **changes: Any) -> bytes:
    """Return the line of a metro ride of 8.2 km in half an hour, yesterday at noon."""
    started_at = at or noon()
    return _line(
        account_ref,
        behavior="metro_ride",
        started_at=started_at.isoformat(),
        ended_at=(started_at + timedelta(minutes=30)).isoformat(),
        activity_data={"distance_m": 8200},
        **changes,
    )


def an_invoice(document_id: str, account_ref: str = "card-1", **changes: Any) -> bytes:
    """Return the line of an electronic invoice, which counts once."""
    return _line(
        account_ref,
        behavior="e_invoice",
        started_at=noon().isoformat(),
        ended_at=noon().isoformat(),
        activity_data={"document_id": document_id},
        **changes,
    )


def an_act(
    behavior: str,
    data: dict[str, Any],
    account_ref: str = "card-1",
    *,
    at: datetime | None = None,
    lasting: timedelta = timedelta(minutes=30),
    **changes: Any,
) -> bytes:
    """Return a line of any behavior, at noon yesterday and for half an hour."""
    started_at = at or noon()
    times = {"started_at": started_at.isoformat(), "ended_at": (started_at + lasting).isoformat()}
    return _line(account_ref, behavior=behavior, activity_data=data, **times, **changes)


def a_reading(account_ref: str = "card-1", *, hour: float = 0, hours: float = 1) -> bytes:
    """Return the line of a home's panels: 5,400 Wh, from an hour after noon yesterday on."""
    at = noon() + timedelta(hours=hour)
    data = {"energy_wh": 5400}
    return an_act("household_pv", data, account_ref, at=at, lasting=timedelta(hours=hours))


def _line(account_ref: str, **members: Any) -> bytes:
    line = {"external_id": uuid4().hex, "account_ref": account_ref, **members}
    return json.dumps(line).encode()


def record(runtime: Runtime, source: Source, *lines: bytes) -> Feed:
    """Record a feed, as `POST /v1/activity-batches` does."""
    return Intake(runtime.database, runtime.keys).record_feed(source, list(lines))


def record_own(
    runtime: Runtime, citizen_id: UUID, line: bytes, *, region: str = SHENZHEN
) -> Outcome:
    """Record an act that a citizen reports, as `POST /v1/activities` does."""
    own = {name: each for name, each in json.loads(line).items() if name != "account_ref"}
    read = read_own_line(json.dumps(own).encode())
    assert isinstance(read, OwnLine)
    source = Source(None, region, SELF_RECORDED, None)
    return Intake(runtime.database, runtime.keys).record_own(source, citizen_id, read)


def activity_ids(feed: Feed) -> list[UUID]:
    """Return the activities that a feed recorded, in line order."""
    return [UUID(hex=each.activity_id) for each in feed.outcomes if each.activity_id is not None]


def points_of(runtime: Runtime, citizen_id: UUID) -> int:
    """Return what a citizen can spend."""
    (points,) = rows(
        runtime,
        "SELECT coalesce(sum(available_points), 0)::bigint FROM lot WHERE citizen_id = %s",
        citizen_id,
    )
    return int(points[0])


def verdicts_of(runtime: Runtime, activity_id: UUID) -> list[tuple[str, str | None]]:
    """Return the later decisions about an activity, in order."""
    query = "SELECT verdict, code FROM verdict WHERE activity_id = %s ORDER BY seq"
    return [(verdict, code) for verdict, code in rows(runtime, query, activity_id)]


def rows(runtime: Runtime, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Ask the database."""
    with runtime.database.raw_transaction() as connection:
        return connection.execute(query.encode(), arguments).fetchall()
