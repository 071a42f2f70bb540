"""The contract of the activities' routes, as clients outside this repository know it."""

import gzip
import json
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from service.partners.organisations import partner_by_id, set_state
from service.runtime import Runtime
from tests.activities.callers import Callers, bearer, told
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_reading,
    a_ride,
    noon,
    points_of,
    record,
)

TOO_LATE = noon(9)


@pytest.fixture
def callers(app: Flask, runtime: Runtime) -> Callers:
    return Callers.of(app, runtime)


def own(line: bytes, **changes: Any) -> bytes:
    """Return an act as a citizen sends it herself."""
    members = {**json.loads(line), **changes}
    return json.dumps({n: v for n, v in members.items() if n != "account_ref"}).encode()


class TestAFeedsAnswer:
    def test_says_what_became_of_every_line(self, callers: Callers) -> None:
        ride, late = a_ride(), a_ride(at=TOO_LATE)

        response = callers.send(ride, late, ride, a_ride("nobody"), b"[1, 2")

        answer = response.get_json()
        assert {name: answer[name] for name in answer if name not in ("items", "batch_id")} == {
            "received": 5,
            "certified": 1,
            "pending": 0,
            "duplicate": 1,
            "conflict": 0,
            "refused": 3,
            "reduction_g": RIDE_8200_M_G,
            "points": RIDE_8200_M_G,
        }
        assert answer["batch_id"].startswith("bat_")
        assert told(response) == [
            (1, "certified"),
            (2, "too-late"),
            (3, "duplicate"),
            (4, "source-link-missing"),
            (5, "type-wrong"),
        ]

    def test_has_the_members_of_the_contract_and_no_others(self, callers: Callers) -> None:
        ride, late = a_ride(), a_ride(at=TOO_LATE)
        certified, refused, unread = callers.send(ride, late, b"{}").get_json()["items"]

        assert certified == {
            "line": 1,
            "external_id": json.loads(ride)["external_id"],
            "verdict": "certified",
            "activity_id": certified["activity_id"],
            "reduction_g": RIDE_8200_M_G,
            "points": RIDE_8200_M_G,
        }
        assert refused == {
            "line": 2,
            "external_id": json.loads(late)["external_id"],
            "verdict": "refused",
            "code": "too-late",
            "detail": "The record came more than 7 days after the act.",
            "activity_id": refused["activity_id"],
            "reduction_g": 0,
            "points": 0,
        }
        assert unread == {
            "line": 3,
            "verdict": "refused",
            "code": "field-missing",
            "detail": "Object missing required field `external_id`.",
        }

    def test_of_minimal_length_leaves_certified_lines_out(self, callers: Callers) -> None:
        response = callers.send(a_ride(), a_ride(at=TOO_LATE), Prefer="return=minimal")

        assert told(response) == [(2, "too-late")]
        assert response.get_json()["certified"] == 1
        assert response.headers["Preference-Applied"] == "return=minimal"

    def test_repeats_the_first_verdict_of_a_duplicate(self, callers: Callers) -> None:
        callers.send(late := a_ride(at=TOO_LATE))

        (item,) = callers.send(late).get_json()["items"]

        assert (item["verdict"], item["first_verdict"]) == ("duplicate", "refused")
        assert item["detail"] == "The record came more than 7 days after the act."

    def test_counts_blank_lines_as_lines_and_not_as_received(self, callers: Callers) -> None:
        response = callers.send(body=b"\n" + a_ride() + b"\r\n\r\n{}\n")

        assert told(response) == [(2, "certified"), (4, "field-missing")]
        assert response.get_json()["received"] == 2

    def test_speaks_the_sources_language(self, callers: Callers) -> None:
        (item,) = callers.send(a_ride("nobody"), Accept_Language="zh-CN").get_json()["items"]

        assert item["detail"].startswith("行为发生时没有市民以有效授权关联此账户。")

    def test_is_the_same_for_a_packed_feed(self, callers: Callers) -> None:
        packed = gzip.compress(a_ride() + b"\n{}\n")

        response = callers.send(body=packed, Content_Encoding="gzip")

        assert told(response) == [(1, "certified"), (2, "field-missing")]

    def test_can_be_had_again_by_sending_the_feed_again(
        self, callers: Callers, runtime: Runtime
    ) -> None:
        feed = [a_ride(), a_ride(at=noon(2))]
        callers.send(*feed)

        again = callers.send(*feed)

        assert again.get_json()["duplicate"] == 2
        assert again.get_json()["points"] == 0
        assert points_of(runtime, callers.citizen) == 2 * RIDE_8200_M_G


