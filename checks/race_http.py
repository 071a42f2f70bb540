"""Races over HTTP: a cap at its limit, and one Idempotency-Key from everybody."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from uuid import uuid4

from checks.calling import JSON, Answer, Client, Unanswered
from checks.race_ledger import AT_ONCE, at_once
from checks.town import Town, feed_of, invoice, metro_ride
from checks.verdict import Verdict

INVOICES_A_DAY: Final = 5
"""service/methodologies/paperless.py"""
RIDES: Final = 3
RETIRED: Final = 100
TRIES: Final = 5
PAUSE_S: Final = 0.5


class HttpRaces:
    """Races on a served house."""

    def __init__(self, town: Town, client: Client, verdict: Verdict) -> None:
        """Race against the service that `client` calls."""
        self._town = town
        self._client = client
        self._verdict = verdict

    def cap(self, _number: int) -> None:
        """An act in each of many feeds at once: as many count as the day's cap says, never more."""
        account = uuid4().hex
        self._town.join([account])
        feeds = [feed_of([invoice(account)]) for _ in range(AT_ONCE)]
        items = at_once([partial(self._item, feed) for feed in feeds])
        self._verdict.count("cap: requests", AT_ONCE)
        verdicts = [item.get("first_verdict", item["verdict"]) for item in items]
        certified = [verdict for verdict in verdicts if verdict == "certified"]
        self._verdict.require(
            len(certified) == INVOICES_A_DAY,
            f"cap: {len(certified)} invoices of a day count, the cap is {INVOICES_A_DAY}",
        )
        again = [self._item(feed)["activity_id"] for feed in feeds[:INVOICES_A_DAY]]
        known = [item["activity_id"] for item in items[:INVOICES_A_DAY]]
        self._verdict.require(again == known, "cap: a feed that came again has other activities")

    def same_key(self, _number: int) -> None:
        """One Idempotency-Key from everybody on a retirement: one effect, identical answers."""
        account, key = uuid4().hex, uuid4().hex
        (citizen_id,) = self._town.join([account]).values()
        token = self._town.token_of(citizen_id)
        self._client.feed(
            self._town.source_token, feed_of([metro_ride(account, n) for n in range(RIDES)])
        )
        answers = at_once([lambda: self._retire(token, key, RETIRED)] * AT_ONCE)
        self._verdict.count("same_key: requests", AT_ONCE)
        bodies = {json.dumps(each.body, sort_keys=True) for each in answers}
        self._verdict.require(
            all(each.status == 201 for each in answers), f"same_key: {answers[0]}"
        )
        self._verdict.require(len(bodies) == 1, f"same_key: {len(bodies)} answers")
        self._verdict.require(
            self._retired(token) == RETIRED, f"same_key: {self._retired(token)} g are retired"
        )
        other = self._retire(token, key, RETIRED + 1)
        self._verdict.require(
            other.status == 422, f"same_key: another body was answered {other.status}"
        )

    def _item(self, feed: bytes) -> dict[str, Any]:
        answer = insisted(lambda: self._client.feed(self._town.source_token, feed))
        item: dict[str, Any] = answer.body["items"][0]
        return item

    def _retire(self, token: str, key: str, grams: int) -> Answer:
        body = json.dumps({"reduction_g": grams}).encode()
        return insisted(
            lambda: self._client.post("/v1/me/retirements", token, body, JSON, Idempotency_Key=key)
        )

    def _retired(self, token: str) -> int:
        return int(self._client.get("/v1/me/account", token).body["reduction_g"]["retired"])


def insisted(send: Callable[[], Answer]) -> Answer:
    """Send until there is an answer, as a client does who is told that the service is busy.

    Raises:
        Unanswered: it stays busy.
    """
    for _ in range(TRIES - 1):
        try:
            return send()
        except Unanswered:
            time.sleep(PAUSE_S)
    return send()
