"""Whom redemptions are made with: a bank, its offers, customers who have earned their points."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from checks.calling import JSON, Answer, Client, Unanswered
from checks.town import TOKEN_LIFE, Town, feed_of, metro_ride
from service.access_tokens import AccessTokens
from service.identity.consents.checking import pairwise_subject
from service.ids import CONSENT, OFFER, PARTNER, public_id
from service.partners.organisations import PartnerTerms, add_partner
from service.partners.scopes import SCOPES
from service.partners.webhooks.endpoints import Endpoint, register
from service.partners.webhooks.endpoints import Terms as EndpointTerms
from service.rewards.offers.changes import Wish, ask_for
from service.rewards.offers.deciding import decide
from service.rewards.offers.drafting import Author
from service.rewards.offers.terms import Terms
from service.runtime import Runtime

PRICE: Final = 10
SUBSIDY_MINOR: Final = 3000
RIDES: Final = 5
RIDES_IN_FEED: Final = 500

TERMS: Final[dict[str, Any]] = {
    "version": 1,
    "title": {"zh": "贴息券", "en": "A coupon"},
    "mode": "burn",
    "points": PRICE,
    "benefit": {"kind": "interest_coupon", "amount_minor": SUBSIDY_MINOR, "currency": "CNY"},
    "subsidy_minor": SUBSIDY_MINOR,
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
        "quote_s": 3600,
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

ACTIVATION: Final = Wish("activation", 1, {"state": "draft"}, {"state": "active"}, "a check")

WRITE_CONSENT: Final = """
INSERT INTO consent (id, citizen_id, partner_id, subject, purpose, text_version, text_digest,
    data_clusters, valid_from, valid_to, max_uses)
VALUES (%s, %s, %s, %s, 'benefit', 1, sha256('check'), '{redemption,tier}',
    now() - interval '1 minute', now() + interval '30 days', %s)
"""

WRITE_OFFER: Final = """
INSERT INTO offer (id, partner_id, name, created_by_kind, created_by)
VALUES (%s, %s, %s, 'partner', %s)
"""

WRITE_VERSION: Final = """
INSERT INTO offer_version (offer_id, version, mode, points, subsidy_minor, terms, terms_hash,
    created_by_kind, created_by)
