"""A citizen's statement."""

from datetime import timedelta
from uuid import uuid4

from flask.testing import FlaskClient

from service import clock
from service.ledger.accounts import lock_account
from service.ledger.captures import restore
from service.ledger.clawback import Claim, invalidate
from service.ledger.holds import capture, hold
from service.ledger.spending import retire
from service.runtime import Runtime
from tests.ledger.conftest import Headers, Issued, issue

SOON = clock.today() + timedelta(days=30)


class TestAStatement:
    def test_shows_the_newest_transfer_first(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((1, 10, SOON), (2, 20, SOON))

        items = client.get("/v1/me/transfers", headers=as_caller(citizen)).get_json()["items"]

        assert [item["points"] for item in items] == [2, 1]

    def test_says_of_each_transfer_what_moved_where_and_why(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((1, 10, SOON))

        answer = client.get("/v1/me/transfers", headers=as_caller(citizen)).get_json()

        [item] = answer["items"]
        assert item["id"].removeprefix("trf_") == item["activity_id"].removeprefix("act_")
        assert item["recorded_at"].endswith("+00:00")
        assert {name: item[name] for name in ("kind", "points", "reduction_g", "expires_on")} == {
            "kind": "issue",
            "points": 1,
            "reduction_g": 10,
            "expires_on": SOON.isoformat(),
        }

    def test_is_read_page_by_page_without_loss(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with(*((points, 10, SOON) for points in range(1, 6)))
        headers = as_caller(citizen)

        seen, cursor = [], ""
        for _ in range(3):
            page = client.get(f"/v1/me/transfers?limit=2{cursor}", headers=headers).get_json()
            seen += [item["points"] for item in page["items"]]
            cursor = f"&cursor={page['next']}"

        assert seen == [5, 4, 3, 2, 1]
        assert page["next"] is None

    def test_tells_a_hold_from_beginning_to_end(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, SOON))
        held, captured = uuid4(), uuid4()
        with runtime.database.raw_transaction() as connection:
            hold(connection, citizen, held, 6)
            capture(connection, citizen, captured, held, 4, uuid4())
            restore(connection, citizen, uuid4(), captured, 1)

        answer = client.get("/v1/me/transfers", headers=as_caller(citizen)).get_json()

        *story, issued = answer["items"]
        assert [(item["kind"], item["points"]) for item in story] == [
            ("restore", 1),
            ("capture", 4),
            ("hold", 6),
        ]
        assert {item["hold_id"] for item in story} == {f"pst_{held.hex}"}
        assert [item["of_id"] for item in story] == [f"pst_{captured.hex}", None, None]
        assert story[1]["posting_id"] == f"pst_{captured.hex}"
        assert (issued["posting_id"], issued["hold_id"], issued["of_id"]) == (None, None, None)

    def test_names_the_activity_whose_issue_is_taken_back_or_pays(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime
    ) -> None:
        citizen = uuid4()
        false = issue(runtime, citizen, 10, 100, SOON)
        with runtime.database.raw_transaction() as connection:
            retire(connection, citizen, uuid4(), points=8)
            claim = Claim(citizen.hex, false.hex)
            invalidate(connection, lock_account(connection, citizen), [claim])
        next_one = issue(runtime, citizen, 10, 100, SOON)

        answer = client.get("/v1/me/transfers", headers=as_caller(citizen)).get_json()

        assert [(item["kind"], item["activity_id"], item["of_id"]) for item in answer["items"]] == [
            ("recover", f"act_{next_one.hex}", f"trf_{next_one.hex}"),
            ("issue", f"act_{next_one.hex}", None),
            ("invalidate", f"act_{false.hex}", f"trf_{false.hex}"),
            ("retire", None, None),
            ("issue", f"act_{false.hex}", None),
        ]

    def test_of_one_posting_is_read_line_by_line_across_pages(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        days = [SOON + timedelta(days=days) for days in range(5)]
        citizen = a_citizen_with(*((1, 10, day) for day in days))
        with runtime.database.raw_transaction() as connection:
            retire(connection, citizen, uuid4(), points=5)

        seen, cursor = [], ""
        for _ in range(3):
            path = f"/v1/me/transfers?limit=2{cursor}"
            page = client.get(path, headers=as_caller(citizen)).get_json()
            seen += [item["expires_on"] for item in page["items"] if item["kind"] == "retire"]
            cursor = f"&cursor={page['next']}"

        assert seen == [day.isoformat() for day in reversed(days)]

    def test_is_empty_for_a_newcomer(self, client: FlaskClient, as_caller: Headers) -> None:
        answer = client.get("/v1/me/transfers", headers=as_caller(uuid4())).get_json()

        assert answer == {"items": [], "next": None}


class TestATransfer:
    def test_is_read_by_its_id(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        headers = as_caller(a_citizen_with((1, 10, SOON)))
        [item] = client.get("/v1/me/transfers", headers=headers).get_json()["items"]

        assert client.get(f"/v1/transfers/{item['id']}", headers=headers).get_json() == item

    def test_of_somebody_else_does_not_exist(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        owner = as_caller(a_citizen_with((1, 10, SOON)))
        [item] = client.get("/v1/me/transfers", headers=owner).get_json()["items"]

        response = client.get(f"/v1/transfers/{item['id']}", headers=as_caller(uuid4()))

        assert response.status_code == 404
        assert response.get_json()["code"] == "id-unknown"

    def test_goes_by_no_other_name(self, client: FlaskClient, as_caller: Headers) -> None:
        for name in ("1", "trf_xyz", "act_" + "0" * 32, "trf_" + "0" * 31 + "%00"):
            response = client.get(f"/v1/transfers/{name}", headers=as_caller(uuid4()))

            assert response.get_json()["code"] == "id-unknown"
