"""A report that a citizen carries: what is in it, what never is, and who can check it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from service import clock
from service.documents import signed_document
from service.identity.consents.checking import pairwise_subject
from service.ids import CITIZEN, PARTNER, public_id
from service.partners.organisations import partner_by_id
from service.reports.carbon_reports import DOCUMENT_TYPE
from service.runtime import Runtime
from tests.activities.factories import rows
from tests.rewards.grades.town import RIDE_G, Desk, Rider, rules_in_force

TODAY = clock.today().isoformat()
MONTH_AGO = (clock.today() - timedelta(days=30)).isoformat()


class Traveller:
    """A citizen with two rides, who asks for reports."""

    def __init__(self, app: Flask, runtime: Runtime) -> None:
        self.runtime = runtime
        self.rider = Rider.of(runtime, rides_days_ago=[1, 2])
        self.desk = Desk(app, "citizen", self.rider.id)
        self.client = app.test_client()

    def asks(self, *include: str, key: str | None = None, **changes: Any) -> TestResponse:
        body = {"from": MONTH_AGO, "to": TODAY, "include": include or ("totals",)} | changes
        headers = {"Idempotency_Key": key} if key else {}
        return self.desk.post("/me/carbon-reports", body, **headers)

    def gets(self, *include: str, **changes: Any) -> Any:
        response = self.asks(*include, **changes)
        assert response.status_code == 201, response.text
        return response.get_json()

    def claims(self, *include: str, **changes: Any) -> dict[str, Any]:
        """Read a report as its recipient does: with our published keys and another's library."""
        jwks = self.client.get("/.well-known/jwks.json").get_json()
        report = self.gets(*include, **changes)["report"]
        found = jwt.decode(report, KeySet.import_key_set(jwks), algorithms=["ES256"])
        assert found.header["typ"] == "carbon-report+jwt"
        return found.claims

    def checks(self, report: str) -> Any:
        response = self.client.post("/v1/carbon-report-checks", json={"report": report})
        assert response.status_code == 200, response.text
        return response.get_json()

    def status(self, report_id: str) -> Any:
        return self.client.get(f"/v1/carbon-reports/{report_id}/status").get_json()


@pytest.fixture
def traveller(app: Flask, runtime: Runtime) -> Traveller:
    return Traveller(app, runtime)


class TestAReport:
    def test_holds_what_she_chose_and_nothing_else(self, traveller: Traveller) -> None:
        claims = traveller.claims("totals", "active_days")

        always = {"iss", "sub", "jti", "iat", "exp", "status_url", "period"}
        assert set(claims) == always | {"reduction_g", "active_days"}
        assert (claims["reduction_g"], claims["active_days"]) == (2 * RIDE_G, 2)
        assert claims["period"] == {"from": MONTH_AGO, "to": TODAY}

    def test_adds_up_only_the_days_she_names(self, traveller: Traveller) -> None:
        yesterday = (clock.today() - timedelta(days=1)).isoformat()

        claims = traveller.claims("category_totals", **{"from": yesterday, "to": yesterday})

        assert claims["categories"] == {"metro_ride": RIDE_G}

    def test_names_the_rules_of_its_grade(self, traveller: Traveller) -> None:
        rules = rules_in_force(traveller.runtime)

        grade = traveller.claims("grade", rules=rules)["grade"]

        assert grade["grade"] == "medium_green"
        assert grade["rules"] == {"name": rules, "version": 1}
        assert grade["disputed"] is False

    def test_says_that_a_human_looks_at_its_grade(self, traveller: Traveller) -> None:
        rules = rules_in_force(traveller.runtime)
        traveller.desk.post("/me/grade-reviews", {"rules": rules, "words": "It is too low."})

        assert traveller.claims("grade", rules=rules)["grade"]["disputed"] is True

    def test_never_names_her_or_a_trip(self, traveller: Traveller) -> None:
        rules = rules_in_force(traveller.runtime)
        everything = ("totals", "category_totals", "grade", "active_days")

        text = str(traveller.claims(*everything, rules=rules))

        assert traveller.rider.id.hex not in text
        query = "SELECT id::text FROM activity WHERE citizen_id = %s"
        for (activity_id,) in rows(traveller.runtime, query, traveller.rider.id):
            assert activity_id.replace("-", "") not in text
        assert "distance" not in text

    def test_for_a_partner_names_her_as_that_partner_knows_her(self, traveller: Traveller) -> None:
        partner_id = traveller.rider.source.id
        assert partner_id is not None
        with traveller.runtime.database.raw_transaction() as connection:
            name = partner_by_id(connection, partner_id).name

        claims = traveller.claims(audience=name)

        assert claims["aud"] == public_id(PARTNER, partner_id)
        subject = pairwise_subject(traveller.runtime.keys, partner_id, traveller.rider.id)
        assert claims["sub"] == subject

    def test_for_nobody_in_particular_has_a_name_of_its_own(self, traveller: Traveller) -> None:
        one, other = traveller.claims(), traveller.claims()

        assert "aud" not in one
        assert one["sub"] != other["sub"]
        assert one["sub"] != public_id(CITIZEN, traveller.rider.id)

    def test_is_kept_nowhere(self, traveller: Traveller) -> None:
        report = traveller.gets(key="kept?")

        for table, column in (("carbon_report", "citizen_id"), ("idempotency_key", "principal_id")):
            query = f"SELECT {table}::text FROM {table} WHERE {column} = %s"
            for (row,) in rows(traveller.runtime, query, traveller.rider.id):
                assert report["report"] not in row
                assert str(2 * RIDE_G) not in row


