"""One client of the service's HTTP API, such as any citizen, source or verifier could write."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode

import click

HOST = "127.0.0.1"
TIMEOUT_S = 60
JSON = "application/json"
PAGE = "200"


class ServiceSilentError(click.ClickException):
    """Our service is not there; the message says how to start it."""


class UnexpectedAnswerError(click.ClickException):
    """The service refused what it should have done; the message quotes it."""


class Service:
    """The service at one port, spoken to over one connection that is kept."""

    def __init__(self, port: int) -> None:
        self.address = f"http://{HOST}:{port}"
        self._connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def require_ready(self) -> None:
        """Refuse to go on where no service is ready.

        Raises:
            ServiceSilentError
        """
        try:
            status, _ = self._exchange("GET", "/readyz", None, {})
        except OSError:
            status = 0
        if status != http.HTTPStatus.OK:
            raise ServiceSilentError(
                f"No service is ready at {self.address}. Start one in another terminal with "
                "`make run`, with the same PORT and CARBON_HOME, and try again."
            )

    def require_keys(self, key_ids: set[str]) -> None:
        """Refuse to go on where the service signs with other keys than those of our home.

        Raises:
            ServiceSilentError
        """
        published = {key["kid"] for key in self.get("/.well-known/jwks.json")["keys"]}
        if not published & key_ids:
            raise ServiceSilentError(
                f"The service at {self.address} has another CARBON_HOME. Name the same one here, "
                "or start a service with this one on a PORT of its own."
            )

    def get(self, path: str, token: str | None = None) -> Any:
        """Return what stands at a path."""
        return self._call("GET", path, None, _headers(token, None))

    def post(self, path: str, body: Any, token: str | None = None) -> Any:
        """Send JSON and return the answer."""
        return self._call("POST", path, json.dumps(body).encode(), _headers(token, JSON))

    def post_as(self, content_type: str, path: str, body: bytes, token: str | None = None) -> Any:
        """Send a body of another type, as it is, and return the answer."""
        return self._call("POST", path, body, _headers(token, content_type))

    def items(self, path: str, token: str, **filters: str) -> list[dict[str, Any]]:
        """Return a whole list, page by page."""
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": PAGE, **filters}
        while True:
            page = self.get(f"{path}?{urlencode(query)}", token)
            found += page["items"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        status, answer = self._exchange(method, path, body, headers)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise UnexpectedAnswerError(
                f"{method} {path} was answered {status}: {answer.decode(errors='replace')}"
            )
        return json.loads(answer)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            # The next request opens a new connection.
            self._connection.close()
            raise


def _headers(token: str | None, content_type: str | None) -> dict[str, str]:
    headers = {"Accept-Language": "en"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if content_type is not None:
        headers["Content-Type"] = content_type
    return headers
