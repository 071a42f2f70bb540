"""A simulated partner's own addresses, on this machine only: webhooks, status, end of day."""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from service.partners.simulator.book import Book
from service.partners.simulator.habits import Character
from service.partners.simulator.webhooks import is_genuine

HOST: Final = "127.0.0.1"
BODY_BYTES_MAX: Final = 64 * 1024

Answer = tuple[int, Mapping[str, Any] | None]


class Desk:
    """What the addresses answer."""

    def __init__(
        self,
        book: Book,
        character: Character,
        hear: Callable[[Mapping[str, Any]], None],
        end_day: Callable[[], None],
    ) -> None:
        self.secrets: list[str] = []
        """Of the endpoint; more than one while its keys change."""
        self._book = book
        self._character = character
        self._hear = hear
        self._end_day = end_day
        self._asked = 0

    def hook(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Take a webhook in: quickly, and acting on it later."""
        if not any(is_genuine(secret, headers, body) for secret in self.secrets):
            return 401, {"code": "signature-wrong"}
        named = {name.lower(): value for name, value in headers.items()}
        event = {**json.loads(body), "id": named["webhook-id"]}
        self._asked += 1
        if self._is_unwell("hook", event["id"], self._asked):
            return 500, {"code": "unwell"}
        self._hear(event)
        return 204, None

    def status(self, redemption_id: str) -> Answer:
        """Say what became of a redemption; whoever asks has no other way to know."""
        self._asked += 1
        if self._is_unwell("status", redemption_id, self._asked):
            return 500, {"code": "unwell"}
        known = self._book.about(redemption_id)
        if known is None:
            return 200, {"redemption_id": redemption_id, "state": "none"}
        return 200, known.view()

    def end_day(self) -> Answer:
        """Send the settlement file now."""
        self._end_day()
        return 202, None

    def _is_unwell(self, where: str, *names: object) -> bool:
        """Hang for a while, or say that an error is to be answered, by chance."""
        habits, dice = self._character.habits, self._character.dice(where, *names)
        if dice.random() < getattr(habits, f"{where}_hang"):
            time.sleep(habits.hang_s)
        return dice.random() < float(getattr(habits, f"{where}_error"))


def server_of(desk: Desk, port: int) -> ThreadingHTTPServer:
    """Return a server for the desk; port 0: any that is free."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            body = self.rfile.read(
                min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
            )
            match self.path:
                case "/hook":
                    self._answer(desk.hook(dict(self.headers.items()), body))
                case "/end-of-day":
                    self._answer(desk.end_day())
                case _:
                    self._answer((404, None))

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = parse_qs(address.query).get("redemption_id", [])
            if address.path == "/benefits" and len(asked) == 1:
                self._answer(desk.status(asked[0]))
            else:
                self._answer((404, None))

        def _answer(self, answer: Answer) -> None:
            status, members = answer
            body = b"" if members is None else json.dumps(members).encode()
            self.send_response(status)
            if body:
                self.send_header("Content-Type", "application/json")
            if status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing: what is done is told as JSON."""

    server = ThreadingHTTPServer((HOST, port), Handler)
    server.daemon_threads = True
    return server
