"""The contract as programs and people read it."""

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

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
            if operation["x-callers"] != ["anyone"]:
                assert operation["security"] == [{"accessToken": []}], name
                assert {"401", "403"} <= set(operation["responses"]), name


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
