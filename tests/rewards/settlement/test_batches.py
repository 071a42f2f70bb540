"""A day is closed into one batch: a file, a signed manifest, and nothing twice."""

import base64
import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from service.rewards.settlement.closing import close_due, close_first
from service.rewards.settlement.files import COLUMNS, is_formula
from tests.rewards.settlement.counter import Counter


class TestClosingADay:
    def test_takes_every_capture_and_reversal(self, counter: Counter) -> None:
        first, _second = counter.captured(2)
        counter.market.step(counter.offered, first, "reversals", {"reason": "cooling-off"})

        batch = counter.closed()

        rows = counter.file(batch["id"])
        assert (batch["state"], batch["n"], batch["lines"]) == ("sent", 1, 3)
        assert sorted(row["record_type"] for row in rows) == ["CAPTURE", "CAPTURE", "REVERSAL"]
        assert batch["totals"]["CAPTURE"] == {
            "lines": 2,
            "points": 200,
            "reduction_g": 200,
            "subsidy_minor": 6000,
            "subsidy_minor_by_payer": {"PARTNER": 6000},
        }
        assert batch["totals"]["REVERSAL"]["points"] == 100

    def test_leaves_what_is_not_captured(self, counter: Counter) -> None:
        counter.market.submitted(counter.customer(), counter.offered)
        [captured] = counter.captured()

        batch = counter.closed()

        assert [row["redemption_id"] for row in counter.file(batch["id"])] == [captured]

    def test_makes_no_batch_of_nothing(self, counter: Counter) -> None:
        counter.market.submitted(counter.customer(), counter.offered)

        with counter.next_morning():
            assert close_first(counter.market.runtime, counter.partner_id, counter.day) is None

    def test_waits_for_the_cut_off(self, counter: Counter) -> None:
        refused = counter.rerun(counter.day)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "settlement-day-not-over")

    def test_again_makes_nothing_more(self, counter: Counter) -> None:
        counter.captured()
        counter.closed()

        with counter.next_morning():
            assert close_first(counter.market.runtime, counter.partner_id, counter.day) is None

    def test_marks_what_was_late(self, counter: Counter) -> None:
        counter.captured()
        counter.closed()
        [late] = counter.captured()

        batch = counter.closed(counter.day + timedelta(days=1))

        [row] = counter.file(batch["id"])
        assert (row["redemption_id"], row["business_date"]) == (late, counter.day.isoformat())
        assert claims(counter, batch)["late_lines"] == 1

    def test_of_every_partner_is_the_workers_work(self, counter: Counter) -> None:
        counter.captured()

        with counter.next_morning():
            made = close_due(counter.market.runtime, partner_id=counter.partner_id)
            again = close_due(counter.market.runtime, partner_id=counter.partner_id)

        assert [(batch.business_date, batch.lines) for batch in made] == [(counter.day, 1)]
        assert again == []

    def test_tells_the_partner(self, counter: Counter) -> None:
        counter.captured()

        batch = counter.closed()

        with counter.market.runtime.database.raw_transaction() as connection:
            told = connection.execute(
                "SELECT type FROM partner_event WHERE object_id = %s ORDER BY object_version",
                [batch["id"]],
            ).fetchall()
        assert told == [("settlement_batch.opened",), ("settlement_batch.sent",)]


class TestTheFile:
    def test_is_sorted_and_has_the_columns(self, counter: Counter) -> None:
        counter.captured(3)

        batch = counter.closed()

        answer = counter.get(f"/v1/settlement-batches/{batch['id']}/file")
        lines = answer.get_data(as_text=True).split("\n")
        rows = counter.file(batch["id"])
        assert lines[0] == ",".join(COLUMNS)
        assert lines[-1] == ""
        assert b"\r" not in answer.data
        keys = [(row["redemption_id"], row["record_id"]) for row in rows]
        assert keys == sorted(keys)
        assert [row["line_no"] for row in rows] == ["1", "2", "3"]
        day = counter.day.strftime("%Y%m%d")
        name = f"benefit-settlement_{batch['partner']}_{day}_1.csv"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'

    def test_is_the_same_bytes_every_time(self, counter: Counter) -> None:
        counter.captured(2)
        batch = counter.closed()
        path = f"/v1/settlement-batches/{batch['id']}/file"

        first, second = counter.get(path), counter.get(path)

        digest = hashlib.sha256(first.data).digest()
        assert first.data == second.data
        assert batch["manifest"]["file_sha256"] == digest.hex()
        assert first.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"

    def test_says_what_the_partner_has_given(self, counter: Counter) -> None:
        counter.captured(
            partner_reference="loan/2026-1",
            effective_from="2026-01-01T00:00:00+08:00",
            effective_to="2027-01-01T00:00:00+08:00",
        )

        [row] = counter.file(counter.closed()["id"])

        assert row["partner_reference"] == "loan/2026-1"
        assert row["effective_from"] == "2026-01-01T00:00:00+08:00"
        assert (row["benefit_kind"], row["benefit_unit"], row["benefit_value"]) == (
            "rate_discount",
            "bp",
            "-50",
        )
        assert row["terms_hash"] == counter.offered.terms.terms_hash

    @pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "-1+1"])
    def test_holds_no_formula(self, cell: str) -> None:
        assert is_formula(cell)

    @pytest.mark.parametrize("cell", ["-50", "+0.95", "12", "loan-1", ""])
    def test_may_hold_numbers_with_a_sign(self, cell: str) -> None:
        assert not is_formula(cell)


