"""Whatever is sent gets a named answer, and what is good beside it is recorded all the same."""

import gzip
import json
from typing import Any

import pytest
from flask import Flask

from service.activities.intake.feed_body import FEED_BODY_BYTES_MAX, LINES_MAX
from service.activities.reasons import REASONS
from service.runtime import Runtime
from tests.activities.callers import NDJSON, Callers, bearer, told
from tests.activities.factories import RIDE_8200_M_G, a_ride, noon, points_of, rows

FIVE_THAT_BREAK_ORDINARY_CODE = [
    b"[" * 100_000,
    b'"\\ud800"',
    b'"\\u0000"',
    b"9223372036854775808",
    b"NaN",
]


@pytest.fixture
def callers(app: Flask, runtime: Runtime) -> Callers:
    return Callers.of(app, runtime)


def spoiled(old: bytes, new: bytes) -> bytes:
    """Return the line of a ride in which something is replaced."""
    ride = a_ride()
    assert old in ride
    return ride.replace(old, new)


def with_member(name: str, value: bytes) -> bytes:
    """Return the line of a ride in which one member has another value, as raw JSON."""
    members = json.loads(a_ride())
    members[name] = "@"
    return json.dumps(members).encode().replace(b'"@"', value)


def with_distance(raw: bytes) -> bytes:
    return spoiled(b": 8200}", b": " + raw + b"}")


HOSTILE_LINES = [
    *((body, None) for body in FIVE_THAT_BREAK_ORDINARY_CODE),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "line-too-long"),
    (with_member("activity_data", b"[" * 30_000 + b"]" * 30_000), "json-too-deep"),
    (with_member("activity_data", b'{"distance_m":' * 9_000 + b"1" + b"}" * 9_000), None),
    (with_member("activity_data", b"[" * 100_000 + b"]" * 100_000), "line-too-long"),
    (with_distance(b"NaN"), "json-malformed"),
    (with_distance(b"Infinity"), "json-malformed"),
    (with_distance(b"-Infinity"), "json-malformed"),
    (with_distance(b"1e400"), "number-out-of-range"),
    (with_distance(b"-1e400"), "number-out-of-range"),
    (with_distance(b"1e-400"), "type-wrong"),
    (with_distance(b"9" * 5_000), "number-out-of-range"),
    (with_distance(b"9223372036854775808"), "number-out-of-range"),
    (with_distance(b"-1"), "number-out-of-range"),
    (with_distance(b"8200.0"), "type-wrong"),
    (with_distance(b"8.2e3"), "type-wrong"),
    (with_distance(b'"8200"'), "type-wrong"),
    (with_distance(b"true"), "type-wrong"),
    (with_distance(b"null"), "type-wrong"),
    (with_distance(b"8_200"), "json-malformed"),
    (with_distance(b"0x2008"), "json-malformed"),
    (with_distance(b"08200"), "json-malformed"),
    (with_distance(b'8200, "distance_m": 8200'), "duplicate-key"),
    (with_distance(b'8200, "distance_\\u006d": 8200'), "duplicate-key"),
    (with_distance(b'8200, "speed": 1'), "unknown-field"),
    (with_distance(b'8200, "entry_station": "\\u0000"'), "text-invalid"),
    (with_distance(b'8200, "entry_station": "\\ud800"'), None),
    (with_distance(b'8200, "entry_station": "\xff"'), "utf8-invalid"),
    (with_distance(b'8200, "entry_station": "' + b"x" * 65 + b'"'), "text-length"),
    (with_member("activity_data", b"{}"), "field-missing"),
    (with_member("activity_data", b"[]"), "type-wrong"),
    (with_member("activity_data", b"8200"), "type-wrong"),
    (with_member("activity_data", b'"8200"'), "type-wrong"),
    (with_member("activity_data", b"null"), "type-wrong"),
    (with_member("external_id", b'"\\u0000"'), "text-invalid"),
    (with_member("external_id", b'"\\ud800"'), "json-malformed"),
    (with_member("external_id", b'"\\udc00\\ud800"'), "json-malformed"),
    (with_member("external_id", b'"\xff"'), "utf8-invalid"),
    (with_member("external_id", b'"' + b"x" * 129 + b'"'), "text-length"),
    (with_member("external_id", b"17"), "type-wrong"),
    (with_member("account_ref", b'"' + b"x" * 60_000 + b'"'), "text-length"),
    (with_member("account_ref", b'"' + b"x" * 129 + b'"'), "text-length"),
    (with_member("behavior", b'"' + b"x" * 65 + b'"'), "text-length"),
    (with_member("behavior", b'"{citizen.secret}"'), "behavior-unknown"),
    (with_member("points", b"1000000"), "unknown-field"),
    (with_member("\\ud800", b"1"), None),
    (with_member("started_at", b'"2026-03-01T08:00:00"'), "time-without-offset"),
    (with_member("started_at", b'"2026-03-01T08:00:60Z"'), "time-malformed"),
    (with_member("started_at", b'"2026-03-01T08:00:00+24:00"'), "time-malformed"),
    (with_member("started_at", b'"0001-01-01T00:00:00+08:00"'), "time-malformed"),
    (with_member("started_at", b'"0001-01-01T00:00:00-08:00"'), "time-malformed"),
    (with_member("started_at", b'"9999-12-31T23:59:59+08:00"'), "time-malformed"),
    (with_member("ended_at", b'"9999-12-31T23:59:59-08:00"'), "time-malformed"),
    (with_member("ended_at", b'"2262-05-01T00:00:00Z"'), "in-the-future"),
    (with_member("started_at", b'"1969-12-31T23:59:59Z"'), "time-malformed"),
    (with_member("started_at", b'"1970-01-01T00:00:00+08:00"'), "time-malformed"),
    (with_member("started_at", b'"1970-01-01T00:00:00Z"'), None),
    (with_member("started_at", b"1772323200"), "type-wrong"),
    (a_ride()[:-30], "line-cut"),
    (b"\xff\xfe" + "{}".encode("utf-16-le"), "utf8-invalid"),
    (b"\x00", "json-malformed"),
    (b"'; DROP TABLE activity; --", "json-malformed"),
]


