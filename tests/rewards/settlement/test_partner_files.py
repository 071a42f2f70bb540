"""A partner's file is understood line by line, or refused with the lines that are wrong."""

from datetime import timedelta

import pytest

from service.rewards.settlement.partner_files import REQUIRED
from tests.rewards.settlement.counter import Counter

HEADER = ",".join(REQUIRED)
GOOD = "loan-1,rdm_00000000000000000000000000000001,captured,-50,,,2026-01-02T10:00:00+08:00"


def line(**cells: str) -> str:
    named = dict(zip(REQUIRED, GOOD.split(","), strict=True)) | cells
    return ",".join(named[column] for column in REQUIRED)


FAULTS: dict[str, tuple[str | bytes, list[tuple[str, str]]]] = {
    "nothing": ("", [("1", "empty")]),
    "a missing column": (HEADER.removesuffix(",occurred_at"), [("1", "column-missing")]),
    "an unknown column": (f"{HEADER},salary", [("1", "column-unknown")]),
    "a column twice": (f"{HEADER},state", [("1", "column-twice")]),
    "no UTF-8": (f"{HEADER}\n".encode() + b"\xff,,,,,,", [("2", "not-utf-8")]),
    "GBK": (f"{HEADER}\n".encode() + "贷款".encode("gbk"), [("2", "not-utf-8")]),
    "a control character": (f"{HEADER}\n{GOOD}\0", [("2", "control-character")]),
    "too few cells": (f"{HEADER}\na,b", [("2", "cell-count")]),
    "a blank line": (f"{HEADER}\n\n{GOOD}", [("2", "cell-count")]),
    "an open quote": (f'{HEADER}\n"{GOOD}', [("2", "quotes")]),
    "a quote inside": (f"{HEADER}\n{line(state='a' + chr(34) + 'b')}", [("2", "cell-invalid")]),
    "a formula": (f"{HEADER}\n{line(partner_reference='=1+1')}", [("2", "cell-invalid")]),
    "a minus": (f"{HEADER}\n{line(partner_reference='-1+1')}", [("2", "cell-invalid")]),
    "a formula as number": (f"{HEADER}\n{line(benefit_value='-1+1')}", [("2", "cell-invalid")]),
    "an unknown state": (f"{HEADER}\n{line(state='paid')}", [("2", "cell-invalid")]),
    "an endless number": (f"{HEADER}\n{line(benefit_value='1' * 99)}", [("2", "cell-invalid")]),
    "no number": (f"{HEADER}\n{line(benefit_value='NaN')}", [("2", "cell-invalid")]),
    "a day that is none": (f"{HEADER}\n{line(effective_to='2026-02-30')}", [("2", "cell-invalid")]),
    "a time without offset": (
        f"{HEADER}\n{line(occurred_at='2026-01-02T10:00:00')}",
        [("2", "cell-invalid")],
    ),
    "a time after all days": (
        f"{HEADER}\n{line(occurred_at='9999-12-31T23:59:59Z')}",
        [("2", "cell-invalid")],
    ),
    "a day before all times": (
        f"{HEADER}\n{line(effective_from='0001-01-01')}",
        [("2", "cell-invalid")],
    ),
    "no name": (f"{HEADER}\n{line(partner_reference='', redemption_id='')}", [("2", "nameless")]),
    "a very long line": (f"{HEADER}\n{'x' * 5000}", [("2", "line-too-long")]),
    "several": (f"{HEADER}\na,b\n{GOOD}\nc", [("2", "cell-count"), ("4", "cell-count")]),
}