class TestAFeed:
    @pytest.mark.parametrize(
        "content_type",
        ["application/x-ndjson", "application/x-ndjson; charset=utf-8", "application/ndjson"],
    )
    def test_is_ndjson(self, callers: Callers, content_type: str) -> None:
        assert told(callers.send(a_ride(), content_type=content_type)) == [(1, "certified")]

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
    def test_of_another_type_is_refused(self, callers: Callers, content_type: str) -> None:
        response = callers.send(a_ride(), content_type=content_type)

        assert (response.status_code, code(response)) == (415, "media-type-unsupported")

    @pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "x"])
    def test_packed_otherwise_is_refused(self, callers: Callers, encoding: str) -> None:
        response = callers.send(a_ride(), Content_Encoding=encoding)

        assert (response.status_code, code(response)) == (415, "content-encoding-unsupported")

    @pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
    def test_without_a_line_is_refused(self, callers: Callers, body: bytes) -> None:
        response = callers.send(body=body)

        assert (response.status_code, code(response)) == (400, "feed-empty")

    def test_is_for_sources_only(self, app: Flask, callers: Callers) -> None:
        client = app.test_client()
        asked = {"data": a_ride(), "content_type": "application/x-ndjson"}

        unknown = client.post("/v1/activity-batches", **asked)
        citizen = client.post("/v1/activity-batches", headers=callers.hers(), **asked)
        bank = client.post(
            "/v1/activity-batches", headers=bearer(app, "partner", uuid4(), "bank"), **asked
        )
        staff = client.post(
            "/v1/activity-batches", headers=bearer(app, "staff", uuid4(), "operator"), **asked
        )

        assert (unknown.status_code, code(unknown)) == (401, "token-missing")
        assert [each.status_code for each in (citizen, bank, staff)] == [403, 403, 403]
        assert code(bank) == "role-missing"

    def test_of_a_suspended_source_is_refused(self, callers: Callers, runtime: Runtime) -> None:
        assert callers.source.id is not None
        with runtime.database.raw_transaction() as connection:
            partner = partner_by_id(connection, callers.source.id)
            set_state(connection, partner, active=False, reason="for a test")

        response = callers.send(a_ride())

        assert (response.status_code, code(response)) == (403, "source-suspended")

    def test_of_a_source_that_is_no_partner_finds_nothing(self, app: Flask) -> None:
        response = app.test_client().post(
            "/v1/activity-batches",
            data=a_ride(),
            content_type="application/x-ndjson",
            headers=bearer(app, "partner", uuid4(), "source"),
        )

        assert response.status_code == 404


class TestRecordingAnAct:
    def test_of_ones_own_never_certifies_on_receipt(
        self, callers: Callers, runtime: Runtime
    ) -> None:
        panels, ride = callers.record(own(a_reading())), callers.record(own(a_ride()))

        assert (panels.status_code, panels.get_json()["verdict"]) == (201, "pending")
        assert (ride.status_code, ride.get_json()["code"]) == (201, "evidence-tier-too-low")
        assert points_of(runtime, callers.citizen) == 0

    def test_again_answers_as_before(self, callers: Callers) -> None:
        act = own(a_reading())
        first = callers.record(act)

        again = callers.record(act)

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.get_json()["verdict"] == "duplicate"
        assert again.get_json()["activity_id"] == first.get_json()["activity_id"]

    def test_with_other_content_is_a_conflict(self, callers: Callers) -> None:
        act = own(a_ride())
        first = callers.record(act)

        response = callers.record(own(act, activity_data={"distance_m": 1}))

        assert (response.status_code, code(response)) == (409, "activity-conflict")
        assert response.get_json()["activity_id"] == first.get_json()["activity_id"]

    @pytest.mark.parametrize(
        ("changes", "pointer", "its_code"),
        [
            ({"started_at": "2026-03-01T08:00:00"}, "/started_at", "time-without-offset"),
            ({"started_at": "1969-12-31T08:00:00Z"}, "/started_at", "time-malformed"),
            ({"activity_data": {"distance_m": "far"}}, "/activity_data/distance_m", "type-wrong"),
            ({"activity_data": 7}, "/activity_data", "type-wrong"),
            ({"behavior": "teleportation"}, "", "behavior-unknown"),
            ({"points": 7}, "/points", "unknown-field"),
            ({"external_id": ""}, "/external_id", "text-length"),
        ],
    )
    def test_in_another_shape_names_the_fields(
        self, callers: Callers, changes: dict[str, Any], pointer: str, its_code: str
    ) -> None:
        response = callers.record(own(a_ride(), **changes))

        assert (response.status_code, code(response)) == (422, "validation-failed")
        (fault,) = response.get_json()["errors"]
        assert (fault["pointer"], fault["code"]) == (pointer, its_code)
        assert "{" not in fault["detail"]

    def test_for_another_account_is_refused(self, callers: Callers) -> None:
        response = callers.record(a_ride())

        assert response.status_code == 422
        assert response.get_json()["errors"][0]["code"] == "unknown-field"

    def test_is_for_citizens_only(self, app: Flask, callers: Callers) -> None:
        assert callers.source.id is not None
        headers = bearer(app, "partner", callers.source.id, "source")

        response = app.test_client().post("/v1/activities", json={}, headers=headers)

        assert response.status_code == 403


