"""Terms as a partner enters them, and the calls by which offers are made and changed."""

from copy import deepcopy
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.web.context import access_tokens

TERMS: dict[str, Any] = {
    "title": {"zh": "绿色贷款利率优惠", "en": "Green loan discount"},
    "mode": "burn",
    "points": 300,
    "benefit": {"kind": "rate_discount", "rate_delta_bp": -50},
    "subsidy_minor": 3000,
    "payer": "PARTNER",
    "reversal": {"window_days": 180},
    "valid_from": "2026-01-01T00:00:00+08:00",
    "valid_to": "2090-01-01T00:00:00+08:00",
}

WRITES = ("offers:read", "offers:write")


def terms(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(TERMS), **changes}


class Shop:
    """Calls as a partner or as staff."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def headers(
        self, kind: Any, caller_id: UUID, *roles: str, scopes: tuple[str, ...] = ()
    ) -> dict[str, str]:
        with self.app.app_context():
            token = access_tokens().issue(kind, caller_id, roles=roles, scopes=scopes)
        return {"Authorization": f"Bearer {token}"}

    def as_partner(self, partner_id: UUID, scopes: tuple[str, ...] = WRITES) -> dict[str, str]:
        return self.headers("partner", partner_id, "bank", scopes=scopes)

    def as_staff(self, staff_id: UUID | None = None, role: str = "operator") -> dict[str, str]:
        return self.headers("staff", staff_id or uuid4(), role)

    def draft(self, partner_id: UUID, **changes: Any) -> TestResponse:
        body = {"name": f"offer-{uuid4().hex[:12]}", "terms": terms(), **changes}
        return self.client.post("/v1/offers", json=body, headers=self.as_partner(partner_id))

    def drafted(self, partner_id: UUID, **changes: Any) -> str:
        """Make a draft and return its id."""
        made = self.draft(partner_id, **changes)
        assert made.status_code == 201, made.get_json()
        return str(made.get_json()["id"])

    def add_version(self, partner_id: UUID, offer_id: str, **changes: Any) -> TestResponse:
        return self.client.post(
            f"/v1/offers/{offer_id}/versions",
            json={"terms": terms(**changes)},
            headers=self.as_partner(partner_id),
        )

    def ask(
        self, headers: dict[str, str], offer_id: str, kind: str, state: str, **more: Any
    ) -> TestResponse:
        """Ask for a change of an offer that is expected to be in a state."""
        body = {
            "offer_id": offer_id,
            "kind": kind,
            "expected_current": {"state": state},
            "reason": "as agreed",
            **({"offer_version": 1} if kind == "activation" else {}),
            **more,
        }
        return self.client.post("/v1/change-requests", json=body, headers=headers)

    def asked(
        self, headers: dict[str, str], offer_id: str, kind: str, state: str, **more: Any
    ) -> str:
        """Ask for a change and return the request's id."""
        asked = self.ask(headers, offer_id, kind, state, **more)
        assert asked.status_code == 201, asked.get_json()
        return str(asked.get_json()["id"])

    def decide(
        self, request_id: str, decision: str = "approved", staff_id: UUID | None = None
    ) -> TestResponse:
        return self.client.post(
            f"/v1/change-requests/{request_id}/decisions",
            json={"decision": decision, "reason": "looked at"},
            headers=self.as_staff(staff_id),
        )

    def change(self, partner_id: UUID, offer_id: str, kind: str, state: str, **more: Any) -> None:
        """Ask as the partner, and approve."""
        request_id = self.asked(self.as_partner(partner_id), offer_id, kind, state, **more)
        decided = self.decide(request_id)
        assert decided.status_code == 201, decided.get_json()

    def opened(self, partner_id: UUID, **changes: Any) -> str:
        """Make an offer, activate it and return its id."""
        offer_id = self.drafted(partner_id, **changes)
        self.change(partner_id, offer_id, "activation", "draft")
        return offer_id

    def read(self, offer_id: str, headers: dict[str, str] | None = None) -> TestResponse:
        return self.client.get(f"/v1/offers/{offer_id}", headers=headers)


def code_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json().get("code")


def faults_of(response: TestResponse) -> dict[str, str]:
    """What is wrong, by JSON pointer."""
    return {fault["pointer"]: fault["code"] for fault in response.get_json()["errors"]}
