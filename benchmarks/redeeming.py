"""Redemptions as they are measured: one bank, its offers, thousands of customers with points."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from benchmarks.scripts import Played, Script, in_another_process
from service import clock
from service.access_tokens import AccessTokens
from service.identity.consents.checking import pairwise_subject
from service.ids import CONSENT, OFFER, PARTNER, public_id
from service.ledger.accounts import lock_accounts
from service.ledger.issuing import Issue, issue_lots
from service.partners.organisations import PartnerTerms, add_partner
from service.partners.scopes import SCOPES
from service.partners.webhooks.endpoints import Terms as EndpointTerms
from service.partners.webhooks.endpoints import register
from service.rewards.offers.terms import Terms
from service.runtime import Runtime
from service.settings import Settings

POINTS = 1_000_000
PRICE = 10
REDEEMERS = 32
FLASH_CLIENTS = 64
FLASH_UNITS = 10_000
FLASH_CUSTOMERS = 12_000
DRAIN_S_MOST = 120

INSERT_CITIZENS = """
INSERT INTO citizen (citizen_id, simulated, last_seen_at) SELECT id, true, now()
FROM unnest(%s::uuid[]) AS citizen (id)
"""

INSERT_CONSENTS = """
INSERT INTO consent (id, citizen_id, partner_id, subject, purpose, text_version, text_digest,
    data_clusters, valid_from, valid_to)
SELECT id, citizen_id, %s, subject, 'benefit', 1, sha256('bench'), '{tier}',
    now() - interval '1 minute', now() + interval '30 days'
FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS consent (id, citizen_id, subject)
"""


UNDELIVERED = """
SELECT (SELECT count(*) FROM partner_event WHERE partner_id = %(partner_id)s AND seq IS NULL)
     + (SELECT count(*) FROM webhook_delivery
        WHERE partner_id = %(partner_id)s AND state = 'waiting')
"""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who redeems."""

    id: UUID
    consent_id: UUID
    token: str


@dataclass(frozen=True, slots=True)
class Bank:
    """Whose offers are redeemed."""

    id: UUID
    token: str