class TestHerActivities:
    def test_are_listed_page_after_page_the_newest_first(
        self, callers: Callers, runtime: Runtime
    ) -> None:
        sent = [a_ride(at=noon(days)) for days in (1, 2, 3, 4, 5)]
        for ride in sent:
            record(runtime, callers.source, ride)

        pages, path = [], "/v1/me/activities?limit=2"
        while path:
            response = callers.read(path)
            pages.append([item["external_id"] for item in response.get_json()["items"]])
            path = link_to_next(response)

        assert [len(page) for page in pages] == [2, 2, 1]
        assert [name for page in pages for name in page] == [
            json.loads(ride)["external_id"] for ride in reversed(sent)
        ]

    def test_are_hers_only(self, callers: Callers, app: Flask, runtime: Runtime) -> None:
        record(runtime, callers.source, a_ride())
        other = Callers.of(app, runtime)

        assert other.read("/v1/me/activities").get_json() == {"items": [], "next": None}

    def test_tell_their_reasons_in_her_language(self, callers: Callers, runtime: Runtime) -> None:
        record(runtime, callers.source, a_ride(at=TOO_LATE))

        (item,) = callers.read("/v1/me/activities", Accept_Language="zh-CN").get_json()["items"]

        assert (item["verdict"], item["code"]) == ("refused", "too-late")
        assert item["detail"] == "该记录在行为发生 7 天之后才提交。"

    def test_cannot_be_read_on_with_anothers_cursor(
        self, callers: Callers, app: Flask, runtime: Runtime
    ) -> None:
        record(runtime, callers.source, a_ride(), a_ride(at=noon(2)))
        cursor = callers.read("/v1/me/activities?limit=1").get_json()["next"]
        other = Callers.of(app, runtime)

        response = other.read(f"/v1/me/activities?cursor={cursor}")

        assert (response.status_code, code(response)) == (400, "cursor-invalid")


class TestOneActivity:
    def test_is_shown_with_its_history(self, callers: Callers) -> None:
        (item,) = callers.send(a_ride()).get_json()["items"]

        shown = callers.read(f"/v1/activities/{item['activity_id']}").get_json()

        assert shown["id"] == item["activity_id"]
        assert (shown["verdict"], shown["reduction_g"]) == ("certified", RIDE_8200_M_G)
        assert shown["activity_data"]["distance_m"] == 8200
        assert [entry["verdict"] for entry in shown["history"]] == ["certified"]

    def test_shows_what_became_of_it(self, app: Flask, runtime: Runtime) -> None:
        callers = Callers.of(app, runtime, region="310000")
        hers = callers.record(own(a_reading())).get_json()
        callers.send(a_reading())

        shown = callers.read(f"/v1/activities/{hers['activity_id']}").get_json()

        assert (shown["verdict"], shown["reduction_g"], shown["points"]) == ("superseded", 0, 0)
        assert [entry["verdict"] for entry in shown["history"]] == ["pending", "superseded"]

    def test_of_another_citizen_is_not_found(
        self, callers: Callers, app: Flask, runtime: Runtime
    ) -> None:
        (item,) = callers.send(a_ride()).get_json()["items"]
        other = Callers.of(app, runtime)

        response = other.read(f"/v1/activities/{item['activity_id']}")

        assert (response.status_code, code(response)) == (404, "activity-unknown")

    @pytest.mark.parametrize("name", ["act_", "act_xyz", f"trf_{uuid4().hex}", "%00", "1"])
    def test_by_another_name_is_not_found(self, callers: Callers, name: str) -> None:
        assert callers.read(f"/v1/activities/{name}").status_code == 404


def code(response: Any) -> str:
    assert response.mimetype == "application/problem+json"
    return str(response.get_json()["code"])


def link_to_next(response: Any) -> str:
    """Return the path that the `Link` header names, or nothing on the last page."""
    link = response.headers.get("Link", "")
    return str(link.partition("<")[2].partition(">")[0])
