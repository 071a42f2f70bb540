"""Consents end: by either side, by themselves, and with the citizen."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service import clock
from service.identity.consents.errors import ConsentExpired, ConsentRevoked
from service.identity.consents.expiry import watch_expiry
from service.runtime import Runtime
from tests.identity.conftest import Post, SignedInCitizen, at_once
from tests.identity.consents.conftest import DAY, Given, NewPartner, Read, Told, in_days, terms

Citizen = Callable[..., SignedInCitizen]


class TestARevocation:
    def test_by_the_citizen_ends_it_and_tells_the_partner_but_not_her_words(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        post: Post,
        told: Told,
        read: Read,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank)
        path = f"/v1/consents/{consent['id']}"

        answer = post(f"{path}/revocations", {"reason": "我不想了"}, headers=citizen.headers)

        assert answer.status_code == 201
        assert answer.get_json()["state"] == "revoked"
        assert answer.get_json()["status_reason"] == "我不想了"
        seen = client.get(path, headers=bank.headers).get_json()
        assert (seen["state"], seen["revoked_by"]) == ("revoked", "citizen")
        assert seen["status_reason"] is None
        history = client.get(f"{path}/history", headers=bank.headers).get_json()["items"]
        assert [(line["kind"], line["by"], line["reason"]) for line in history] == [
            ("authorised", "citizen", None),
            ("revoked", "citizen", None),
        ]
        assert told(bank)[-1] == ("consent.revoked", consent["id"], "revoked", 2)
        with pytest.raises(ConsentRevoked):
            read(consent["id"]).require(citizen_id=citizen.id, partner_id=bank.id)

    def test_by_the_partner_is_acknowledged_by_the_citizen(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, post: Post
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        path = f"/v1/consents/{given(citizen, bank)['id']}"
        post(f"{path}/revocations", {"reason": "contract ended"}, headers=bank.headers)

        own = post(f"{path}/acknowledgements", headers=bank.headers)
        others = [post(f"{path}/acknowledgements", headers=citizen.headers) for _ in range(2)]

        assert (own.status_code, own.get_json()["code"]) == (409, "nothing-to-acknowledge")
        assert [answer.status_code for answer in others] == [201, 200]
        known = others[0].get_json()
        assert known == others[1].get_json()
        assert known["acknowledged_at"] is not None
        assert known["status_reason"] == "contract ended"

    def test_by_the_citizen_is_acknowledged_by_the_partner_and_she_sees_it(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        post: Post,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        path = f"/v1/consents/{given(citizen, bank)['id']}"
        too_early = post(f"{path}/acknowledgements", headers=bank.headers)
        post(f"{path}/revocations", headers=citizen.headers)

        post(f"{path}/acknowledgements", headers=bank.headers)

        assert too_early.status_code == 409
        seen = client.get(path, headers=citizen.headers).get_json()
        assert seen["acknowledged_at"] is not None
        history = client.get(f"{path}/history", headers=citizen.headers).get_json()["items"]
        assert [line["kind"] for line in history] == ["authorised", "revoked", "acknowledged"]

    def test_happens_once_however_often_and_by_whomever_it_is_sent(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        post: Post,
        told: Told,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        path = f"/v1/consents/{given(citizen, bank)['id']}"
        sides = [citizen.headers, bank.headers] * 8

        answers = at_once(16, lambda: post(f"{path}/revocations", headers=sides.pop()).status_code)

        assert sorted(answers) == [200] * 15 + [201]
        assert [event[0] for event in told(bank)] == ["consent.authorised", "consent.revoked"]
        history = client.get(f"{path}/history", headers=bank.headers).get_json()["items"]
        assert len(history) == 2

    def test_needs_the_scope(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, post: Post
    ) -> None:
        bank = a_partner(scopes=frozenset({"consents:read"}))
        path = f"/v1/consents/{given(a_citizen(), bank)['id']}/revocations"

        assert post(path, headers=bank.headers).status_code == 403

    def test_is_not_for_strangers(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, post: Post, read: Read
    ) -> None:
        consent = given(a_citizen(), a_partner())

        for headers in (a_citizen().headers, a_partner().headers):
            for what in ("revocations", "acknowledgements"):
                answer = post(f"/v1/consents/{consent['id']}/{what}", headers=headers)
                assert answer.status_code == 404
        assert read(consent["id"]).state == "authorised"

    @pytest.mark.parametrize("reason", ["", "x" * 201, "a\0b", 5, {"a": 1}])
    def test_refuses_words_that_cannot_be_kept(
        self,
        reason: object,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        post: Post,
        read: Read,
    ) -> None:
        citizen = a_citizen()
        consent = given(citizen, a_partner())

        path = f"/v1/consents/{consent['id']}/revocations"
        answer = post(path, {"reason": reason}, headers=citizen.headers)

        assert answer.status_code == 422
        assert read(consent["id"]).state == "authorised"

    def test_of_what_has_lapsed_is_refused(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, post: Post
    ) -> None:
        citizen = a_citizen()
        consent = given(citizen, a_partner(), valid_to=in_days(0.001))

        with clock.shifted(timedelta(minutes=5)):
            path = f"/v1/consents/{consent['id']}/revocations"
            answer = post(path, headers=citizen.headers)

        assert (answer.status_code, answer.get_json()["code"]) == (409, "consent-ended")


class TestAnEndInTime:
    def test_is_judged_without_any_job(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        read: Read,
        client: FlaskClient,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank, valid_to=in_days(30))

        with clock.shifted(30 * DAY + timedelta(minutes=1)), pytest.raises(ConsentExpired):
            read(consent["id"]).require(citizen_id=citizen.id, partner_id=bank.id)
        assert read(consent["id"]).state == "authorised"
        seen = client.get("/v1/consents?state=authorised", headers=citizen.headers).get_json()
        assert [item["id"] for item in seen["items"]] == [consent["id"]]

    def test_is_told_of_once_seven_days_before_and_once_when_it_comes(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        told: Told,
        runtime: Runtime,
    ) -> None:
        bank = a_partner()
        consent = given(a_citizen(), bank, valid_to=in_days(30))
        for days in (22, 24, 25, 31, 32):
            with clock.shifted(timedelta(days=days)):
                watch_expiry(runtime)

        assert told(bank) == [
            ("consent.authorised", consent["id"], "authorised", 1),
            ("consent.expiring", consent["id"], "authorised", 2),
            ("consent.expired", consent["id"], "expired", 3),
        ]

    def test_of_a_short_consent_is_no_news(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        told: Told,
        runtime: Runtime,
    ) -> None:
        bank = a_partner()
        given(a_citizen(), bank, valid_to=in_days(5))

        watch_expiry(runtime)

        assert [event[0] for event in told(bank)] == ["consent.authorised"]


class TestACitizenWhoLeaves:
    def test_takes_her_consents_and_everybodys_words_along(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        post: Post,
        told: Told,
        runtime: Runtime,
    ) -> None:
        citizen, bank, insurer = a_citizen(), a_partner(), a_partner("insurer")
        live, former = given(citizen, bank), given(citizen, insurer)
        path = f"/v1/consents/{former['id']}/revocations"
        post(path, {"reason": "words"}, headers=citizen.headers)

        left = client.delete("/v1/me", headers=citizen.headers)

        assert left.status_code == 204
        seen = client.get(f"/v1/consents/{live['id']}", headers=bank.headers).get_json()
        assert (seen["state"], seen["status_reason"]) == ("revoked", "citizen-left")
        assert seen["revoked_by"] == "service"
        assert told(bank)[-1] == ("consent.revoked", live["id"], "revoked", 2)
        known = post(f"/v1/consents/{live['id']}/acknowledgements", headers=bank.headers)
        assert known.status_code == 201
        with runtime.database.raw_transaction() as connection:
            query = "SELECT status_reason FROM consent WHERE citizen_id = %s"
            reasons = {row[0] for row in connection.execute(query, [citizen.id])}
        assert reasons == {None, "citizen-left"}

    def test_finds_them_in_her_export_before(
        self, a_citizen: Citizen, a_partner: NewPartner, client: FlaskClient, given: Given
    ) -> None:
        citizen = a_citizen()
        given(citizen, a_partner())

        export = client.get("/v1/me/exports", headers=citizen.headers).get_json()["records"]

        assert export["consent"][0]["purpose"] == "benefit"
        assert {"consent_access", "person_link"} <= export.keys()
        assert "person_id" not in str(export)

    def test_leaves_no_consent_that_she_gives_at_the_same_moment(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        app: Flask,
        post: Post,
        runtime: Runtime,
    ) -> None:
        citizen = a_citizen()
        banks = [a_partner() for _ in range(15)]
        waiting = [*banks[:7], None, *banks[7:]]

        def act() -> int:
            bank = waiting.pop()
            if bank is None:
                return app.test_client().delete("/v1/me", headers=citizen.headers).status_code
            return post("/v1/consents", terms(bank), headers=citizen.headers).status_code

        answers = at_once(len(waiting), act)

        assert set(answers) <= {201, 204, 401, 404}
        assert answers.count(204) == 1
        with runtime.database.raw_transaction() as connection:
            query = "SELECT count(*) FROM consent WHERE citizen_id = %s AND state = 'authorised'"
            assert connection.execute(query, [citizen.id]).fetchone() == (0,)