class TestAFileThatCannotBeRead:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_is_refused_with_its_lines(self, counter: Counter, fault: str) -> None:
        text, expected = FAULTS[fault]
        counter.captured()
        batch = counter.closed()

        refused = counter.send_text(text, batch_id=batch["id"])

        problem = refused.get_json()
        assert (refused.status_code, problem["code"]) == (422, "partner-file-invalid")
        assert [(each["line"], each["code"]) for each in problem["errors"]] == expected
        assert counter.seen(batch["id"])["state"] == "sent"

    def test_names_at_most_a_hundred_lines(self, counter: Counter) -> None:
        counter.captured()

        refused = counter.send_text(HEADER + "\nx" * 5000, batch_id=counter.closed()["id"])

        assert refused.get_json()["faults"] == 5000
        assert len(refused.get_json()["errors"]) == 100

    def test_is_refused_beyond_a_hundred_thousand_lines(self, counter: Counter) -> None:
        counter.captured()

        refused = counter.send_text(HEADER + "\nx" * 100_001, batch_id=counter.closed()["id"])

        assert refused.get_json()["errors"][0]["code"] == "too-many-lines"

    def test_is_refused_beyond_twenty_megabytes(self, counter: Counter) -> None:
        counter.captured()

        refused = counter.send_text(b"x" * (20 * 1024 * 1024 + 1), batch_id=counter.closed()["id"])

        assert (refused.status_code, refused.get_json()["code"]) == (413, "body-too-large")

    def test_needs_points_to_be_summed_up(self, counter: Counter) -> None:
        counter.captured()

        refused = counter.send_text(
            f"{HEADER}\n{GOOD}", batch_id=counter.closed()["id"], points_total=100
        )

        assert refused.get_json()["errors"][0]["code"] == "points-missing"

    @pytest.mark.parametrize("query", [{}, {"batch_id": "stb_x", "business_date": "2026-01-01"}])
    def test_is_refused_without_exactly_one_target(
        self, counter: Counter, query: dict[str, str]
    ) -> None:
        refused = counter.send_text(HEADER, **query)

        assert refused.get_json()["code"] == "partner-file-target"

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({"Content-Type": "application/json"}, "media-type-unsupported"),
            ({"Content-Encoding": "gzip"}, "content-encoding-unsupported"),
        ],
    )
    def test_is_refused_in_another_form(
        self, counter: Counter, headers: dict[str, str], code: str
    ) -> None:
        sent = {"Content-Type": "text/csv", **headers}

        refused = counter.market.client.post(
            "/v1/partner-files?business_date=2026-01-01",
            data=HEADER,
            headers=counter.market.as_partner(counter.partner_id) | sent,
        )

        assert (refused.status_code, refused.get_json()["code"]) == (415, code)

    def test_about_another_partners_batch_finds_none(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        counter.partner_id = counter.market.bank()

        refused = counter.send_text(HEADER, batch_id=batch["id"])

        assert refused.get_json()["code"] == "settlement-batch-unknown"

    def test_is_about_no_day_before_the_partner_was_added(self, counter: Counter) -> None:
        before = counter.day - timedelta(days=2)

        refused = counter.send_text(HEADER, business_date=before)

        assert (refused.status_code, refused.get_json()["code"]) == (400, "partner-file-target")
        assert counter.get("/v1/settlement-batches").get_json()["items"] == []

    def test_about_today_comes_too_early(self, counter: Counter) -> None:
        refused = counter.send_text(HEADER, business_date=counter.day)

        assert refused.get_json()["code"] == "settlement-day-not-over"

    def test_speaks_chinese(self, counter: Counter) -> None:
        counter.captured()
        headers = counter.market.as_partner(counter.partner_id) | {"Accept-Language": "zh"}

        refused = counter.market.client.post(
            "/v1/partner-files",
            query_string={"batch_id": counter.closed()["id"]},
            data=f"{HEADER}\na,b",
            content_type="text/csv",
            headers=headers,
        )

        assert refused.get_json()["errors"][0]["detail"] == "该行有 2 个单元格，而标题行有 7 个。"


class TestAFile:
    @pytest.mark.parametrize("text", [f"\ufeff{HEADER}\r\n{GOOD}\r\n", f"{HEADER}\n{GOOD}"])
    def test_may_come_from_a_spreadsheet(self, counter: Counter, text: str) -> None:
        counter.captured()

        assert counter.send_text(text, batch_id=counter.closed()["id"]).status_code == 202
