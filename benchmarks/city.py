"""The made-up city that is measured: one source, a hundred thousand citizens, their rides."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from service import clock
from service.access_tokens import AccessTokens
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import account_digest
from service.partners.organisations import PartnerTerms, add_partner
from service.runtime import Runtime

CITIZENS = 100_000
DAYS = 6
LINKED_DAYS_AGO = 400


@dataclass(frozen=True, slots=True)
class City:
    """Who reports, for whom, and with which tokens."""

    source_id: UUID
    source_token: str
    citizen_tokens: list[str]
    citizen_ids: list[UUID]


def found_city(runtime: Runtime) -> City:
    """Make the source, the citizens and their links, and tokens that outlast the run."""
    name = f"bench-{uuid4().hex[:12]}"
    jwks = {"keys": [runtime.keys.signing_key.public_jwk]}
    with runtime.database.raw_transaction() as connection:
        connection.execute("SET LOCAL statement_timeout = 0")
        source = add_partner(connection, PartnerTerms(name, frozenset({"source"}), jwks))
        create_simulated_citizens(
            connection,
            source.id,
            [account_digest(runtime.keys, source.id, _account(n)) for n in range(CITIZENS)],
            since=clock.now() - timedelta(days=LINKED_DAYS_AGO),
            account_key_version=runtime.keys.account_key.version,
        )
        rows = connection.execute(
            "SELECT citizen_id FROM source_link WHERE source_id = %s", [source.id]
        ).fetchall()
    ids = [row[0] for row in rows]
    tokens = AccessTokens(runtime.keys, runtime.settings.issuer)
    lasting = timedelta(hours=1)
    return City(
        source.id,
        tokens.issue("partner", source.id, roles=["source"], name=name, lifetime=lasting),
        [tokens.issue("citizen", each, lifetime=lasting) for each in ids[:500]],
        ids,
    )


@dataclass(frozen=True, slots=True)
class SmallSource:
    """One of many sources, and which accounts it knows."""

    token: str
    window: range


def found_sources(runtime: Runtime, count: int) -> list[SmallSource]:
    """Make sources that share the city between them; the first one knows everybody."""
    tokens = AccessTokens(runtime.keys, runtime.settings.issuer)
    jwks = {"keys": [runtime.keys.signing_key.public_jwk]}
    each, sources = CITIZENS // count, []
    for number in range(count):
        window = range(number * each, (number + 1) * each)
        name = f"small-{uuid4().hex[:12]}"
        with runtime.database.raw_transaction() as connection:
            source = add_partner(connection, PartnerTerms(name, frozenset({"source"}), jwks))
            known = range(CITIZENS) if number == 0 else window
            create_simulated_citizens(
                connection,
                source.id,
                [account_digest(runtime.keys, source.id, _account(n)) for n in known],
                since=clock.now() - timedelta(days=LINKED_DAYS_AGO),
                account_key_version=runtime.keys.account_key.version,
            )
        token = tokens.issue(
            "partner", source.id, roles=["source"], name=name, lifetime=timedelta(hours=1)
        )
        sources.append(SmallSource(token, window))
    return sources


def rides(count: int, seed: int, accounts: range = range(CITIZENS)) -> Iterator[bytes]:
    """Yield lines of honest rides: other citizens, days and distances for every seed."""
    chance = random.Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(count):
        start = midnight - timedelta(seconds=chance.randrange(1, DAYS * 86_400))
        distance_m = chance.randrange(2_000, 20_000)
        end = start + timedelta(seconds=distance_m // 10)
        yield (
            f'{{"external_id":"ride-{seed}-{number}","account_ref":"{_account(chance.choice(accounts))}",'
            f'"behavior":"metro_ride","started_at":"{start:%Y-%m-%dT%H:%M:%S}Z",'
            f'"ended_at":"{end:%Y-%m-%dT%H:%M:%S}Z","activity_data":{{"distance_m":{distance_m}}}}}'
        ).encode()


def _account(number: int) -> str:
    return f"card-{number:09d}"
