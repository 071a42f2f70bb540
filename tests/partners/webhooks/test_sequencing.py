"""Places for events: gapless and in order, whoever writes, rolls back or asks at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as pg

from service.partners.events import record_event
from service.partners.webhooks import sequencing
from service.partners.webhooks.sequencing import partners_waiting, sequence
from service.runtime import Runtime
from tests.partners.webhooks.conftest import Bank, MakeBank

WRITERS = 20


class RolledBackError(Exception):
    """A writer changed its mind."""


def write(runtime: Runtime, partner_id: UUID, object_id: str, version: int, *, fail: bool) -> None:
    with runtime.database.raw_transaction() as connection:
        record_event(connection, partner_id, "redemption.captured", object_id, "captured", version)
        if fail:
            raise RolledBackError


def placed(runtime: Runtime, partner_id: UUID) -> list[tuple[int, str, int]]:
    with runtime.database.raw_transaction() as connection:
        return connection.execute(
            "SELECT seq, object_id, object_version FROM partner_event WHERE partner_id = %s"
            " ORDER BY seq",
            (partner_id,),
        ).fetchall()


def sequence_all(runtime: Runtime, partner_id: UUID) -> int:
    given = 0
    while True:
        with runtime.database.raw_transaction() as connection:
            more = sequence(connection, partner_id)
        if not more:
            return given
        given += more


class TestPlaces:
    def test_have_no_gap_and_keep_each_objects_order_among_twenty_writers(
        self, runtime: Runtime
    ) -> None:
        partner_id = uuid4()
        stop = threading.Event()

        def sequence_until_stopped() -> None:
            while not stop.is_set():
                sequence_all(runtime, partner_id)

        def write_an_objects_life(number: int) -> None:
            for version in range(1, 26):
                fails = (version + number) % 5 == 0
                try:
                    write(runtime, partner_id, f"rdm_{number}", version, fail=fails)
                except RolledBackError:
                    continue

        sequencers = [threading.Thread(target=sequence_until_stopped) for _ in range(2)]
        for each in sequencers:
            each.start()
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write_an_objects_life, range(WRITERS)))
        stop.set()
        for each in sequencers:
            each.join()
        sequence_all(runtime, partner_id)

        rows = placed(runtime, partner_id)
        assert [row[0] for row in rows] == list(range(1, WRITERS * 20 + 1))
        for number in range(WRITERS):
            versions = [version for _, name, version in rows if name == f"rdm_{number}"]
            assert versions == sorted(versions)

    def test_are_given_in_chunks(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sequencing, "CHUNK", 2)
        partner_id = uuid4()
        for version in range(1, 6):
            write(runtime, partner_id, "rdm_1", version, fail=False)

        with runtime.database.raw_transaction() as connection:
            first = sequence(connection, partner_id)

        assert first == 2
        assert sequence_all(runtime, partner_id) == 3
        assert [row[2] for row in placed(runtime, partner_id)] == [1, 2, 3, 4, 5]

    def test_that_are_rolled_back_are_given_again(self, runtime: Runtime) -> None:
        partner_id = uuid4()
        write(runtime, partner_id, "rdm_1", 1, fail=False)

        with (
            runtime.database.raw_transaction() as connection,
            connection.transaction(force_rollback=True),
        ):
            assert sequence(connection, partner_id) == 1

        assert sequence_all(runtime, partner_id) == 1
        assert placed(runtime, partner_id) == [(1, "rdm_1", 1)]

    def test_are_not_given_to_what_has_not_committed(self, runtime: Runtime) -> None:
        partner_id = uuid4()
        with runtime.database.raw_transaction() as connection:
            record_event(connection, partner_id, "redemption.captured", "rdm_1", "captured", 1)

            write(runtime, partner_id, "rdm_2", 1, fail=False)
            sequence_all(runtime, partner_id)
        sequence_all(runtime, partner_id)

        assert [(row[0], row[1]) for row in placed(runtime, partner_id)] == [
            (1, "rdm_2"),
            (2, "rdm_1"),
        ]

    def test_never_change(self, runtime: Runtime) -> None:
        partner_id = uuid4()
        write(runtime, partner_id, "rdm_1", 1, fail=False)
        sequence_all(runtime, partner_id)

        for change in ("seq = 9", "seq = NULL", "state = 'declined'"):
            with (
                pytest.raises((pg.RestrictViolation, pg.InsufficientPrivilege)),
                psycopg.connect(runtime.settings.migration_database_url) as connection,
            ):
                connection.execute(
                    f"UPDATE partner_event SET {change} WHERE partner_id = %s", (partner_id,)
                )

    def test_are_asked_for_by_the_partners_that_wait(self, fresh_runtime: Runtime) -> None:
        waiting = {uuid4(), uuid4(), uuid4()}
        for partner_id in waiting:
            for version in (1, 2):
                write(fresh_runtime, partner_id, "rdm_1", version, fail=False)
        done = waiting.pop()
        sequence_all(fresh_runtime, done)

        with fresh_runtime.database.raw_transaction() as connection:
            assert partners_waiting(connection) == sorted(waiting)


class TestTheFeed:
    def test_shows_events_in_order_as_soon_as_they_are_committed(self, bank: Bank) -> None:
        objects = bank.happens(times=3)

        answer = bank.get("/events").get_json()

        assert [each["seq"] for each in answer["items"]] == [1, 2, 3]
        assert [each["data"]["id"] for each in answer["items"]] == objects
        assert (answer["next_after_seq"], answer["next"]) == (3, None)
        event = answer["items"][0]
        assert set(event) == {"id", "type", "seq", "timestamp", "api_version", "data"}
        assert event["data"] == {
            "id": objects[0],
            "object": "redemption",
            "state": "captured",
            "version": 3,
        }

    def test_goes_on_where_the_page_before_ended(self, bank: Bank) -> None:
        bank.happens(times=5)

        first = bank.get("/events", limit=2)
        path = first.get_json()["next"].removeprefix("/v1")
        second = bank.get(path).get_json()

        assert first.headers["Link"] == f'</v1{path}>; rel="next"'
        assert first.get_json()["next_after_seq"] == 2
        assert [each["seq"] for each in second["items"]] == [3, 4]
        assert [each["seq"] for each in bank.feed(after_seq=4)] == [5]

    def test_is_empty_at_its_end_and_says_where_to_go_on(self, bank: Bank) -> None:
        bank.happens(times=2)

        assert bank.get("/events", after_seq=2).get_json() == {
            "items": [],
            "next_after_seq": 2,
            "next": None,
        }
        assert bank.get("/events", after_seq=7).get_json()["next_after_seq"] == 7

    def test_can_be_of_one_type(self, bank: Bank) -> None:
        bank.happens("redemption.captured", times=2)
        bank.happens("consent.revoked")
        bank.happens("redemption.captured")

        answer = bank.get("/events", type="consent.revoked").get_json()

        assert [each["seq"] for each in answer["items"]] == [3]
        assert answer["next_after_seq"] == 4

    def test_looks_through_a_long_row_page_by_page(
        self, bank: Bank, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("service.partners.webhooks.feed.LOOKED_THROUGH", 2)
        bank.happens("redemption.captured", times=3)
        bank.happens("consent.revoked")

        first = bank.get("/events", type="consent.revoked").get_json()
        second = bank.get(first["next"].removeprefix("/v1")).get_json()

        assert (first["items"], first["next_after_seq"]) == ([], 2)
        assert [each["seq"] for each in second["items"]] == [4]

    def test_is_a_partners_own(self, bank: Bank, a_bank: MakeBank) -> None:
        bank.happens()
        other = a_bank()
        event_id = bank.feed()[0]["id"]

        assert other.feed() == []
        assert other.get(f"/events/{event_id}").status_code == 404

    def test_shows_one_event_with_its_place(self, bank: Bank) -> None:
        bank.happens()
        event = bank.feed()[0]

        assert bank.get(f"/events/{event['id']}").get_json() == event
        assert bank.get("/events/evt_1").get_json()["code"] == "id-unknown"

    def test_needs_its_scope(self, a_bank: MakeBank) -> None:
        other = a_bank(scopes=("webhooks:manage",))

        assert other.get("/events").status_code == 403

    @pytest.mark.parametrize("query", [{"after_seq": "-1"}, {"type": "x"}, {"limit": "0"}])
    def test_refuses_what_it_cannot_read(self, bank: Bank, query: dict[str, str]) -> None:
        assert bank.get("/events", **query).status_code == 422
