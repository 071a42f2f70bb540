"""Bodies that break ordinary readers, sent to a real endpoint."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

SHARED = Path(os.environ.get("CARBON_SHARED") or Path(__file__).parents[3] / "shared")
SUITE = sorted((SHARED / "vectors" / "json").glob("*.json"))
LARGER_THAN_ANY_BODY = {
    "n_structure_100000_opening_arrays.json",
    "n_structure_open_array_object.json",
}


def post(probe: FlaskClient, body: bytes, **headers: str) -> Any:
    return probe.post("/probe/json", data=body, content_type="application/json", headers=headers)


class TestAStrictReader:
    def test_reads_what_it_asked_for(self, probe: FlaskClient) -> None:
        response = post(probe, '{"text": "减排", "points": 3}'.encode())

        assert response.get_json() == {"text": "减排"}

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"[" * 50_000, 422, "json-too-deep"),
            (b"[" * 30_000 + b"]" * 30_000, 422, "json-too-deep"),
            (b"[" * 100_000 + b"]" * 100_000, 413, "body-too-large"),
            (rb'{"text": "\ud800"}', 422, "text-invalid"),
            (rb'{"text": "\u0000"}', 422, "text-invalid"),
            (rb'{"te\u0000xt": "a"}', 422, "text-invalid"),
            (rb'{"text": "\u0007"}', 422, "text-invalid"),
            (b'{"text": "a", "points": 9223372036854775808}', 422, "number-out-of-range"),
            (b'{"text": "a", "points": 9007199254740992}', 422, "number-out-of-range"),
            (b'{"text": "a", "points": 1E999999}', 422, "number-out-of-range"),
            (b'{"text": "a", "points": 1E-999999}', 422, "number-out-of-range"),
            (b'{"text": "a", "points": ' + b"9" * 60_000 + b"}", 422, "number-out-of-range"),
            (b'{"text": "a", "points": NaN}', 400, "json-malformed"),
            (b'{"text": "a", "points": -Infinity}', 400, "json-malformed"),
            (b'{"text": "a", "text": "b"}', 422, "duplicate-key"),
            (b'{"text": {"a": 1, "a": 2}}', 422, "duplicate-key"),
            (b'\xef\xbb\xbf{"text": "a"}', 400, "json-malformed"),
            (b'{"text": "\xff"}', 400, "json-malformed"),
            (b'{"text": "\xed\xa0\x80"}', 400, "json-malformed"),
            (b"", 400, "json-malformed"),
            (b"null", 422, "validation-failed"),
            (b"[]", 422, "validation-failed"),
            (b'"text"', 422, "validation-failed"),
            (b'{"text": "a"} {"text": "b"}', 400, "json-malformed"),
            (b'{"text": "' + b"a" * 70_000 + b'"}', 413, "body-too-large"),
        ],
    )
    def test_names_what_is_wrong(
        self, probe: FlaskClient, body: bytes, status: int, code: str
    ) -> None:
        response = post(probe, body)

        assert (response.status_code, response.get_json()["code"]) == (status, code)

    def test_refuses_an_endless_body(self, probe: FlaskClient) -> None:
        body = b'{"text": "a"}' + b" " * 100_000
        chunked = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True}

        response = probe.post(
            "/probe/json", content_type="application/json", environ_overrides=chunked
        )

        assert response.get_json()["code"] == "body-too-large"

    def test_refuses_a_chunked_body_whose_end_nobody_marks(self, probe: FlaskClient) -> None:
        headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}

        response = probe.post("/probe/json", headers=headers)

        assert (response.status_code, response.get_json()["code"]) == (411, "length-missing")

    def test_points_to_the_place(self, probe: FlaskClient) -> None:
        response = post(probe, rb'{"a/b": [0, {"c~": "\u0000"}], "points": 1e99}')

        pointers = [fault["pointer"] for fault in response.get_json()["errors"]]
        assert pointers == ["/a~1b/1/c~0", "/points"]

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
    def test_reads_one_media_type(self, probe: FlaskClient, media_type: str) -> None:
        response = probe.post("/probe/json", data=b"{}", content_type=media_type)

        assert response.get_json()["code"] == "media-type-unsupported"

    def test_reads_no_compressed_body(self, probe: FlaskClient) -> None:
        response = post(probe, b"\x1f\x8b\x08", **{"Content-Encoding": "gzip"})

        assert response.status_code == 415
        assert response.get_json()["code"] == "content-encoding-unsupported"


class TestASchema:
    @pytest.mark.parametrize(
        ("body", "status", "faults"),
        [
            (b"{}", 422, {("/text", "field-missing")}),
            (b'{"text": null}', 422, {("/text", "field-null")}),
            (b'{"text": 1}', 422, {("/text", "type-wrong")}),
            (b'{"text": "' + b"a" * 21 + b'"}', 422, {("/text", "text-too-long")}),
            (b'{"text": "a", "points": "1"}', 422, {("/points", "type-wrong")}),
            (b'{"text": "a", "points": true}', 422, {("/points", "type-wrong")}),
            (b'{"text": "a", "points": 1.0}', 422, {("/points", "type-wrong")}),
            (b'{"text": "a", "points": 0}', 422, {("/points", "number-out-of-range")}),
            (
                b'{"text": "a", "happened_at": "2026-01-01T00:00:00"}',
                422,
                {("/happened_at", "time-without-offset")},
            ),
            (b'{"text": "a", "happened_at": "x"}', 422, {("/happened_at", "time-malformed")}),
            (
                b'{"texxt": "a"}',
                400,
                {("/text", "field-missing"), ("/texxt", "unknown-field")},
            ),
        ],
    )
    def test_refuses_with_codes_and_pointers(
        self, probe: FlaskClient, body: bytes, status: int, faults: set[tuple[str, str]]
    ) -> None:
        response = post(probe, body)

        found = {(fault["pointer"], fault["code"]) for fault in response.get_json()["errors"]}
        assert (response.status_code, found) == (status, faults)

    def test_explains_itself_in_chinese(self, probe: FlaskClient) -> None:
        response = post(probe, b'{"text": "a", "points": 101}', **{"Accept-Language": "zh"})

        assert response.get_json()["errors"][0]["detail"] == "必须在 1 到 100 之间。"


@pytest.mark.skipif(not SUITE, reason="vectors/json is not beside the repository (CARBON_SHARED)")
class TestTheJsonTestSuite:
    @pytest.mark.parametrize("path", SUITE, ids=lambda path: path.stem)
    def test_is_judged_as_its_authors_do(self, probe: FlaskClient, path: Path) -> None:
        response = post(probe, path.read_bytes())

        code = response.get_json().get("code")
        if path.name in LARGER_THAN_ANY_BODY:
            assert code == "body-too-large"
        elif path.name.startswith("n_"):
            assert (response.status_code, code) == (400, "json-malformed")
        elif path.name.startswith("y_"):
            assert code != "json-malformed"
        assert response.status_code < 500