class TestAskingForAReport:
    def test_with_the_same_key_twice_makes_one(self, traveller: Traveller) -> None:
        first, again = traveller.gets(key="once"), traveller.gets(key="once")

        assert again["id"] == first["id"]
        assert traveller.checks(again["report"]) == traveller.checks(first["report"])
        assert len(traveller.desk.get("/me/carbon-reports").get_json()["items"]) == 1

    @pytest.mark.parametrize("changes", [{"valid_days": 5}, {"include": ["active_days"]}])
    def test_with_the_same_key_otherwise_is_refused(
        self, traveller: Traveller, changes: dict[str, Any]
    ) -> None:
        traveller.gets(key="once")

        response = traveller.asks(key="once", **changes)

        assert (response.status_code, response.get_json()["code"]) == (409, "report-differs")

    def test_with_the_same_key_after_another_ride_is_refused(self, traveller: Traveller) -> None:
        traveller.gets(key="once")
        traveller.rider.rides(3)

        assert traveller.asks(key="once").get_json()["code"] == "report-differs"

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({"from": TODAY, "to": MONTH_AGO}, 422, "report-period-invalid"),
            ({"from": "1999-01-01"}, 422, "report-period-invalid"),
            ({"from": "0001-01-01", "to": "0001-01-01"}, 422, "report-period-invalid"),
            ({"to": "9999-12-31"}, 422, "validation-failed"),
            ({"include": []}, 422, "validation-failed"),
            ({"include": ["trips"]}, 422, "validation-failed"),
            ({"include": ["grade"]}, 422, "validation-failed"),
            ({"rules": "not-asked-for"}, 400, "unknown-field"),
            ({"include": ["grade"], "rules": "nobodys"}, 404, "grade-rules-not-in-force"),
            ({"include": ["grade"], "rules": "a\0b"}, 422, "text-invalid"),
            ({"audience": "nobody"}, 404, "partner-unknown"),
            ({"valid_days": 91}, 422, "validation-failed"),
            ({"valid_days": 0}, 422, "validation-failed"),
        ],
    )
    def test_is_refused(
        self, traveller: Traveller, changes: dict[str, Any], status: int, code: str
    ) -> None:
        response = traveller.asks(**changes)

        assert (response.status_code, response.get_json()["code"]) == (status, code)

    def test_for_a_day_to_come_is_refused_in_her_language(
        self, traveller: Traveller, app: Flask
    ) -> None:
        tomorrow = (clock.today() + timedelta(days=1)).isoformat()
        body = {"from": TODAY, "to": tomorrow, "include": ["totals"]}

        response = Desk(app, "citizen", traveller.rider.id, language="zh").post(
            "/me/carbon-reports", body
        )

        (fault,) = response.get_json()["errors"]
        assert (fault["pointer"], fault["detail"]) == ("/to", "报告期的最后一日不得晚于今日。")


