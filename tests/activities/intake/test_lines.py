"""What one line of a feed says, or which flaw it has."""

import json
from typing import Any

import pytest

from service.activities.intake.lines import (
    LINE_BYTES_MAX,
    Line,
    OwnLine,
    Unreadable,
    read_line,
    read_own_line,
)


def a_line(**changes: Any) -> bytes:
    """Return a line; a member that is given as None is left out."""
    members = {
        "external_id": "ride-1",
        "account_ref": "card-1",
        "behavior": "metro_ride",
        "started_at": "2026-03-01T08:00:00+08:00",
        "ended_at": "2026-03-01T08:30:00+08:00",
        "activity_data": {"distance_m": 8200},
        **changes,
    }
    kept = {name: value for name, value in members.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass")


def with_data(raw: bytes) -> bytes:
    return a_line().replace(b'{"distance_m": 8200}', raw)


def code_of(raw: bytes) -> str:
    line = read_line(raw)
    return line.code if isinstance(line, Unreadable) else "readable"


def pointer_of(raw: bytes) -> str:
    line = read_line(raw)
    assert isinstance(line, Unreadable)
    return str(line.params["pointer"])


class TestALine:
    def test_is_read_with_its_quantities_unread(self) -> None:
        line = read_line(a_line())

        assert isinstance(line, Line)
        assert (line.external_id, line.account_ref) == ("ride-1", "card-1")
        assert bytes(line.activity_data) == b'{"distance_m": 8200}'

    @pytest.mark.parametrize(
        "harmless",
        [
            a_line(external_id='say "hello"'),
            a_line(external_id="back\\slash"),
            a_line(account_ref="深圳通 0755"),
            a_line(external_id="🚇"),
            a_line(external_id="x" * 128),
            a_line().replace(b'"ride-1"', rb'"\ud83d\ude87"'),
            a_line(started_at="2026-03-01t00:00:00z"),
            a_line(started_at="2026-03-01T00:00:00.123456789Z"),
            a_line(started_at="2026-03-01T00:00:00-00:00"),
            with_data(b'{"entry_station": "distance_m", "distance_m": 8200}'),
        ],
    )
    def test_may_be_unusual(self, harmless: bytes) -> None:
        assert code_of(harmless) == "readable"

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (b"not json", "json-malformed"),
            (b"{'external_id': 1}", "json-malformed"),
            (a_line() + b"x", "json-malformed"),
            (a_line() + a_line(), "json-malformed"),
            (a_line()[:-1], "line-cut"),
            (a_line()[:40], "line-cut"),
            (b"[[[[", "type-wrong"),
            (b'{"a":' * 10_000, "unknown-field"),
            (with_data(b"[" * 30_000 + b"]" * 30_000), "json-too-deep"),
            (b"[" * 100_000, "line-too-long"),
            (a_line(external_id="x" * LINE_BYTES_MAX), "line-too-long"),
            (with_data(b'{"distance_m":' + b" " * LINE_BYTES_MAX + b"1}"), "line-too-long"),
            (b"NaN", "json-malformed"),
            (with_data(b'{"distance_m": NaN}'), "json-malformed"),
            (with_data(b'{"distance_m": -Infinity}'), "json-malformed"),
            (b"9223372036854775808", "type-wrong"),
            (b'"\\ud800"', "json-malformed"),
            (b'"\\u0000"', "type-wrong"),
            (b"null", "type-wrong"),
            (b"[]", "type-wrong"),
            (b"{}", "field-missing"),
            (b"\xff\xfe{\x00}\x00", "utf8-invalid"),
            (a_line().replace(b"ride-1", b"ride-\xff"), "utf8-invalid"),
            (a_line().replace(b"ride-1", b"\xed\xa0\x80"), "utf8-invalid"),
            (a_line().replace(b"ride-1", b"\xc0\x80"), "utf8-invalid"),
            (a_line().replace(b"ride-1", rb"\ud800"), "json-malformed"),
            (a_line().replace(b"ride-1", rb"\ud800\u0041"), "json-malformed"),
            (a_line().replace(b"ride-1", rb"\u0000"), "text-invalid"),
            (a_line().replace(b"ride-1", rb"a\nb"), "text-invalid"),
            (a_line().replace(b"ride-1", b"a\x00b"), "json-malformed"),
            (a_line(external_id=""), "text-length"),
            (a_line(external_id="x" * 129), "text-length"),
            (a_line(account_ref="x" * 129), "text-length"),
            (a_line(behavior="x" * 65), "text-length"),
            (a_line(external_id=17), "type-wrong"),
            (a_line(external_id=True), "type-wrong"),
            (a_line(account_ref=None), "field-missing"),
            (a_line(activity_data=None), "field-missing"),
            (a_line(points=1_000_000), "unknown-field"),
            (a_line(started_at="2026-03-01T08:00:00"), "time-without-offset"),
            (a_line(started_at="2026-03-01T08:00:60Z"), "time-malformed"),
            (a_line(started_at="2026-03-01T24:00:00Z"), "time-malformed"),
            (a_line(started_at="2026-02-30T08:00:00Z"), "time-malformed"),
            (a_line(started_at="2026-03-01T08:00:00+24:00"), "time-malformed"),
            (a_line(started_at="0000-03-01T08:00:00Z"), "time-malformed"),
            (a_line(started_at="10000-03-01T08:00:00Z"), "time-malformed"),
            (a_line(started_at="yesterday"), "time-malformed"),
            (a_line(started_at=1_772_323_200), "type-wrong"),
        ],
    )
    def test_has_a_code_for_each_flaw(self, raw: bytes, code: str) -> None:
        assert code_of(raw) == code

    @pytest.mark.parametrize(
        "raw",
        [
            a_line()[:-1] + b', "external_id": "ride-2"}',
            a_line()[:-1] + b', "activity_data": {"distance_m": 1}}',
            a_line()[:-1] + rb', "external_\u0069d": "ride-2"}',
            with_data(rb'{"distance_m": 1, "distance_\u006d": 8200}'),
        ],
    )
    def test_names_each_member_once(self, raw: bytes) -> None:
        assert code_of(raw) == "duplicate-key"

    def test_points_at_the_place_of_its_flaw(self) -> None:
        assert pointer_of(a_line(started_at="2026-03-01T08:00:00")) == "/started_at"


class TestAnOwnLine:
    def test_names_no_account(self) -> None:
        line = read_own_line(a_line())

        assert isinstance(line, Unreadable)
        assert line.code == "unknown-field"

    def test_is_read(self) -> None:
        assert isinstance(read_own_line(a_line(account_ref=None)), OwnLine)

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (a_line(account_ref=None).replace(b"ride-1", rb"a\nb"), "text-invalid"),
            (a_line(account_ref=None)[:-1] + b', "behavior": "walk"}', "duplicate-key"),
        ],
    )
    def test_is_judged_as_strictly_as_a_feeds(self, raw: bytes, code: str) -> None:
        line = read_own_line(raw)

        assert isinstance(line, Unreadable)
        assert line.code == code
