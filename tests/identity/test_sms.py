"""The operator's gateway, as a server on loopback."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from service.identity.errors import SmsUnavailable
from service.identity.sms import CodeMessage, send
from service.settings import Settings

MESSAGE = CodeMessage("+8613800138000", "123456", "otp_1")


class Gateway(HTTPServer):
    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.taken: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/sms"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Say nothing on the terminal."""


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with Gateway(request.param) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("gateway", [200], indirect=True)
def test_a_gateway_is_sent_number_and_code(gateway: Gateway, settings: Settings) -> None:
    send(replace(settings, sms_sender=gateway.address), MESSAGE)

    assert gateway.taken == [{"phone": "+8613800138000", "code": "123456", "request_id": "otp_1"}]


@pytest.mark.parametrize("gateway", [500, 404], indirect=True)
def test_a_gateway_that_refuses_is_said_to_be_away(gateway: Gateway, settings: Settings) -> None:
    with pytest.raises(SmsUnavailable):
        send(replace(settings, sms_sender=gateway.address), MESSAGE)


def test_a_gateway_that_is_not_there_is_said_to_be_away(settings: Settings) -> None:
    with pytest.raises(SmsUnavailable):
        send(replace(settings, sms_sender="http://127.0.0.1:1/sms"), MESSAGE)