@dataclass(frozen=True, slots=True)
class OnOffer:
    """What is redeemed."""

    id: UUID
    terms_hash: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A bank, one offer of it, and who redeems it."""

    bank: Bank
    offered: OnOffer
    customers: list[Customer]


def open_shop(runtime: Runtime, customers: int) -> Shop:
    """Make a bank with an offer without end and some customers."""
    bank = found_bank(runtime)
    return Shop(bank, put_on_offer(runtime, bank), found_customers(runtime, bank, customers))


def found_bank(runtime: Runtime) -> Bank:
    """Make a bank with every scope."""
    name = f"bench-{uuid4().hex[:12]}"
    jwks = {"keys": [runtime.keys.signing_key.public_jwk]}
    with runtime.database.raw_transaction() as connection:
        bank = add_partner(connection, PartnerTerms(name, frozenset({"bank"}), jwks))
    tokens = AccessTokens(runtime.keys, runtime.settings.issuer)
    lasting = timedelta(hours=1)
    return Bank(
        bank.id,
        tokens.issue("partner", bank.id, roles=["bank"], scopes=SCOPES, lifetime=lasting),
    )


def put_on_offer(runtime: Runtime, bank: Bank, quota: int | None = None) -> OnOffer:
    """Make an active offer, with or without a quota, that burns a few points."""
    offer_id = uuid4()
    document: dict[str, Any] = {
        "offer_id": public_id(OFFER, offer_id),
        "version": 1,
        "partner": public_id(PARTNER, bank.id),
        "title": {"zh": "贴息券", "en": "A coupon"},
        "mode": "burn",
        "points": PRICE,
        "benefit": {"kind": "interest_coupon", "amount_minor": 3000, "currency": "CNY"},
        "subsidy_minor": 3000,
        "payer": "PARTNER",
        "currency": "CNY",
        "eligibility": {
            "grade_rules": None,
            "grade_at_least": None,
            "reduction_g_at_least": None,
            "person_required": False,
        },
        "caps": {"per_citizen": {"period": "day", "most": 1000}, "per_person": None},
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
    terms = Terms.from_document(document)
    by = ("partner", bank.id)
    with runtime.database.raw_transaction() as connection:
        connection.execute(
            "INSERT INTO offer (id, partner_id, name, created_by_kind, created_by)"
            " VALUES (%s, %s, %s, %s, %s)",
            [offer_id, bank.id, offer_id.hex, *by],
        )
        connection.execute(
            "INSERT INTO offer_version (offer_id, version, mode, points, subsidy_minor, terms,"
            " terms_hash, created_by_kind, created_by) VALUES (%s, 1, %s, %s, %s, %s, %s, %s, %s)",
            [
                *(offer_id, terms.mode, terms.points, terms.subsidy_minor),
                *(json.dumps(terms.document), terms.terms_hash, *by),
            ],
        )
        connection.execute(
            "INSERT INTO offer_counter (offer_id, quota) VALUES (%s, %s)", [offer_id, quota]
        )
        connection.execute(
            "UPDATE offer SET state = 'active', active_version = 1 WHERE id = %s", [offer_id]
        )
    return OnOffer(offer_id, terms.terms_hash)


def found_customers(runtime: Runtime, bank: Bank, count: int) -> list[Customer]:
    """Make citizens with points and a consent to the bank, and tokens that outlast the run."""
    tokens = AccessTokens(runtime.keys, runtime.settings.issuer)
    lasting, day = timedelta(hours=1), (clock.today() + timedelta(days=365)).isoformat()
    customers = []
    for _ in range(0, count, 1000):
        ids, consents = [uuid4() for _ in range(1000)], [uuid4() for _ in range(1000)]
        subjects = [pairwise_subject(runtime.keys, bank.id, each) for each in ids]
        issues = [Issue(each.hex, uuid4().hex, day, POINTS, POINTS) for each in ids]
        with runtime.database.raw_transaction() as connection:
            connection.execute(INSERT_CITIZENS, [ids])
            connection.execute(INSERT_CONSENTS, [bank.id, consents, ids, subjects])
            accounts = lock_accounts(connection, [each.hex for each in ids])
            issue_lots(connection, accounts, issues)
        customers += [
            Customer(each, consent, tokens.issue("citizen", each, lifetime=lasting))
            for each, consent in zip(ids, consents, strict=True)
        ]
    return customers[:count]


def listen(runtime: Runtime, bank: Bank, url: str, event_types: list[str] | None) -> None:
    """Let a bank's events be sent to a receiver on loopback."""
    with runtime.database.raw_transaction() as connection:
        connection.execute(
            "INSERT INTO partner_profile (partner_id, reach) VALUES (%s, 'loopback')"
            " ON CONFLICT (partner_id) DO NOTHING",
            [bank.id],
        )
        terms = EndpointTerms(url, None, event_types)
        register(connection, runtime.keys, bank.id, terms, ["v1", "v1a"])


def listen_anew(runtime: Runtime, bank: Bank, url: str, event_types: list[str] | None) -> None:
    """Let a bank's events be sent to another receiver, and forget what the former never took."""
    with runtime.database.raw_transaction() as connection:
        connection.execute("DELETE FROM webhook_delivery WHERE partner_id = %s", [bank.id])
        connection.execute(
            "UPDATE webhook_endpoint SET state = 'removed' WHERE partner_id = %s", [bank.id]
        )
    listen(runtime, bank, url, event_types)


def undelivered(runtime: Runtime, bank: Bank) -> int:
    """Return how many of a bank's events have no place yet or have not arrived."""
    with runtime.database.raw_transaction() as connection:
        row = connection.execute(UNDELIVERED, {"partner_id": bank.id}).fetchone()
    assert row is not None
    return int(row[0])


def seconds_to_drain(runtime: Runtime, bank: Bank) -> float:
    """Wait until everything has arrived, and return how long that took."""
    began_at = time.perf_counter()
    while undelivered(runtime, bank):
        time.sleep(0.2)
        if time.perf_counter() - began_at > DRAIN_S_MOST:
            return float("inf")
    return time.perf_counter() - began_at