VALUES (%s, 1, %s, %s, %s, %s, %s, 'partner', %s)
"""

WRITE_COUNTER: Final = """
INSERT INTO offer_counter (offer_id, quota, budget_minor) VALUES (%s, %s, %s)
"""

WRITE_PERSON: Final = """
INSERT INTO person_link (citizen_id, person_id, key_version, verifier_id, consent_id)
VALUES (%s, %s, 1, %s, %s)
"""

WRITE_PROFILE: Final = """
INSERT INTO partner_profile (partner_id, reach, status_url) VALUES (%s, 'loopback', %s)
"""


class Bank(NamedTuple):
    """A partner that may do everything a bank may; it runs on this machine."""

    id: UUID
    token: str


class Customer(NamedTuple):
    """A citizen with points, and her consent to one bank."""

    id: UUID
    consent_id: UUID
    token: str


class OnOffer(NamedTuple):
    """An active offer."""

    id: UUID
    bank: Bank
    mode: str
    terms_hash: str
    has_cap: bool
    """For each account."""


class Ask(NamedTuple):
    """One POST under one Idempotency-Key, which may be sent again and again."""

    path: str
    token: str
    body: dict[str, Any]
    key: str

    def send(self, client: Client) -> Answer:
        """Send it.

        Raises:
            Unanswered: whether it happened is not known, or somebody else is sending it.
        """
        content = json.dumps(self.body).encode()
        answer = client.post(self.path, self.token, content, JSON, Idempotency_Key=self.key)
        if code_of(answer) == "request-in-progress":
            raise Unanswered("request-in-progress")
        return answer


class Market:
    """Makes banks, offers and customers."""

    def __init__(self, runtime: Runtime, client: Client) -> None:
        """Found a town for its customers."""
        self.runtime = runtime
        self._client = client
        self._town = Town(runtime, 0)
        self._tokens = AccessTokens(runtime.keys, runtime.settings.issuer)

    def bank(self, status_url: str | None = None) -> Bank:
        """Make a bank, which can be asked what became of a redemption or not."""
        jwks = {"keys": [self.runtime.keys.signing_key.public_jwk]}
        terms = PartnerTerms(f"bank-{uuid4().hex[:12]}", frozenset({"bank"}), jwks)
        with self.runtime.database.raw_transaction() as connection:
            partner_id = add_partner(connection, terms).id
            connection.execute(WRITE_PROFILE, (partner_id, status_url))
        token = self._tokens.issue(
            "partner", partner_id, roles=["bank"], scopes=SCOPES, lifetime=TOKEN_LIFE
        )
        return Bank(partner_id, token)

    def staff(self) -> str:
        """Return what somebody of the staff calls with."""
        return self._tokens.issue("staff", uuid4(), roles=["operator"], lifetime=TOKEN_LIFE)

    def put_on_offer(
        self,
        bank: Bank,
        *,
        quota: int | None = None,
        budget_minor: int | None = None,
        timers: dict[str, Any] | None = None,
        **changes: Any,
    ) -> OnOffer:
        """Make an active offer; `changes` stand in the place of the terms' members."""
        offer_id = uuid4()
        names = {
            "offer_id": public_id(OFFER, offer_id),
            "partner": public_id(PARTNER, bank.id),
            "timers": {**TERMS["timers"], **(timers or {})},
        }
        terms = Terms.from_document({**TERMS, **names, **changes})
        amounts = (terms.mode, terms.points, terms.subsidy_minor)
        written = (json.dumps(terms.document), terms.terms_hash)
        with self.runtime.database.raw_transaction() as connection:
            connection.execute(WRITE_OFFER, (offer_id, bank.id, offer_id.hex, bank.id))
            connection.execute(WRITE_VERSION, (offer_id, *amounts, *written, bank.id))
            connection.execute(WRITE_COUNTER, (offer_id, quota, budget_minor))
            asked = ask_for(connection, Author("partner", bank.id), offer_id, ACTIVATION)
            decide(connection, uuid4(), asked.id, "approved", "looked at")
        has_cap = terms.caps.per_citizen is not None
        return OnOffer(offer_id, bank, terms.mode, terms.terms_hash, has_cap)

    def customers(self, bank: Bank, count: int, *, rides: int = RIDES) -> list[Customer]:
        """Let citizens come, earn by riding the metro, and consent to a bank."""
        accounts = [f"card-{uuid4().hex}" for _ in range(count)]
        citizens = list(self._town.join(accounts).values())
        lines = [metro_ride(account, n) for account in accounts for n in range(rides)]
        for first in range(0, len(lines), RIDES_IN_FEED):
            self._client.feed(
                self._town.source_token, feed_of(lines[first : first + RIDES_IN_FEED])
            )
        return [self.consenting(bank, citizen_id) for citizen_id in citizens]

    def consenting(self, bank: Bank, citizen_id: UUID, max_uses: int | None = None) -> Customer:
        """Let a citizen consent to a bank, for so many uses."""
        consent_id = uuid4()
        subject = pairwise_subject(self.runtime.keys, bank.id, citizen_id)
        with self.runtime.database.raw_transaction() as connection:
            connection.execute(WRITE_CONSENT, (consent_id, citizen_id, bank.id, subject, max_uses))
        return Customer(citizen_id, consent_id, self._town.token_of(citizen_id))

    def are_one_person(self, bank: Bank, customers: Sequence[Customer]) -> None:
        """Let accounts belong to one natural person."""
        person_id = uuid4().bytes * 2
        with self.runtime.database.raw_transaction() as connection:
            for each in customers:
                connection.execute(WRITE_PERSON, (each.id, person_id, bank.id, each.consent_id))

    def listen(self, bank: Bank, url: str) -> Endpoint:
        """Let all of a bank's events be sent somewhere."""
        with self.runtime.database.raw_transaction() as connection:
            return register(
                connection, self.runtime.keys, bank.id, EndpointTerms(url, None, None), ["v1"]
            )


def quoting(customer: Customer, offered: OnOffer) -> Ask:
    """Ask for a quote."""
    body = {
        "offer_id": public_id(OFFER, offered.id),
        "consent_id": public_id(CONSENT, customer.consent_id),
    }
    return Ask("/v1/quotes", customer.token, body, uuid4().hex)


def reserving(customer: Customer, quote_id: str, *, submit: bool) -> Ask:
    """Accept a quote."""
    body = {"quote_id": quote_id, "submit": submit}
    return Ask("/v1/redemptions", customer.token, body, uuid4().hex)


def stepping(token: str, redemption_id: str, step: str, body: dict[str, Any]) -> Ask:
    """Take a step of a redemption."""
    return Ask(f"/v1/redemptions/{redemption_id}/{step}", token, body, uuid4().hex)


def capturing(offered: OnOffer, redemption_id: str) -> Ask:
    """Confirm a redemption under a reference of its own."""
    body = {"partner_reference": f"loan-{uuid4().hex}", "terms_hash": offered.terms_hash}
    return stepping(offered.bank.token, redemption_id, "captures", body)


def declining(offered: OnOffer, redemption_id: str) -> Ask:
    """Refuse a redemption."""
    return stepping(offered.bank.token, redemption_id, "declines", {"reason": "not-approved"})


def voiding(offered: OnOffer, redemption_id: str) -> Ask:
    """Undo a redemption as its partner."""
    return stepping(offered.bank.token, redemption_id, "voids", {})


def code_of(answer: Answer) -> str:
    """Return why something was refused; nothing if it was not."""
    return str(answer.body.get("code", "")) if isinstance(answer.body, dict) else ""


def overdue_at_once() -> dict[str, Any]:
    """Return timers that leave a reservation and a submission one second each."""
    return {"reserve_s": 1, "submit_business_days": None, "submit_s": 1}
