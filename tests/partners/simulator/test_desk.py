"""What a simulated partner answers at its own addresses."""

import http.client
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from service.partners.simulator.book import Benefit, Book
from service.partners.simulator.habits import Character, Habits
from service.partners.simulator.server import HOST, Desk, server_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = {
    "type": "redemption.submitted",
    "seq": 7,
    "data": {"id": "rdm_1", "state": "submitted", "version": 2},
}


class Place:
    """A desk with its server, and everything that was heard there."""

    def __init__(self, habits: Habits) -> None:
        self.book = Book()
        self.heard: list[Any] = []
        self.days_ended = 0
        self.desk = Desk(self.book, Character(habits, 1), self.heard.append, self._end_day)
        self.desk.secrets.append(SECRET)
        self.server = server_of(self.desk, 0)

    def _end_day(self) -> None:
        self.days_ended += 1

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(HOST, self.server.server_port, timeout=10)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text else None


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(getattr(request, "param", Habits()))
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def a_webhook() -> tuple[bytes, dict[str, str]]:
    body, now = json.dumps(EVENT), datetime.now(UTC)
    return body.encode(), {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("evt_1", now, body),
    }


class TestAWebhook:
    def test_is_heard(self, place: Place) -> None:
        answer = place.ask("POST", "/hook", *a_webhook())

        assert answer == (204, None)
        assert place.heard == [EVENT | {"id": "evt_1"}]

    def test_of_somebody_else_is_refused(self, place: Place) -> None:
        body, headers = a_webhook()

        status, _ = place.ask("POST", "/hook", body + b" ", headers)

        assert status == 401
        assert place.heard == []

    @pytest.mark.parametrize("place", [Habits(hook_error=1)], indirect=True)
    def test_may_be_answered_with_an_error(self, place: Place) -> None:
        status, _ = place.ask("POST", "/hook", *a_webhook())

        assert status == 500
        assert place.heard == []


class TestTheQuestionWhatBecameOfIt:
    def test_is_answered_none_where_nothing_is_known(self, place: Place) -> None:
        answer = place.ask("GET", "/benefits?redemption_id=rdm_1")

        assert answer == (200, {"redemption_id": "rdm_1", "state": "none"})

    def test_is_answered_with_the_whole_capture(self, place: Place) -> None:
        wish = {"partner_reference": "sim-1", "points": 100, "terms_hash": "ab"}
        place.book.note(Benefit("rdm_1", "captured", "sim-1", wish))

        _, answer = place.ask("GET", "/benefits?redemption_id=rdm_1")

        assert answer == {"redemption_id": "rdm_1", "state": "captured", **wish}

    def test_is_answered_with_the_reason_of_a_decline(self, place: Place) -> None:
        place.book.note(Benefit("rdm_1", "declined", "sim-1-d", reason="not-approved"))

        _, answer = place.ask("GET", "/benefits?redemption_id=rdm_1")

        assert (answer["state"], answer["reason"]) == ("declined", "not-approved")

    @pytest.mark.parametrize("place", [Habits(status_error=1)], indirect=True)
    def test_may_be_answered_with_an_error(self, place: Place) -> None:
        assert place.ask("GET", "/benefits?redemption_id=rdm_1")[0] == 500


def test_the_end_of_a_day_can_be_called(place: Place) -> None:
    assert place.ask("POST", "/end-of-day") == (202, None)
    assert place.days_ended == 1


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/benefits")])
def test_there_is_nothing_else(place: Place, method: str, path: str) -> None:
    assert place.ask(method, path)[0] == 404
