"""The contract as programs and people read it."""

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

REPEATABLE = {
    "post /v1/activities/{activity_id}/appeals",
    "post /v1/activities/{activity_id}/corrections",
    "post /v1/activities/{activity_id}/invalidations",
    "post /v1/activities/{activity_id}/invalidations/approvals",
    "post /v1/appeals/{appeal_id}/decisions",
    "post /v1/certification-batches/{batch_id}/decisions",
    "post /v1/change-requests",
    "post /v1/change-requests/{request_id}/decisions",
    "post /v1/consents",
    "post /v1/consents/{consent_id}/acknowledgements",
    "post /v1/consents/{consent_id}/revocations",
    "post /v1/person-verifications",
    "post /v1/webhook-endpoints",
    "post /v1/webhook-endpoints/{endpoint_id}/key-rotations",
    "post /v1/grade-rules",
    "post /v1/grade-rules/{name}/versions/{version}/approvals",
    "post /v1/me/grade-reviews",
    "post /v1/grade-reviews/{review_id}/decisions",
    "post /v1/me/carbon-reports",
    "post /v1/me/retirements",
    "post /v1/offers",
    "post /v1/offers/{offer_id}/versions",
    "post /v1/partner-files",
    "post /v1/reconciliation-exceptions/{exception_id}/assignments",
    "post /v1/reconciliation-exceptions/{exception_id}/resolutions",
    "post /v1/reconciliation-exceptions/{exception_id}/resolutions/{no}/approvals",
    "post /v1/quotes",
    "post /v1/redemptions",
    "post /v1/redemptions/{redemption_id}/submissions",
    "post /v1/redemptions/{redemption_id}/captures",
    "post /v1/redemptions/{redemption_id}/declines",
    "post /v1/redemptions/{redemption_id}/voids",
    "post /v1/redemptions/{redemption_id}/reversals",
    "post /v1/redemptions/{redemption_id}/disputes",
    "post /v1/redemptions/{redemption_id}/resolutions",
    "post /v1/redemptions/{redemption_id}/forced-resolutions",
    "post /v1/forced-resolutions/{proposal_id}/approvals",
    "post /v1/settlement-batches",
    "post /v1/settlement-batches/{batch_id}/acceptances",
    "post /v1/settlement-batches/{batch_id}/receipts",
}
KEY_AND_BODY = {"idempotency-key-malformed", "json-malformed", "unknown-field"}
CODES = {
    ("get /v1/me/account", "400"): {"unknown-field"},
    ("get /v1/me/account", "422"): {"as-of-in-future", "duplicate-key", "validation-failed"},
    ("post /v1/me/retirements", "400"): KEY_AND_BODY,
    ("post /v1/me/retirements", "403"): {"account-frozen", "role-missing", "spending-held"},
    ("post /v1/me/retirements", "422"): {
        *("amount-invalid", "duplicate-key", "idempotency-key-reused", "json-too-deep"),
        *("number-out-of-range", "text-invalid", "validation-failed"),
    },
    ("get /v1/me/retirements", "400"): {"cursor-invalid", "unknown-field"},
    ("get /v1/log/proofs/consistency", "400"): {"unknown-field"},
    ("get /v1/log/proofs/consistency", "422"): {
        *("duplicate-key", "outside-tree", "validation-failed"),
    },
    ("get /v1/log/proofs/inclusion", "400"): {"unknown-field"},
    ("get /v1/log/proofs/inclusion", "422"): {
        *("duplicate-key", "outside-tree", "validation-failed"),
    },
    ("post /v1/activities/{activity_id}/appeals", "409"): {"not-appealable", "request-in-progress"},
}

METHODS = {"get", "post", "put", "patch", "delete"}


