"""Comparing what clients of redemptions were told with what is stored, sent and fed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from checks.calling import Client
from checks.market import PRICE, SUBSIDY_MINOR, Bank
from checks.receivers import Receiver
from checks.redeem_stories import Story, until_known
from checks.verdict import Verdict
from service.ids import REDEMPTION, uuid_of
from service.runtime import Runtime

PAGE: Final = 200

RECORDED: Final = """
SELECT redemption_id, array_agg(kind ORDER BY no) FROM redemption_record WHERE partner_id = %s
GROUP BY redemption_id
"""
HELD: Final = """
SELECT citizen_id, sum(held_points)::bigint, sum(redeemed_points)::bigint FROM lot
GROUP BY citizen_id
"""
TAKEN: Final = """
SELECT offer_id, taken, budget_taken_minor FROM offer_counter JOIN offer ON offer.id = offer_id
WHERE partner_id = %s
"""
USED: Final = """
SELECT offer_id, holder, sum(taken)::bigint FROM offer_use JOIN offer ON offer.id = offer_id
WHERE partner_id = %s GROUP BY offer_id, holder HAVING sum(taken) <> 0
"""

Events = dict[str, tuple[str, int]]
"""An event's id with the object it is about and the object's version."""


def compare_books(runtime: Runtime, bank: Bank, stories: Sequence[Story], verdict: Verdict) -> None:
    """See that records, points, quotas, budgets and caps are what the clients were told."""
    with runtime.database.raw_transaction() as connection:
        _compare_records(connection, bank, stories, verdict)
        _compare_points(connection, stories, verdict)
        _compare_counters(connection, bank, stories, verdict)


def _compare_records(
    connection: psycopg.Connection[Any], bank: Bank, stories: Sequence[Story], verdict: Verdict
) -> None:
    stored = dict(connection.execute(RECORDED, [bank.id]).fetchall())
    told = {uuid_of(REDEMPTION, story.id): story.records for story in stories}
    missing = [each for each in told if len(stored.get(each, [])) < len(told[each])]
    doubled = [each for each in stored if len(stored[each]) > len(told.get(each, []))]
    verdict.count("missing", len(missing))
    verdict.count("doubled", len(doubled))
    for each in stored.keys() | told.keys():
        if stored.get(each) != told.get(each):
            verdict.fault(f"{each}: told {told.get(each)}, stored {stored.get(each)}")


def _compare_points(
    connection: psycopg.Connection[Any], stories: Sequence[Story], verdict: Verdict
) -> None:
    told: dict[UUID, list[int]] = defaultdict(lambda: [0, 0])
    for story in stories:
        told[story.customer.id][0] += PRICE * story.holds
        told[story.customer.id][1] += PRICE * story.is_burned
    for citizen_id, *stored in connection.execute(HELD):
        verdict.require(
            stored == told[citizen_id],
            f"of {citizen_id} {stored} are held and redeemed, told were {told[citizen_id]}",
        )


def _compare_counters(
    connection: psycopg.Connection[Any], bank: Bank, stories: Sequence[Story], verdict: Verdict
) -> None:
    taking = [story for story in stories if story.takes]
    taken = Counter(story.offered.id for story in taking)
    for offer_id, *stored in connection.execute(TAKEN, [bank.id]):
        told = [taken[offer_id], taken[offer_id] * SUBSIDY_MINOR]
        verdict.require(stored == told, f"of {offer_id} {stored} is taken, told were {told}")
    told_uses = Counter(
        (story.offered.id, story.customer.id.bytes) for story in taking if story.offered.has_cap
    )
    uses = {
        (offer_id, bytes(holder)): times
        for offer_id, holder, times in connection.execute(USED, [bank.id])
    }
    for place in uses.keys() | told_uses.keys():
        stored_uses = uses.get(place, 0)
        verdict.require(
            stored_uses == told_uses[place], f"a cap counts {stored_uses}, not {told_uses[place]}"
        )


def compare_events(
    client: Client, bank: Bank, stories: Sequence[Story], verdict: Verdict
) -> Events:
    """See that the feed has one event for each record, in places without a gap; return them."""
    items = _fed(client, bank)
    verdict.count("events in the feed", len(items))
    places = [item["seq"] for item in items]
    verdict.require(places == list(range(1, len(items) + 1)), f"the feed's places: {places[:20]} …")
    about = Counter(
        (item["data"]["id"], item["data"]["version"])
        for item in items
        if item["type"].startswith("redemption.")
    )
    told = {(story.id, no) for story in stories for no in range(1, len(story.records) + 1)}
    verdict.require(set(about) == told, f"{len(about)} events, {len(told)} records were told")
    verdict.require(set(about.values()) <= {1}, "a record has two events")
    return {item["id"]: (item["data"]["id"], item["data"]["version"]) for item in items}


def all_arrived(receiver: Receiver, events: Events) -> bool:
    """Say whether a receiver has got everything."""
    return events.keys() <= receiver.taken.keys()


def _fed(client: Client, bank: Bank) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    path: str | None = f"/v1/events?after_seq=0&limit={PAGE}"
    while path is not None:
        answer, _ = until_known(partial(client.get, path, bank.token))
        items += answer.body["items"]
        path = answer.body["next"]
    return items
