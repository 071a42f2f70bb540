"""Partners that may be given consents, and consents given to them over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from service import clock
from service.identity.consents.checking import Consent, consent_from, look_up_consent
from service.ids import CONSENT, uuid_of
from service.partners.organisations import PartnerTerms, add_partner
from service.partners.scopes import scopes_of
from service.runtime import Runtime
from service.web.context import ACCESS_TOKENS
from tests.identity.conftest import Post, SignedInCitizen, bearer

DAY = timedelta(days=1)


@dataclass(frozen=True)
class KnownPartner:
    name: str
    id: UUID
    headers: dict[str, str]


NewPartner = Callable[..., KnownPartner]
Give = Callable[..., TestResponse]
Given = Callable[..., dict[str, Any]]
Read = Callable[[str], Consent]


def terms(partner: KnownPartner, /, **others: Any) -> dict[str, Any]:
    """Return the body of a consent."""
    return {
        "partner": partner.name,
        "purpose": "benefit",
        "data_clusters": ["tier", "redemption"],
        "valid_to": in_days(90),
        **others,
    }


def in_days(days: float) -> str:
    return (clock.now() + timedelta(days=days)).isoformat()


@pytest.fixture
def a_partner(app: Flask, runtime: Runtime) -> NewPartner:
    def make(role: str = "bank", scopes: frozenset[str] | None = None) -> KnownPartner:
        name = f"{role}-{uuid4().hex[:12]}"
        key = ECKey.generate_key("P-256").as_dict(private=False)
        with runtime.database.raw_transaction() as connection:
            partner = add_partner(
                connection, PartnerTerms(name, frozenset({role}), {"keys": [key]})
            )
        held = scopes_of([role]) if scopes is None else scopes
        token = app.extensions[ACCESS_TOKENS].issue(
            "partner", partner.id, roles=[role], scopes=held, name=name
        )
        return KnownPartner(name, partner.id, bearer(token))

    return make


@pytest.fixture
def give(post: Post) -> Give:
    """Ask to give a consent."""

    def ask(citizen: SignedInCitizen, partner: KnownPartner, /, **others: Any) -> TestResponse:
        return post("/v1/consents", terms(partner, **others), headers=citizen.headers)

    return ask


@pytest.fixture
def given(give: Give) -> Given:
    """Give a consent and return it as the citizen sees it."""

    def make(citizen: SignedInCitizen, partner: KnownPartner, /, **others: Any) -> dict[str, Any]:
        answer = give(citizen, partner, **others)
        assert answer.status_code == 201, answer.get_json()
        body: dict[str, Any] = answer.get_json()
        return body

    return make


@pytest.fixture
def read(runtime: Runtime) -> Read:
    """Return a consent as it is judged."""

    def ask(public_id: str) -> Consent:
        with runtime.database.raw_transaction() as connection:
            return consent_from(look_up_consent(connection, uuid_of(CONSENT, public_id)))

    return ask


@pytest.fixture
def told(runtime: Runtime) -> Callable[[KnownPartner], list[tuple[str, str, str, int]]]:
    """Return what a partner was told, in order."""

    def events(partner: KnownPartner) -> list[tuple[str, str, str, int]]:
        query = (
            "SELECT type, object_id, state, object_version FROM partner_event"
            " WHERE partner_id = %s ORDER BY occurred_at"
        )
        with runtime.database.raw_transaction() as connection:
            return connection.execute(query, [partner.id]).fetchall()

    return events


Told = Callable[[KnownPartner], list[tuple[str, str, str, int]]]
