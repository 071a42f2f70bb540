"""A partner's own address at which it is asked what became of redemptions."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from service import clock
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.janitor import ask_partners
from tests.rewards.market import Market

Answer = Callable[[str], tuple[int, bytes]]
"""From the redemption's public id to a status and a body."""


class Desk(ThreadingHTTPServer):
    """Answers what it is told to; `asked` is what it was asked about, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.answer: Answer = lambda redemption_id: saying("none", redemption_id)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/status"

    def says(self, state: str, /, **more: Any) -> None:
        self.answer = lambda redemption_id: saying(state, redemption_id, **more)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller who did not wait."""

    def serve(self, market: Market, partner_id: UUID) -> None:
        """Let a partner be asked here."""
        with market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO partner_profile (partner_id, reach, signatures, status_url)"
                " VALUES (%s, 'loopback', 'optional', %s)",
                [partner_id, self.url],
            )


class _Handler(BaseHTTPRequestHandler):
    server: Desk

    def do_GET(self) -> None:
        redemption_id = parse_qs(urlsplit(self.path).query)["redemption_id"][0]
        self.server.asked.append(redemption_id)
        status, body = self.server.answer(redemption_id)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def saying(state: str, redemption_id: str, /, **more: Any) -> tuple[int, bytes]:
    said = {"redemption_id": redemption_id, "state": state, **more}
    return 200, json.dumps(said).encode()


@contextmanager
def open_desk() -> Iterator[Desk]:
    with Desk() as desk:
        thread = threading.Thread(target=desk.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield desk
        finally:
            desk.shutdown()
            thread.join()


@contextmanager
def asked_later(market: Market, **by: float) -> Iterator[None]:
    """Live later, after the partners were asked."""
    with clock.shifted(timedelta(**by)):
        ask_partners(market.runtime)
        yield


def inquiries(market: Market, redemption_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what a redemption's partner answered, and what is kept of it."""
    with market.runtime.database.raw_transaction() as connection:
        found = connection.execute(
            "SELECT answer, body FROM inquiry WHERE redemption_id = %s ORDER BY no",
            [uuid_of(REDEMPTION, redemption_id)],
        )
        return [(row[0], row[1]) for row in found]
