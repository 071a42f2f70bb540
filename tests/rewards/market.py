"""A small market for the tests of rewards: a bank with an offer, and citizens who may take it."""

import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey, KeySet
from werkzeug.test import TestResponse

from service import clock
from service.identity.consents.checking import pairwise_subject
from service.ids import CONSENT, OFFER, QUOTE, REDEMPTION, public_id, uuid_of
from service.ledger.accounts import lock_account
from service.ledger.issuing import Issue, issue_lots
from service.partners.organisations import PartnerTerms, add_partner
from service.partners.scopes import SCOPES
from service.rewards.offers.terms import Terms
from service.runtime import Runtime
from service.web.context import access_tokens

TERMS: dict[str, Any] = {
    "version": 1,
    "partner": "a-bank",
    "title": {"zh": "优惠", "en": "A discount"},
    "mode": "burn",
    "points": 100,
    "benefit": {"kind": "rate_discount", "rate_delta_bp": -50},
    "subsidy_minor": 3000,
    "payer": "PARTNER",
    "currency": "CNY",
    "eligibility": {
        "grade_rules": None,
        "grade_at_least": None,
        "reduction_g_at_least": None,
        "person_required": False,
    },
    "caps": {"per_citizen": None, "per_person": None},
    "timers": {
        "quote_s": 600,
        "reserve_s": 900,
        "submit_business_days": 10,
        "submit_s": None,
        "unknown_business_days": 5,
        "grace_s": 259_200,
    },
    "maturity": None,
    "reversal": {"window_days": 180, "grace_days": 30},
    "valid_from": "2020-01-01T00:00:00+00:00",
    "valid_to": "2099-01-01T00:00:00+00:00",
}

MODES: dict[str, dict[str, Any]] = {
    "burn": {},
    "lock": {"mode": "lock", "maturity": {"days": 30, "at_maturity": "burn"}},
    "attest": {
        "mode": "attest",
        "points": 0,
        "eligibility": {"person_required": True},
        "caps": {"per_person": {"period": "quarter", "most": 1}},
    },
}
"""What makes the terms above those of a mode."""


@dataclass(frozen=True)
class Offered:
    """An active offer and its bank."""

    id: UUID
    partner_id: UUID
    terms: Terms

    @property
    def public_id(self) -> str:
        return public_id(OFFER, self.id)


@dataclass(frozen=True)
class Customer:
    """A citizen with points and a consent to one bank."""

    id: UUID
    consent_id: UUID
    subject: str
    person_id: bytes | None


