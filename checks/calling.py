"""Calling the service over HTTP: one kept connection for each thread, and what an answer tells."""

import http.client
import json
import threading
from typing import Any, NamedTuple

from service.supervisor import HOST

NDJSON = "application/x-ndjson"
JSON = "application/json"
TIMEOUT_S = 20.0


class Unanswered(Exception):
    """Whether it happened is not known: the connection broke, or the service said 'not now'."""


class Answer(NamedTuple):
    """One answer."""

    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """Calls one service; threads may share it."""

    def __init__(self, port: int) -> None:
        """Call a port of this machine."""
        self._port = port
        self._own = threading.local()

    def get(self, path: str, token: str) -> Answer:
        """Read; without a token as anybody.

        Raises:
            Unanswered: nobody answered, or with 503.
        """
        return self._call("GET", path, token, b"", {})

    def post(self, path: str, token: str, body: bytes, media: str, **headers: str) -> Answer:
        """Send.

        Raises:
            Unanswered: nobody answered, or with 503.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._call("POST", path, token, body, {"Content-Type": media, **named})

    def feed(self, token: str, body: bytes) -> Answer:
        """Send a feed."""
        return self.post("/v1/activity-batches", token, body, NDJSON)

    def _call(
        self, method: str, path: str, token: str, body: bytes, headers: dict[str, str]
    ) -> Answer:
        whom = {"Authorization": f"Bearer {token}"} if token else {}
        given = {"Accept-Language": "en", **whom, **headers}
        connection = self._connection()
        try:
            connection.request(method, path, body or None, given)
            response = connection.getresponse()
            answer = Answer(response.status, _read(response), dict(response.getheaders()))
        except (OSError, http.client.HTTPException) as error:
            self._own.connection = None
            connection.close()
            raise Unanswered(type(error).__name__) from error
        if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise Unanswered("503")
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_S)
            self._own.connection = connection
        return connection


def _read(response: http.client.HTTPResponse) -> Any:
    raw = response.read()
    is_json = "json" in response.headers.get("Content-Type", "")
    return json.loads(raw) if is_json else raw
