"""Long lists, page by page."""

import base64

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import AsCaller


class TestAList:
    def test_is_walked_by_its_cursors(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        headers = as_caller()
        seen: list[int] = []
        path = "/probe/numbers?limit=4"

        while path:
            response = probe.get(path, headers=headers)
            page = response.get_json()
            seen += [item["number"] for item in page["items"]]
            path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")

        assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9]
        assert page["next"] is None

    def test_keeps_its_filter_in_the_link(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        headers = as_caller()

        first = probe.get("/probe/numbers?limit=2&above=5", headers=headers)
        link = first.headers["Link"].partition(">")[0].removeprefix("<")

        assert first.get_json()["items"] == [{"number": 6}, {"number": 7}]
        assert probe.get(link, headers=headers).get_json()["items"][0] == {"number": 8}


class TestACursor:
    def test_of_another_filter_is_refused(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        headers = as_caller()
        cursor = probe.get("/probe/numbers?limit=2", headers=headers).get_json()["next"]

        response = probe.get(f"/probe/numbers?above=3&cursor={cursor}", headers=headers)

        assert (response.status_code, response.get_json()["code"]) == (400, "cursor-invalid")

    def test_of_another_caller_is_refused(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        cursor = probe.get("/probe/numbers?limit=2", headers=as_caller()).get_json()["next"]

        response = probe.get(f"/probe/numbers?cursor={cursor}", headers=as_caller())

        assert response.get_json()["code"] == "cursor-invalid"

    @pytest.mark.parametrize(
        "cursor", ["", "a", "é", "[5]", base64.urlsafe_b64encode(b"\x00" * 16 + b"[5]").decode()]
    )
    def test_that_was_made_up_is_refused(
        self, probe: FlaskClient, as_caller: AsCaller, cursor: str
    ) -> None:
        response = probe.get(f"/probe/numbers?cursor={cursor}", headers=as_caller())

        assert response.get_json()["code"] == "cursor-invalid"


class TestAQuery:
    @pytest.mark.parametrize(
        ("query", "status", "parameter", "code"),
        [
            ("limit=0", 422, "limit", "number-out-of-range"),
            ("limit=201", 422, "limit", "number-out-of-range"),
            ("limit=-1", 422, "limit", "number-out-of-range"),
            ("limit=many", 422, "limit", "type-wrong"),
            ("limit=1_0", 422, "limit", "type-wrong"),
            ("limit=\uff15", 422, "limit", "type-wrong"),
            ("limit=05", 422, "limit", "type-wrong"),
            ("limit=%205", 422, "limit", "type-wrong"),
            ("limt=5", 400, "limt", "unknown-field"),
            ("limit=5&limit=6", 422, "limit", "duplicate-key"),
        ],
    )
    def test_that_is_wrong_is_refused_by_parameter(
        self,
        probe: FlaskClient,
        as_caller: AsCaller,
        query: str,
        status: int,
        parameter: str,
        code: str,
    ) -> None:
        response = probe.get(f"/probe/numbers?{query}", headers=as_caller())

        fault = response.get_json()["errors"][0]
        assert (response.status_code, fault["parameter"], fault["code"]) == (
            status,
            parameter,
            code,
        )