class Market:
    """Makes banks, offers and citizens, and takes a redemption's steps as they would."""

    def __init__(self, runtime: Runtime, app: Flask) -> None:
        self.runtime = runtime
        self.app = app

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def bank(self, *roles: str) -> UUID:
        key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"})
        key.ensure_kid()
        terms = PartnerTerms(
            name=f"bank-{uuid4().hex[:12]}",
            roles=frozenset(roles or {"bank"}),
            jwks=KeySet([key]).as_dict(private=False),
        )
        with self.runtime.database.raw_transaction() as connection:
            return add_partner(connection, terms).id

    def offer(
        self,
        partner_id: UUID | None = None,
        *,
        mode: str = "burn",
        quota: int | None = None,
        budget_minor: int | None = None,
        **changes: Any,
    ) -> Offered:
        """Make an active offer; `changes` go into the terms, whose objects they are merged with."""
        bank = partner_id or self.bank()
        offer_id = uuid4()
        document = _merged(_merged(TERMS, MODES[mode]), changes)
        document["offer_id"] = public_id(OFFER, offer_id)
        terms = Terms.from_document(document)
        with self.runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO offer (id, partner_id, name, created_by_kind, created_by)"
                " VALUES (%s, %s, %s, 'partner', %s)",
                [offer_id, bank, offer_id.hex, bank],
            )
            connection.execute(
                "INSERT INTO offer_version (offer_id, version, mode, points, subsidy_minor, terms,"
                " terms_hash, created_by_kind, created_by)"
                " VALUES (%s, 1, %s, %s, %s, %s, %s, 'partner', %s)",
                [
                    *(offer_id, terms.mode, terms.points, terms.subsidy_minor),
                    *(json.dumps(terms.document), terms.terms_hash, bank),
                ],
            )
            connection.execute(
                "INSERT INTO offer_counter (offer_id, quota, budget_minor) VALUES (%s, %s, %s)",
                [offer_id, quota, budget_minor],
            )
            connection.execute(
                "UPDATE offer SET state = 'active', active_version = 1 WHERE id = %s", [offer_id]
            )
        return Offered(offer_id, bank, terms)

    def customer(
        self,
        partner_id: UUID,
        points: int = 1000,
        *,
        grams: int | None = None,
        expires_on: date | None = None,
        person_id: bytes | None = None,
        clusters: tuple[str, ...] = ("redemption", "tier"),
        max_uses: int | None = None,
    ) -> Customer:
        citizen_id, consent_id = uuid4(), uuid4()
        subject = pairwise_subject(self.runtime.keys, partner_id, citizen_id)
        now = clock.now()
        with self.runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO citizen (citizen_id, last_seen_at) VALUES (%s, %s)", [citizen_id, now]
            )
            connection.execute(
                "INSERT INTO consent (id, citizen_id, partner_id, subject, purpose, text_version,"
                " text_digest, data_clusters, valid_from, valid_to, max_uses)"
                " VALUES (%s, %s, %s, %s, 'benefit', 1, sha256('x'), %s, %s, %s, %s)",
                [
                    *(consent_id, citizen_id, partner_id, subject, list(clusters)),
                    *(now - timedelta(minutes=1), now + timedelta(days=30), max_uses),
                ],
            )
            if person_id is not None:
                connection.execute(
                    "INSERT INTO person_link (citizen_id, person_id, key_version, verifier_id,"
                    " consent_id) VALUES (%s, %s, 1, %s, %s)",
                    [citizen_id, person_id, partner_id, consent_id],
                )
        if points:
            self.issue(citizen_id, points, grams or points, expires_on)
        return Customer(citizen_id, consent_id, subject, person_id)

    def issue(
        self, citizen_id: UUID, points: int, grams: int, expires_on: date | None = None
    ) -> None:
        day = expires_on or clock.today() + timedelta(days=365)
        with self.runtime.database.raw_transaction() as connection:
            issue_lots(
                connection,
                lock_account(connection, citizen_id),
                [Issue(citizen_id.hex, uuid4().hex, day.isoformat(), points, grams)],
            )

    # --- what the two do over HTTP ---------------------------------------------------------

    def as_citizen(self, customer: Customer, key: str | None = None) -> dict[str, str]:
        with self.app.app_context():
            token = access_tokens().issue("citizen", customer.id)
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": key or uuid4().hex}

    def as_partner(self, partner_id: UUID, key: str | None = None) -> dict[str, str]:
        with self.app.app_context():
            token = access_tokens().issue("partner", partner_id, roles=["bank"], scopes=SCOPES)
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": key or uuid4().hex}

    def quote(self, customer: Customer, offered: Offered) -> TestResponse:
        wish = {
            "offer_id": offered.public_id,
            "consent_id": public_id(CONSENT, customer.consent_id),
        }
        return self.client.post("/v1/quotes", json=wish, headers=self.as_citizen(customer))

    def reserve(self, customer: Customer, quote_id: str, key: str | None = None) -> TestResponse:
        headers = self.as_citizen(customer, key)
        return self.client.post("/v1/redemptions", json={"quote_id": quote_id}, headers=headers)

    def submit(self, customer: Customer, redemption_id: str) -> TestResponse:
        path = f"/v1/redemptions/{redemption_id}/submissions"
        return self.client.post(path, json={}, headers=self.as_citizen(customer))

    def capture(
        self, offered: Offered, redemption_id: str, key: str | None = None, **said: Any
    ) -> TestResponse:
        body = {
            "partner_reference": f"loan-{uuid4().hex[:12]}",
            "terms_hash": offered.terms.terms_hash,
            **said,
        }
        return self.step(offered, redemption_id, "captures", body, key)

    def step(
        self,
        offered: Offered,
        redemption_id: str,
        step: str,
        body: dict[str, Any],
        key: str | None = None,
    ) -> TestResponse:
        """Take a step as the partner."""
        path = f"/v1/redemptions/{redemption_id}/{step}"
        headers = self.as_partner(offered.partner_id, key)
        return self.client.post(path, json=body, headers=headers)

    def reserved(self, customer: Customer, offered: Offered) -> str:
        """Go as far as `reserved`, and return the redemption's id."""
        quoted = self.quote(customer, offered)
        assert quoted.status_code == 201, quoted.get_json()
        reserved = self.reserve(customer, quoted.get_json()["id"])
        assert reserved.status_code == 201, reserved.get_json()
        return str(reserved.get_json()["id"])

    def submitted(self, customer: Customer, offered: Offered) -> str:
        redemption_id = self.reserved(customer, offered)
        submitted = self.submit(customer, redemption_id)
        assert submitted.status_code == 201, submitted.get_json()
        return redemption_id

    def captured(self, customer: Customer, offered: Offered, **said: Any) -> str:
        redemption_id = self.submitted(customer, offered)
        captured = self.capture(offered, redemption_id, **said)
        assert captured.status_code == 201, captured.get_json()
        return redemption_id

    # --- what is left of it ------------------------------------------------------------------

    def points(self, citizen_id: UUID) -> dict[str, int]:
        """Return how many points are in which place, over all lots."""
        places = ("available", "held", "redeemed", "expired", "carried_out", "invalidated")
        sums = ", ".join(f"coalesce(sum({place}_points), 0)::bigint" for place in places)
        row = self._one(f"SELECT {sums} FROM lot WHERE citizen_id = %s", citizen_id)
        return {place: points for place, points in zip(places, row, strict=True) if points}

    def taken(self, offered: Offered) -> tuple[int, int]:
        """Return how much of quota and budget is taken."""
        row = self._one(
            "SELECT taken, budget_taken_minor FROM offer_counter WHERE offer_id = %s", offered.id
        )
        return row[0], row[1]

    def state(self, redemption_id: str) -> str:
        uuid = uuid_of(REDEMPTION, redemption_id)
        return str(self._one("SELECT state FROM redemption WHERE id = %s", uuid)[0])

    def records(self, redemption_id: str) -> list[str]:
        """Return the kinds of a redemption's records, in order."""
        with self.runtime.database.raw_transaction() as connection:
            found = connection.execute(
                "SELECT kind FROM redemption_record WHERE redemption_id = %s ORDER BY no",
                [uuid_of(REDEMPTION, redemption_id)],
            )
            return [row[0] for row in found]

    def _one(self, query: str, value: UUID) -> tuple[Any, ...]:
        with self.runtime.database.raw_transaction() as connection:
            row: tuple[Any, ...] | None = connection.execute(query, [value]).fetchone()
        assert row is not None
        return row


def a_person() -> bytes:
    return uuid4().bytes * 2


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = deepcopy(base)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict) and name != "benefit"
        merged[name] = {**merged[name], **value} if both else value
    return merged


__all__ = ["QUOTE", "Customer", "Market", "Offered", "a_person", "moment"]