def operations(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


class TestTheDocument:
    def test_is_valid_openapi_3_1(self, client: FlaskClient) -> None:
        document = client.get("/openapi.json").get_json()

        assert document["openapi"] == "3.1.0"
        assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []

    def test_has_every_route(self, app: Flask, spec: dict[str, Any]) -> None:
        routes = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", r.rule) for r in app.url_map.iter_rules()}

        assert set(spec["paths"]) == routes

    def test_says_of_every_operation_who_may_call_it_and_how_it_refuses(
        self, spec: dict[str, Any]
    ) -> None:
        for name, operation in operations(spec):
            assert operation["x-callers"], name
            assert operation.get("summary"), name
            assert "default" in operation["responses"], name
            if "anyone" in operation["x-callers"]:
                assert not operation["security"] or operation["security"][0] == {}, name
            else:
                assert [set(way) for way in operation["security"]] == [{"accessToken"}], name
                assert {"401", "403"} <= set(operation["responses"]), name

    def test_names_the_key_wherever_it_is_honoured(self, spec: dict[str, Any]) -> None:
        named = {
            name: parameter["schema"]
            for name, operation in operations(spec)
            for parameter in operation["parameters"]
            if parameter["name"] == "Idempotency-Key"
        }

        assert set(named) == REPEATABLE
        for schema in named.values():
            assert (schema["minLength"], schema["maxLength"]) == (1, 255)
            assert re.fullmatch(schema["pattern"], "order-7")

    def test_names_the_language_everywhere(self, spec: dict[str, Any]) -> None:
        for name, operation in operations(spec):
            assert "Accept-Language" in {each["name"] for each in operation["parameters"]}, name

    def test_names_the_codes_of_the_edge_beside_those_of_the_view(
        self, spec: dict[str, Any]
    ) -> None:
        described = dict(operations(spec))

        for (name, status), codes in CODES.items():
            said = described[name]["responses"][status]["description"].split(", ")
            assert codes <= set(said), name
            assert len(said) == len(set(said)), name

    def test_names_the_media_types_of_the_log(self, spec: dict[str, Any]) -> None:
        media = {
            path: set(spec["paths"][path]["get"]["responses"]["200"]["content"])
            for path in ("/v1/log/checkpoint", "/v1/log/tile/{name}")
        }

        assert media == {
            "/v1/log/checkpoint": {"text/plain; charset=utf-8"},
            "/v1/log/tile/{name}": {"application/octet-stream"},
        }

    def test_says_what_a_restatement_and_a_withdrawal_need(self, spec: dict[str, Any]) -> None:
        asked = spec["paths"]["/v1/activities/{activity_id}/corrections"]["post"]["requestBody"]
        schemas = spec["components"]["schemas"]

        either = asked["content"]["application/json"]["schema"]["oneOf"]

        needed = [set(schemas[each["$ref"].split("/")[-1]]["required"]) for each in either]
        assert needed == [
            {"reason", "started_at", "ended_at", "activity_data"},
            {"reason", "withdrawn"},
        ]


class TestThePage:
    def test_loads_nothing_from_elsewhere(self, client: FlaskClient) -> None:
        page = client.get("/docs")

        addresses = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert addresses
        for address in addresses:
            assert client.get(address).status_code == 200
        everything = page.text + client.get("/docs/reference.js").text
        assert not re.search(r"https?://|//[a-z]+\.", everything)

    def test_may_run_its_own_script_only(self, client: FlaskClient) -> None:
        page = client.get("/docs")

        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert not re.search(r"<script>|<style|style=|onclick", page.text)


class TestEveryAnswer:
    def test_has_the_headers_of_a_careful_service(self, client: FlaskClient) -> None:
        headers = client.get("/nowhere").headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Server" not in headers

    def test_echoes_the_callers_own_ids(self, client: FlaskClient) -> None:
        interaction = "0190f3a2-6f1e-7c3a-9d53-000000000001"
        sent = {"x-fapi-interaction-id": interaction, "traceparent": "not <safe> to send back"}

        headers = client.get("/livez", headers=sent).headers

        assert headers["x-fapi-interaction-id"] == interaction
        assert "traceparent" not in headers
        assert len(headers["Request-Id"]) == 24