class TestAHostileLine:
    @pytest.mark.parametrize(("line", "its_code"), HOSTILE_LINES)
    def test_is_named_and_its_neighbours_count(
        self, callers: Callers, runtime: Runtime, line: bytes, its_code: str | None
    ) -> None:
        response = callers.send(a_ride(), line, a_ride(at=noon(2)))

        (first, of_the_first), (second, code), (third, of_the_third) = told(response)
        assert (first, second, third) == (1, 2, 3)
        assert (of_the_first, of_the_third) == ("certified", "certified")
        assert code in REASONS
        assert its_code in (None, code)
        assert points_of(runtime, callers.citizen) == 2 * RIDE_8200_M_G

    @pytest.mark.parametrize("language", ["zh-CN", "en"])
    def test_is_answered_in_words(self, callers: Callers, language: str) -> None:
        lines = [line for line, _ in HOSTILE_LINES]

        answer = callers.send(*lines, Accept_Language=language).get_json()

        assert answer["refused"] == answer["received"] == len(lines)
        for item in answer["items"]:
            assert item["detail"]
            assert "{" not in item["detail"].replace("{citizen.secret}", "")


class TestAHostileBody:
    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"", b"\n \t\n"])
    @pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"\n\r\n"])
    def test_may_have_any_line_ends(self, callers: Callers, begin: bytes, end: bytes) -> None:
        response = callers.send(body=begin + a_ride() + b"\r\n" + a_ride(at=noon(2)) + end)

        assert response.get_json()["certified"] == 2

    def test_with_carriage_returns_alone_is_one_line(self, callers: Callers) -> None:
        response = callers.send(body=a_ride() + b"\r" + a_ride(at=noon(2)))

        assert told(response) == [(1, "json-malformed")]

    def test_that_is_cut_inside_a_line_loses_only_that(self, callers: Callers) -> None:
        body = a_ride() + b"\n" + a_ride(at=noon(2))

        assert told(callers.send(body=body[:-25])) == [(1, "certified"), (2, "line-cut")]

    def test_with_a_line_of_fifty_megabytes_loses_only_that(self, callers: Callers) -> None:
        monster = spoiled(b"8200", b"[" * 50_000_000)

        response = callers.send(a_ride(), monster, a_ride(at=noon(2)))

        assert told(response) == [(1, "certified"), (2, "line-too-long"), (3, "certified")]

    def test_that_says_it_is_larger_is_refused_unread(self, callers: Callers) -> None:
        response = callers.send(body=b"x" * (FEED_BODY_BYTES_MAX + 1))

        assert response.status_code == 413
        assert response.get_json()["code"] == "body-too-large"

    def test_of_ten_thousand_lines_is_answered_to_the_last(self, callers: Callers) -> None:
        response = callers.send(*[b"{}"] * (LINES_MAX - 1), a_ride())

        assert response.get_json()["received"] == LINES_MAX
        assert told(response)[-1] == (LINES_MAX, "certified")

    def test_of_one_line_more_leaves_no_trace(self, callers: Callers, runtime: Runtime) -> None:
        response = callers.send(a_ride(), *[b"{}"] * LINES_MAX)

        assert response.status_code == 413
        assert response.get_json()["code"] == "feed-too-many-lines"
        assert points_of(runtime, callers.citizen) == 0
        assert (
            rows(runtime, "SELECT 1 FROM activity_batch WHERE source_id = %s", callers.source.id)
            == []
        )