def redeem(
    settings: Settings, shops: Sequence[Shop], seconds: float, *, stepwise: bool = False
) -> Played:
    """Play whole redemptions, quote to capture, by turns at each shop, each of another customer.

    Args:
        settings: of the server.
        shops: taken by turns.
        seconds: after which none is begun any more.
        stepwise: whether a reservation is submitted by a call of its own.
    """

    def scripts() -> Iterator[Script]:
        for turn in itertools.count():
            for shop in shops:
                customer = shop.customers[turn % len(shop.customers)]
                yield _redemption(shop, customer, stepwise=stepwise)

    return in_another_process(settings.port, REDEEMERS, seconds, scripts)


def flash_sale(settings: Settings, offered: OnOffer, customers: list[Customer]) -> Played:
    """Let everybody want one of what is not enough, until all are answered.

    The quotes are had before: a sale opens, and everybody presses the button.
    """
    quoted: dict[UUID, str] = {}

    def quotes() -> Iterator[Script]:
        for customer in customers:
            yield _quoting(offered, customer)

    first = in_another_process(settings.port, FLASH_CLIENTS, 600, quotes)
    for ending in first.ended:
        customer_id, _, quote_id = ending.partition(" ")
        quoted[UUID(customer_id)] = quote_id

    def reservations() -> Iterator[Script]:
        for customer in customers:
            yield _reserving(customer, quoted[customer.id])

    return in_another_process(settings.port, FLASH_CLIENTS, 600, reservations)


def _redemption(shop: Shop, customer: Customer, *, stepwise: bool) -> Script:
    bank, offered = shop.bank, shop.offered
    status, body = yield "quote", _quote_request(offered, customer)
    if status != _CREATED:
        return _code(body)
    quote_id = _id_in(body)
    accepted = _reserve_request(customer, quote_id, submit=not stepwise)
    status, body = yield "reserve", accepted
    if status != _CREATED:
        return _code(body)
    path = f"/v1/redemptions/{_id_in(body)}"
    if stepwise:
        status, body = yield "submit", _post(f"{path}/submissions", customer.token, "{}")
        if status != _CREATED:
            return _code(body)
    wish = f'{{"partner_reference":"loan-{path[-32:]}","terms_hash":"{offered.terms_hash}"}}'
    status, body = yield "capture", _post(f"{path}/captures", bank.token, wish)
    return f"captured {bank.id.hex}" if status == _CREATED else _code(body)


def _quoting(offered: OnOffer, customer: Customer) -> Script:
    status, body = yield "quote", _quote_request(offered, customer)
    assert status == _CREATED, body
    return f"{customer.id} {_id_in(body)}"


def _reserving(customer: Customer, quote_id: str) -> Script:
    status, body = yield "reserve", _reserve_request(customer, quote_id)
    return "reserved" if status == _CREATED else _code(body)


_CREATED = 201


def _quote_request(offered: OnOffer, customer: Customer) -> bytes:
    offer_id, consent_id = public_id(OFFER, offered.id), public_id(CONSENT, customer.consent_id)
    wish = f'{{"offer_id":"{offer_id}","consent_id":"{consent_id}"}}'
    # A quote moves nothing, and needs no key.
    return _post("/v1/quotes", customer.token, wish, has_key=False)


def _reserve_request(customer: Customer, quote_id: str, *, submit: bool = False) -> bytes:
    wish = f'{{"quote_id":"{quote_id}","submit":{"true" if submit else "false"}}}'
    return _post("/v1/redemptions", customer.token, wish)


def _post(path: str, token: str, body: str, *, has_key: bool = True) -> bytes:
    key = f"Idempotency-Key: {uuid4().hex}\r\n" if has_key else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"{key}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _id_in(body: bytes) -> str:
    """Return the id in an answer; other answers' names for it do not begin with it."""
    return body.partition(b'"id":"')[2].partition(b'"')[0].decode()


def _code(body: bytes) -> str:
    """Return why somebody was refused."""
    return str(json.loads(body)["code"])