class TestAReportThatIsShown:
    def test_is_valid(self, traveller: Traveller) -> None:
        report = traveller.gets()

        checked = traveller.checks(report["report"])

        assert (checked["is_valid"], checked["status"]) == (True, "valid")
        assert checked["claims"]["jti"] == report["id"]
        assert traveller.status(report["id"]) == {"status": "valid"}

    def test_expires(self, traveller: Traveller) -> None:
        report = traveller.gets(valid_days=1)

        with clock.shifted(timedelta(days=1, seconds=1)):
            assert traveller.checks(report["report"])["status"] == "expired"
            assert traveller.status(report["id"]) == {"status": "expired"}

    def test_can_be_withdrawn_by_her(self, traveller: Traveller) -> None:
        report = traveller.gets()
        path = f"/me/carbon-reports/{report['id']}"

        answers = [traveller.desk.send("DELETE", path).status_code for _ in range(2)]

        assert answers == [204, 204]
        checked = traveller.checks(report["report"])
        assert (checked["is_valid"], checked["status"]) == (False, "withdrawn")
        assert traveller.status(report["id"]) == {"status": "withdrawn"}
        (listed,) = traveller.desk.get("/me/carbon-reports").get_json()["items"]
        assert listed["status"] == "withdrawn"

    def test_cannot_be_withdrawn_by_others(self, traveller: Traveller, app: Flask) -> None:
        report = traveller.gets()

        response = Desk(app, "citizen").send("DELETE", f"/me/carbon-reports/{report['id']}")

        assert response.get_json()["code"] == "id-unknown"
        assert traveller.status(report["id"]) == {"status": "valid"}

    def test_is_unknown_once_she_has_left(self, traveller: Traveller) -> None:
        report = traveller.gets()

        traveller.desk.send("DELETE", "/me")

        assert traveller.checks(report["report"])["status"] == "unknown"
        assert traveller.status(report["id"]) == {"status": "unknown"}

    @pytest.mark.parametrize("report_id", ["crp_" + "0" * 32, "prt_" + "0" * 32, "x", "%00"])
    def test_under_an_id_of_none_is_unknown(self, traveller: Traveller, report_id: str) -> None:
        assert traveller.status(report_id) == {"status": "unknown"}


class TestAForgery:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda report: report[:-4] + "AAAA",
            lambda report: report.split(".")[1],
            lambda report: "eyJhbGciOiJub25lIn0." + report.split(".")[1] + ".",
            lambda _: "碳",
        ],
    )
    def test_is_invalid(self, traveller: Traveller, spoil: Callable[[str], str]) -> None:
        checked = traveller.checks(spoil(traveller.gets()["report"]))

        assert checked == {"is_valid": False, "status": "invalid", "claims": None}

    def test_of_another_kind_of_document_is_invalid(self, traveller: Traveller) -> None:
        claims = traveller.claims()

        other = signed_document(traveller.runtime.keys, "carbon-quote+jwt", claims)

        assert traveller.checks(other)["status"] == "invalid"

    def test_with_our_key_but_other_content_is_unknown(self, traveller: Traveller) -> None:
        claims = traveller.claims() | {"reduction_g": 10**9}

        forged = signed_document(traveller.runtime.keys, DOCUMENT_TYPE, claims)

        assert traveller.checks(forged)["status"] == "unknown"


class TestTheListOfReports:
    def test_is_in_pages_the_newest_first(self, traveller: Traveller) -> None:
        made = [traveller.gets()["id"] for _ in range(3)]

        first = traveller.desk.get("/me/carbon-reports?limit=2").get_json()
        second = traveller.desk.get(f"/me/carbon-reports?limit=2&cursor={first['next']}")

        seen = [item["id"] for item in first["items"] + second.get_json()["items"]]
        assert sorted(seen) == sorted(made)

    def test_does_not_hold_what_they_say(self, traveller: Traveller) -> None:
        traveller.gets()

        (listed,) = traveller.desk.get("/me/carbon-reports").get_json()["items"]

        assert set(listed) == {"id", "status", "issued_at", "expires_at", "withdrawn_at"}
        assert date.fromisoformat(listed["expires_at"][:10]) > clock.today()