class TestAHostileArchive:
    def test_of_ten_megabytes_of_zeros_is_one_bad_line(self, callers: Callers) -> None:
        packed = gzip.compress(a_ride() + b"\n" + bytes(10_000_000) + b"\n" + a_ride(at=noon(2)))
        assert len(packed) < 20_000

        response = callers.send(body=packed, Content_Encoding="gzip")

        assert told(response) == [(1, "certified"), (2, "line-too-long"), (3, "certified")]

    def test_of_gigabytes_is_read_to_the_limit(self, callers: Callers) -> None:
        member = gzip.compress(bytes(50_000_000))
        packed = gzip.compress(a_ride() + b"\n") + member * 100
        assert len(packed) < 6_000_000

        response = callers.send(body=packed, Content_Encoding="gzip")

        assert told(response) == [(1, "certified"), (2, "feed-too-large")]

    def test_inside_an_archive_is_not_unpacked_again(self, callers: Callers) -> None:
        packed = gzip.compress(gzip.compress(a_ride()))

        response = callers.send(body=packed, Content_Encoding="gzip")

        assert response.get_json()["certified"] == 0
        assert response.get_json()["refused"] >= 1

    def test_that_is_cut_keeps_what_could_be_read(self, callers: Callers) -> None:
        packed = gzip.compress(a_ride() + b"\n" + a_ride(at=noon(2)) + b"\n")

        response = callers.send(body=packed[:-4], Content_Encoding="gzip")

        assert told(response) == [(1, "certified"), (2, "certified"), (3, "gzip-broken")]

    def test_with_garbage_behind_it_keeps_what_could_be_read(self, callers: Callers) -> None:
        packed = gzip.compress(a_ride() + b"\n") + b"garbage"

        response = callers.send(body=packed, Content_Encoding="gzip")

        assert told(response) == [(1, "certified"), (2, "gzip-broken")]

    def test_of_several_members_is_read_whole(self, callers: Callers) -> None:
        packed = gzip.compress(a_ride() + b"\n") + gzip.compress(a_ride(at=noon(2)))

        response = callers.send(body=packed, Content_Encoding="gzip")

        assert told(response) == [(1, "certified"), (2, "certified")]

    @pytest.mark.parametrize("body", [b"", a_ride(), b"\x1f\x8b\x08", b"PK\x03\x04"])
    def test_that_is_none_is_refused(self, callers: Callers, body: bytes) -> None:
        response = callers.send(body=body, Content_Encoding="gzip")

        assert response.status_code == 400
        assert response.get_json()["code"] == "feed-not-gzip"

    def test_without_saying_so_is_one_bad_line(self, callers: Callers) -> None:
        response = callers.send(body=gzip.compress(a_ride(), mtime=1))

        assert response.status_code == 200
        assert response.get_json()["certified"] == 0


class TestAHostileActOfHerOwn:
    @pytest.mark.parametrize("body", FIVE_THAT_BREAK_ORDINARY_CODE)
    def test_that_breaks_ordinary_code_is_named(self, callers: Callers, body: bytes) -> None:
        assert_named(callers.record(body))

    @pytest.mark.parametrize("line", [line for line, _ in HOSTILE_LINES if b"account_ref" in line])
    def test_is_named(self, callers: Callers, line: bytes) -> None:
        own = line.replace(b'"account_ref": "card-1", ', b"")

        response = callers.record(own)

        if response.status_code == 201:  # readable, and refused for what it says
            assert response.get_json()["verdict"] == "refused"
        else:
            assert_named(response)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'""', b"\xef\xbb\xbf{}"])
    def test_without_content_is_named(self, callers: Callers, body: bytes) -> None:
        assert_named(callers.record(body))

    def test_of_a_megabyte_is_refused(self, callers: Callers) -> None:
        assert callers.record(b'"' + b"x" * 1_000_000 + b'"').status_code == 413

    @pytest.mark.parametrize("content_type", ["text/plain", NDJSON, ""])
    def test_of_another_type_is_refused(self, callers: Callers, content_type: str) -> None:
        assert callers.record(b"{}", content_type).status_code == 415


class TestAHostileQuery:
    @pytest.mark.parametrize(
        "query",
        [
            *("limit=0", "limit=201", "limit=x", "limit=1e400", "limit=%ED%A0%80", "x=1"),
            *("cursor=x", "cursor=%00", "cursor=é", f"cursor={'A' * 999}"),
        ],
    )
    def test_is_named(self, callers: Callers, query: str) -> None:
        assert_named(callers.read(f"/v1/me/activities?{query}"))

    def test_without_a_token_is_named(self, app: Flask) -> None:
        response = app.test_client().get("/v1/me/activities")

        assert response.status_code == 401

    def test_of_somebody_who_never_was_finds_nothing(self, app: Flask, callers: Callers) -> None:
        assert callers.source.id is not None
        headers = bearer(app, "citizen", callers.source.id)

        response = app.test_client().get("/v1/me/activities", headers=headers)

        assert response.get_json() == {"items": [], "next": None}


def assert_named(response: Any) -> None:
    assert 400 <= response.status_code < 500, response.text
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["code"] not in ("", "request-failed")