class TestTheManifest:
    def test_is_signed_over_the_file(self, counter: Counter) -> None:
        counter.captured(2)

        batch = counter.closed()

        said = claims(counter, batch)
        file = counter.get(f"/v1/settlement-batches/{batch['id']}/file").data
        assert said["file"]["sha256"] == hashlib.sha256(file).hexdigest()
        assert said["file"]["bytes"] == len(file)
        assert (said["lines"], said["totals"]) == (2, batch["totals"])
        assert (said["business_date"], said["n"]) == (counter.day.isoformat(), 1)
        assert said["cut_off"].endswith("T00:00:00+08:00")

    def test_names_the_one_before(self, counter: Counter) -> None:
        counter.captured()
        first = counter.closed()
        counter.captured()

        second = counter.closed(counter.day + timedelta(days=1))

        said = claims(counter, second)
        assert claims(counter, first)["previous_manifest_sha256"] is None
        assert said["previous_manifest_sha256"] == first["manifest"]["sha256"]
        assert (first["manifest"]["chain_no"], said["chain_no"]) == (1, 2)

    def test_is_a_leaf_of_the_log(self, counter: Counter) -> None:
        counter.captured()

        batch = counter.closed()

        entry = batch["manifest"]["log_entry"]
        document = counter.get(f"/v1/settlement-batches/{batch['id']}/manifest").data
        assert entry["content"] == (
            '{"manifest_sha256":"' + hashlib.sha256(document).hexdigest() + '"}'
        )
        with counter.market.runtime.database.raw_transaction() as connection:
            row = connection.execute(
                "SELECT encode(commitment, 'hex') FROM log_event WHERE kind = 'settlement_manifest'"
                " AND replace(id::text, '-', '') = %s",
                [entry["event_id"]],
            ).fetchone()
        assert row == (entry["commitment"],)


class TestARerun:
    def test_has_the_next_number_and_supersedes_all_lines(self, counter: Counter) -> None:
        counter.captured(2)
        first = counter.closed()
        [late] = counter.captured()

        with counter.next_morning():
            again = counter.rerun(counter.day)

        second = counter.seen(again.get_json()["id"])
        said = claims(counter, second)
        assert again.status_code == 201
        assert (second["n"], second["lines"]) == (2, 3)
        assert late in {row["redemption_id"] for row in counter.file(second["id"])}
        assert counter.seen(first["id"])["state"] == "superseded"
        assert said["superseded"] == [
            {
                "batch_id": first["id"],
                "n": 1,
                "first_line_no": 1,
                "last_line_no": 2,
                "manifest_sha256": first["manifest"]["sha256"],
            }
        ]

    def test_is_refused_once_the_batch_is_accepted(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        counter.compared(batch["id"])

        with counter.next_morning():
            refused = counter.rerun(counter.day)

        assert (refused.status_code, refused.get_json()["code"]) == (409, "settlement-batch-closed")

    def test_ends_what_was_open_about_the_first(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        assert counter.compared(batch["id"], list.clear)

        with counter.next_morning():
            counter.rerun(counter.day)

        assert counter.exceptions(batch["id"]) == []


class TestWhoMayLook:
    def test_a_partner_sees_its_own_only(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        other = counter.market.as_partner(counter.market.bank())
        client = counter.market.client

        for part in ("", "/file", "/manifest"):
            answer = client.get(f"/v1/settlement-batches/{batch['id']}{part}", headers=other)
            assert answer.get_json()["code"] == "settlement-batch-unknown"
        assert client.get("/v1/settlement-batches", headers=other).get_json()["items"] == []
        assert [each["id"] for each in listed(counter)] == [batch["id"]]

    def test_pages_go_on_where_they_ended(self, counter: Counter) -> None:
        made = []
        for days in range(3):
            counter.captured()
            made.append(counter.closed(counter.day + timedelta(days=days))["id"])

        first = counter.get("/v1/settlement-batches", limit=2).get_json()
        rest = counter.get("/v1/settlement-batches", limit=2, cursor=first["next"]).get_json()

        shown = [each["id"] for each in first["items"] + rest["items"]]
        assert shown == made[::-1]
        assert rest["next"] is None

    def test_an_empty_id_is_nobodys(self, counter: Counter) -> None:
        client, staff = counter.market.client, counter.as_staff(uuid4())

        for asked in ("settlement-batches?partner_id=", "reconciliation-exceptions?batch_id="):
            answer = client.get(f"/v1/{asked}", headers=staff)
            assert answer.get_json()["code"] == "id-unknown"

    def test_a_receipt_counts_once(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        path = f"/v1/settlement-batches/{batch['id']}/receipts"

        answers = [
            counter.market.client.post(path, headers=counter.market.as_partner(counter.partner_id))
            for _ in range(2)
        ]

        assert [answer.status_code for answer in answers] == [201, 201]
        assert [answer.get_json()["version"] for answer in answers] == [3, 3]
        assert [each["state"] for each in counter.seen(batch["id"])["history"]] == [
            "open",
            "sent",
            "partner_received",
        ]


def listed(counter: Counter) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = counter.get("/v1/settlement-batches").get_json()["items"]
    return items


def claims(counter: Counter, batch: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's claims, verified with the published keys."""
    document = counter.get(f"/v1/settlement-batches/{batch['id']}/manifest").get_data(as_text=True)
    keys = jwt.PyJWKSet.from_dict(counter.market.client.get("/.well-known/jwks.json").get_json())
    header = jwt.get_unverified_header(document)
    assert header["typ"] == "carbon-settlement-manifest+jwt"
    said: dict[str, Any] = jwt.decode(
        document,
        keys[header["kid"]],
        algorithms=["ES256"],
        options={"verify_iat": False},  # it was signed on a morning that is still to come
    )
    return said
