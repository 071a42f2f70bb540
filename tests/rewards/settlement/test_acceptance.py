"""A matched batch is accepted, and each redemption in it is settled: once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from service.ids import REDEMPTION, uuid_of
from service.ledger.audit import run_audit
from service.rewards.redemptions.steps import SERVICE
from service.rewards.settlement.accepting import accept_batch
from service.rewards.settlement.invariants import CHECKS
from service.runtime import Runtime
from tests.rewards.market import Market
from tests.rewards.settlement.counter import Counter


class TestAMatchedBatch:
    def test_is_accepted_by_itself(self, counter: Counter) -> None:
        redemptions = counter.captured(2)
        batch = counter.closed()

        counter.compared(batch["id"])

        assert [counter.market.state(each) for each in redemptions] == ["settled", "settled"]
        states = [each["state"] for each in counter.seen(batch["id"])["history"]]
        assert states == ["open", "sent", "partner_received", "matched", "accepted"]

    def test_leaves_what_was_reversed_as_it_is(self, counter: Counter) -> None:
        part, whole = counter.captured(2)
        body = {"reason": "cooling-off"}
        counter.market.step(counter.offered, part, "reversals", {**body, "share": "0.5"})
        counter.market.step(counter.offered, whole, "reversals", body)
        batch = counter.closed()

        counter.compared(batch["id"])

        assert counter.market.state(part) == "partially_reversed"
        assert counter.market.state(whole) == "reversed"
        assert counter.market.records(whole)[-1] == "settlement"

    def test_tells_the_partner_of_each(self, counter: Counter) -> None:
        [redemption] = counter.captured()

        counter.compared(counter.closed()["id"])

        with counter.market.runtime.database.raw_transaction() as connection:
            row = connection.execute(
                "SELECT state FROM partner_event WHERE object_id = %s AND type = %s",
                [redemption, "redemption.settled"],
            ).fetchone()
        assert row == ("settled",)

    def test_can_still_be_reversed_and_is_settled_the_day_after(self, counter: Counter) -> None:
        [redemption] = counter.captured()
        counter.compared(counter.closed()["id"])

        reversed_ = counter.market.step(
            counter.offered, redemption, "reversals", {"reason": "cooling-off"}
        )
        second = counter.closed_tomorrow()

        assert reversed_.status_code == 201
        assert [row["record_type"] for row in counter.file(second["id"])] == ["REVERSAL"]
        assert counter.compared(second["id"]) == []


class TestABatchWithExceptions:
    def test_waits_for_their_resolution(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        counter.compared(batch["id"], list.clear)

        refused = counter.by_staff(f"/v1/settlement-batches/{batch['id']}/acceptances")

        assert (refused.status_code, refused.get_json()["code"]) == (
            409,
            "settlement-exceptions-open",
        )

    def test_is_accepted_by_staff_when_all_are_resolved(self, counter: Counter) -> None:
        [redemption] = counter.captured()
        batch = counter.closed()
        [exception] = counter.compared(batch["id"], list.clear)
        counter.resolved(exception, "accept_ours")
        path = f"/v1/settlement-batches/{batch['id']}/acceptances"

        answers = [counter.by_staff(path) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 201]
        assert counter.market.state(redemption) == "settled"
        assert counter.market.records(redemption).count("settlement") == 1

    def test_is_not_accepted_before_it_was_compared(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()

        refused = counter.by_staff(f"/v1/settlement-batches/{batch['id']}/acceptances")

        assert refused.get_json()["code"] == "settlement-batch-closed"


class TestManyAtOnce:
    def test_settle_a_batch_once(self, counter: Counter) -> None:
        redemptions = counter.captured(3)
        batch = counter.closed()
        for exception in counter.compared(batch["id"], list.clear):
            counter.resolved(exception, "write_off")
        path = f"/v1/settlement-batches/{batch['id']}/acceptances"

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: counter.by_staff(path), range(20)))

        assert {answer.status_code for answer in answers} <= {201, 503}
        assert {counter.market.records(each).count("settlement") for each in redemptions} == {1}

    def test_close_a_day_once(self, counter: Counter) -> None:
        counter.captured(2)

        with counter.next_morning(), ThreadPoolExecutor(8) as pool:
            runtime, day = counter.market.runtime, counter.day
            made = list(pool.map(lambda _: counter.try_to_close(runtime, day), range(8)))

        assert [each.no for each in made if each is not None] == [1]

    def test_compare_a_file_once(self, counter: Counter) -> None:
        counter.captured(3)
        batch = counter.closed()
        run_id = counter.send([], batch_id=batch["id"]).get_json()["run_id"]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: counter.work(run_id), range(8)))

        assert len(counter.exceptions(batch["id"])) == 3


class TestWhatBreaksOffInTheMiddle:
    def test_leaves_no_half_a_batch(self, counter: Counter) -> None:
        counter.captured(2)

        with counter.next_morning(), pytest.raises(KeyboardInterrupt):
            counter.close_and_break_off()

        assert counter.get("/v1/settlement-batches").get_json()["items"] == []
        assert counter.closed()["lines"] == 2

    def test_leaves_no_half_an_acceptance(self, counter: Counter) -> None:
        redemptions = counter.captured(2)
        batch = counter.closed()
        for exception in counter.compared(batch["id"], list.clear):
            counter.resolved(exception, "accept_ours")

        with (
            pytest.raises(KeyboardInterrupt),
            counter.market.runtime.database.raw_transaction() as connection,
        ):
            accept_and_break_off(connection, batch["id"])

        assert {counter.market.state(each) for each in redemptions} == {"captured"}
        assert counter.seen(batch["id"])["state"] == "exceptions"


def accept_and_break_off(connection: psycopg.Connection[Any], batch_id: str) -> None:
    accept_batch(connection, uuid_of("stb", batch_id), SERVICE)
    raise KeyboardInterrupt


@pytest.fixture
def audited(fresh_runtime: Runtime) -> Counter:
    """A counter of which all books can be looked through."""
    from service.app import create_app  # noqa: PLC0415  an application for this database alone

    return Counter(Market(fresh_runtime, create_app(fresh_runtime)))


def broken(counter: Counter) -> set[str]:
    return {
        each.name for each in run_audit(counter.market.runtime.database, CHECKS) if each.differences
    }


class TestTheAudit:
    def test_finds_nothing_in_honest_books(self, audited: Counter) -> None:
        first, _ = audited.captured(2)
        audited.market.step(audited.offered, first, "reversals", {"reason": "cooling-off"})
        audited.closed()
        with audited.next_morning():
            again = audited.rerun(audited.day).get_json()
        audited.compared(again["id"])
        audited.captured()
        waiting = audited.closed_tomorrow()
        audited.compared(waiting["id"], list.clear)

        assert broken(audited) == set()

    @pytest.mark.parametrize(
        ("damage", "found"),
        [
            ("DELETE FROM redemption_record WHERE kind = 'settlement'",
             {"settled-once", "accepted-lines-are-settled"}),
            ("UPDATE settlement_line SET points = 1", {"batch-totals"}),
            ("UPDATE settlement_line SET written = ''", {"settlement-files"}),
            ("UPDATE settlement_manifest SET document = 'x'", {"settlement-files"}),
            ("UPDATE settlement_manifest SET sha256 = sha256('x')",
             {"settlement-files", "manifest-chain", "manifests-in-log"}),
            ("UPDATE settlement_batch SET state = 'matched' WHERE state = 'accepted'",
             {"settled-once", "batch-states"}),
            ("UPDATE settlement_line SET superseded_by = batch_id",
             {"settled-once", "superseded-lines"}),
        ],
    )  # fmt: skip
    def test_finds_what_was_damaged(self, audited: Counter, damage: str, found: set[str]) -> None:
        audited.captured(2)
        audited.compared(audited.closed()["id"])
        audited.captured()
        audited.compared(audited.closed_tomorrow()["id"])

        with psycopg.connect(audited.market.runtime.settings.migration_database_url) as connection:
            for table in ("redemption_record", "settlement_line", "settlement_manifest"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            connection.execute(damage)

        assert broken(audited) == found


class TestASettledRedemption:
    def test_is_in_no_later_batch(self, counter: Counter) -> None:
        counter.captured()
        counter.compared(counter.closed()["id"])
        [second] = counter.captured()

        rows = counter.file(counter.closed_tomorrow()["id"])

        assert [row["redemption_id"] for row in rows] == [second]

    def test_is_settled_by_no_other_key(self, counter: Counter) -> None:
        [redemption] = counter.captured()
        counter.compared(counter.closed()["id"])

        with (
            pytest.raises(psycopg.errors.UniqueViolation),
            counter.market.runtime.database.raw_transaction() as connection,
        ):
            connection.execute(
                "INSERT INTO redemption_record (redemption_id, no, id, kind, state, request_no,"
                " actor_kind, partner_id, business_date)"
                " SELECT redemption_id, no + 1, %s, kind, state, request_no, actor_kind,"
                " partner_id, business_date FROM redemption_record"
                " WHERE redemption_id = %s AND kind = 'settlement'",
                [uuid4(), uuid_of(REDEMPTION, redemption)],
            )
