"""Settlement as it runs by itself: the command, the worker and the log beside the requests."""

import base64
import hashlib
import json
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner

from service.app import create_app
from service.cli import cli
from service.jobs.worker import work
from service.partners.organisations import partner_by_id
from service.rewards.settlement.closing import close_due
from service.rewards.settlement.commands import settlement_group
from service.rewards.settlement.jobs import TASKS
from service.runtime import Runtime
from service.transparency.events import commitment
from tests.rewards.market import Market
from tests.rewards.settlement.counter import Counter
from tests.transparency.books import Books


@pytest.fixture
def alone(fresh_runtime: Runtime) -> Counter:
    """A counter with a database of its own."""
    return Counter(Market(fresh_runtime, create_app(fresh_runtime)))


class TestTheCommand:
    def test_closes_a_partners_days(self, counter: Counter) -> None:
        counter.captured(2)
        with counter.market.runtime.database.raw_transaction() as connection:
            name = partner_by_id(connection, counter.partner_id).name

        with counter.next_morning():
            done = CliRunner().invoke(
                settlement_group,
                ["close", "--day", counter.day.isoformat(), "--partner", name],
                obj=counter.market.runtime,
            )

        told = json.loads(done.output)
        assert (told["partner"], told["n"], told["lines"]) == (name, 1, 2)

    def test_is_one_of_ours(self) -> None:
        assert "settlement" in cli.commands


class TestTheWorker:
    def test_compares_what_was_sent(self, alone: Counter) -> None:
        alone.captured(2)
        batch = alone.closed()
        rows = alone.their_rows(batch["id"])
        alone.send(rows, batch_id=batch["id"])

        work(alone.market.runtime, TASKS, wait=False)

        assert alone.seen(batch["id"])["state"] == "accepted"

    def test_has_nothing_to_do_for_a_refused_file(self, alone: Counter) -> None:
        alone.captured()
        batch = alone.closed()
        alone.send_text("nonsense", batch_id=batch["id"])

        work(alone.market.runtime, TASKS, wait=False)

        assert alone.seen(batch["id"])["state"] == "sent"

    def test_closes_the_others_days_when_one_cannot_be(self, alone: Counter) -> None:
        first, second = sorted([alone, Counter(alone.market)], key=lambda each: each.partner_id)
        for each in (first, second):
            each.captured()
        with alone.market.runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO settlement_batch (id, partner_id, business_date, no, state, version,"
                " lines, totals) VALUES (%s, %s, %s, 1, 'superseded', 1, 0, '{}')",
                [uuid4(), first.partner_id, first.day],
            )

        with alone.next_morning(), pytest.raises(psycopg.errors.UniqueViolation):
            close_due(alone.market.runtime)

        batches = second.get("/v1/settlement-batches").get_json()["items"]
        assert [batch["state"] for batch in batches] == ["sent"]


class TestTheLog:
    def test_proves_a_manifest(self, alone: Counter, tmp_path: Path) -> None:
        alone.captured()
        batch = alone.closed()
        books = Books.opened(alone.market.runtime, tmp_path)

        books.cycle()

        entry = alone.seen(batch["id"])["manifest"]["log_entry"]
        path = f"/v1/log/proofs/inclusion?leaf_index={entry['leaf_index']}"
        proof = alone.market.client.get(path).get_json()
        leaf = hashlib.sha256(b"\0" + bytes.fromhex(entry["commitment"])).digest()
        assert batch["manifest"]["log_entry"]["leaf_index"] is None
        assert proof["leaf_hash"] == base64.b64encode(leaf).decode()

    def test_opens_a_manifests_entry(self, counter: Counter) -> None:
        counter.captured()

        entry = counter.closed()["manifest"]["log_entry"]

        committed = commitment(
            bytes.fromhex(entry["salt"]),
            UUID(hex=entry["event_id"]),
            entry["kind"],
            entry["content"],
            datetime.fromisoformat(entry["recorded_at"]),
        )
        assert committed.hex() == entry["commitment"]
