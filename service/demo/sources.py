"""The organisations of the simulated city: registered by the operator, reporting by themselves."""

import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from service import clock
from service.demo.client import Service
from service.ids import PARTNER, public_id
from service.partners.organisations import Partner, PartnerTerms, add_partner, all_partners
from service.runtime import Runtime

METRO, BIKES, RECYCLER = "metro", "bikes", "recycler"
SOURCES = (METRO, BIKES, RECYCLER)
SETTLEMENT_DELAY_DAYS = {RECYCLER: 3}
"""A recycler may restate its weighings for three days; rides are final at once."""

REGION = "440300"
PREFIX = "sim-demo"
ASSERTION_LIFE_S = 60
RENEW_BEFORE_END_S = 120


@dataclass
class Source:
    """An organisation with its private key."""

    role: str
    partner: Partner
    key: ECKey
    _token: str = field(default="", repr=False)
    _renew_at: float = 0.0

    @property
    def name(self) -> str:
        """The slug by which citizens name it."""
        return self.partner.name

    def send(self, service: Service, lines: list[bytes]) -> dict[str, Any]:
        """Report a feed and return the verdicts."""
        if time.monotonic() >= self._renew_at:
            self._sign_in(service)
        feed = b"\n".join(lines) + b"\n"
        answer: dict[str, Any] = service.post_as(
            "application/x-ndjson", "/v1/activity-batches", feed, self._token
        )
        return answer

    def _sign_in(self, service: Service) -> None:
        """Get a token by a signed assertion (RFC 7523), as DESIGN's partners do."""
        metadata = service.get("/.well-known/oauth-authorization-server")
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._assertion(metadata["issuer"]),
            }
        )
        granted = service.post_as(
            "application/x-www-form-urlencoded", "/oauth/token", form.encode()
        )
        self._token = granted["access_token"]
        self._renew_at = time.monotonic() + granted["expires_in"] - RENEW_BEFORE_END_S

    def _assertion(self, audience: str) -> str:
        client_id = public_id(PARTNER, self.partner.id)
        now_s = int(clock.now().timestamp())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now_s,
            "exp": now_s + ASSERTION_LIFE_S,
            "jti": uuid4().hex,
        }
        header = {"alg": "ES256", "typ": "JWT", "kid": self.key.thumbprint()}
        return jwt.encode(header, claims, self.key)


def next_run(runtime: Runtime) -> int:
    """Return the number of this demonstration on this database, from 1."""
    with runtime.database.raw_transaction() as connection:
        names = [partner.name for partner in all_partners(connection)]
    return 1 + sum(name.startswith(f"{PREFIX}-{METRO}-") for name in names)


def register_sources(runtime: Runtime, run: int) -> dict[str, Source]:
    """Register the three organisations of a run, as `carbon partner add` does."""
    return {role: _registered(runtime, role, run) for role in SOURCES}


def _registered(runtime: Runtime, role: str, run: int) -> Source:
    key = ECKey.generate_key("P-256")
    terms = PartnerTerms(
        name=f"{PREFIX}-{role}-{run}",
        roles=frozenset({"source"}),
        jwks={"keys": [key.as_dict(private=False)]},
        region=REGION,
        settlement_delay_days=SETTLEMENT_DELAY_DAYS.get(role, 0),
    )
    with runtime.database.raw_transaction() as connection:
        return Source(role, add_partner(connection, terms), key)
