"""Callers of the activities' routes: a source and a citizen, each with her access token."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from service.access_tokens import AccessTokens, Kind
from service.activities.intake.candidates import Source
from service.runtime import Runtime
from service.web.context import ACCESS_TOKENS
from tests.activities.factories import a_citizen, a_source

NDJSON = "application/x-ndjson"


def bearer(app: Flask, kind: Kind, caller_id: UUID, *roles: str) -> dict[str, str]:
    """Return the headers of somebody who has just got a token."""
    tokens: AccessTokens = app.extensions[ACCESS_TOKENS]
    return {"Authorization": f"Bearer {tokens.issue(kind, caller_id, roles=roles)}"}


@dataclass(frozen=True)
class Callers:
    """A source and a citizen whose account `card-1` she has linked."""

    app: Flask
    source: Source
    citizen: UUID

    @classmethod
    def of(cls, app: Flask, runtime: Runtime, *, region: str = "440300") -> "Callers":
        """Make both."""
        source = a_source(runtime, region=region)
        return cls(app, source, a_citizen(runtime, source))

    def send(
        self, *lines: bytes, body: bytes | None = None, content_type: str = NDJSON, **headers: str
    ) -> TestResponse:
        """Send a feed: lines, or a body as it is."""
        assert self.source.id is not None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().post(
            "/v1/activity-batches",
            data=b"\n".join(lines) if body is None else body,
            content_type=content_type,
            headers={**bearer(self.app, "partner", self.source.id, "source"), **named},
        )

    def record(self, body: bytes, content_type: str = "application/json") -> TestResponse:
        """Record an act herself."""
        return self.app.test_client().post(
            "/v1/activities", data=body, content_type=content_type, headers=self.hers()
        )

    def read(self, path: str, **headers: str) -> TestResponse:
        """Read what is hers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().get(path, headers={**self.hers(), **named})

    def hers(self) -> dict[str, str]:
        """Return the citizen's headers."""
        return bearer(self.app, "citizen", self.citizen)


def told(response: TestResponse) -> list[Any]:
    """Return for each item of a feed's answer its line and its code, or its verdict."""
    assert response.status_code == 200, response.text
    assert response.json is not None
    return [(item["line"], item.get("code", item["verdict"])) for item in response.json["items"]]
