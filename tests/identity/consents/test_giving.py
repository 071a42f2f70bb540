"""A citizen gives a consent: what she is shown, what is kept, and what she cannot agree to."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service import clock
from service.ids import CONSENT, public_id, uuid_of
from service.partners.organisations import partner_by_name, set_state
from service.runtime import Runtime
from tests.identity.conftest import Post, SignedInCitizen, at_once
from tests.identity.consents.conftest import (
    DAY,
    Give,
    Given,
    NewPartner,
    Read,
    Told,
    in_days,
    terms,
)

Citizen = Callable[..., SignedInCitizen]


class TestAConsent:
    def test_is_shown_to_her_with_the_words_and_without_the_subject(
        self, a_citizen: Citizen, a_partner: NewPartner, give: Give
    ) -> None:
        citizen, bank = a_citizen(), a_partner()

        answer = give(citizen, bank)
        consent = answer.get_json()

        assert answer.status_code == 201
        assert consent["state"] == "authorised"
        assert consent["partner"] == bank.name
        assert consent["data_clusters"] == ["tier", "redemption"]
        assert "subject" not in consent
        words = consent["words"]
        assert bank.name in words["chinese"]
        assert words["recipient"]["contact"] in words["english"]
        both = f"{words['chinese']}\n{words['english']}"
        assert words["digest"] == hashlib.sha256(both.encode()).hexdigest()

    def test_keeps_the_digest_of_the_words_she_read(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        runtime: Runtime,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        until = in_days(30)
        asked = {
            "partner": bank.name,
            "purpose": "benefit",
            "data_clusters": "redemption,tier",
            "valid_to": until,
        }
        read = client.get("/v1/consent-words", query_string=asked, headers=citizen.headers)

        consent = given(citizen, bank, valid_to=until)

        assert read.status_code == 200
        assert consent["words"] == read.get_json()
        with runtime.database.raw_transaction() as connection:
            query = "SELECT encode(text_digest, 'hex') FROM consent WHERE id = %s"
            row = connection.execute(query, [uuid_of(CONSENT, consent["id"])]).fetchone()
        assert row == (read.get_json()["digest"],)

    def test_is_shown_to_the_partner_with_the_subject_and_without_the_words(
        self, a_citizen: Citizen, a_partner: NewPartner, client: FlaskClient, given: Given
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank)

        seen = client.get(f"/v1/consents/{consent['id']}", headers=bank.headers).get_json()

        assert seen["subject"].startswith("sub_")
        assert "words" not in seen
        assert citizen.id.hex not in str(seen)
        listed = client.get("/v1/consents", headers=bank.headers).get_json()["items"]
        assert listed == [seen]

    def test_names_her_differently_to_each_partner_and_always_the_same_to_one(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, read: Read
    ) -> None:
        citizen, bank, other = a_citizen(), a_partner(), a_partner("insurer")

        first = read(given(citizen, bank)["id"]).subject
        again = read(given(citizen, bank, purpose="report", data_clusters=["report"])["id"]).subject
        elsewhere = read(given(citizen, other)["id"]).subject

        assert first == again
        assert first != elsewhere

    def test_tells_the_partner(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, told: Told
    ) -> None:
        citizen, bank = a_citizen(), a_partner()

        consent = given(citizen, bank)

        assert told(bank) == [("consent.authorised", consent["id"], "authorised", 1)]

    def test_is_given_once_under_a_key(
        self, a_citizen: Citizen, a_partner: NewPartner, post: Post
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        body, headers = terms(bank), {**citizen.headers, "Idempotency-Key": "once"}

        first, second = (post("/v1/consents", body, headers=headers) for _ in range(2))

        assert first.get_json() == second.get_json()
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_is_nobody_elses_to_see(
        self, a_citizen: Citizen, a_partner: NewPartner, client: FlaskClient, given: Given
    ) -> None:
        consent = given(a_citizen(), a_partner())

        for headers in (a_citizen().headers, a_partner().headers):
            for path in ("", "/history"):
                address = f"/v1/consents/{consent['id']}{path}"
                assert client.get(address, headers=headers).status_code == 404
        accesses = f"/v1/consents/{consent['id']}/accesses"
        assert client.get(accesses, headers=a_citizen().headers).status_code == 404

    def test_cannot_be_given_by_a_partner(self, a_partner: NewPartner, post: Post) -> None:
        bank = a_partner()

        assert post("/v1/consents", terms(bank), headers=bank.headers).status_code == 403

    def test_is_read_by_partners_with_the_scope_only(
        self, a_partner: NewPartner, client: FlaskClient
    ) -> None:
        bank = a_partner(scopes=frozenset({"offers:read"}))

        assert client.get("/v1/consents", headers=bank.headers).status_code == 403


class TestASecondConsent:
    def test_to_the_same_partner_for_the_same_purpose_is_refused(
        self, a_citizen: Citizen, a_partner: NewPartner, give: Give, given: Given
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        first = given(citizen, bank)

        second = give(citizen, bank)

        assert second.status_code == 409
        assert second.get_json()["code"] == "consent-exists"
        assert second.get_json()["consent_id"] == first["id"]

    def test_is_refused_to_all_but_one_at_the_same_moment(
        self, a_citizen: Citizen, a_partner: NewPartner, give: Give
    ) -> None:
        citizen, bank = a_citizen(), a_partner()

        answers = at_once(16, lambda: give(citizen, bank).status_code)

        assert sorted(answers) == [201] + [409] * 15

    def test_may_follow_one_that_has_lapsed_before_any_job_has_seen_it(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, give: Give, told: Told
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        first = given(citizen, bank, valid_to=in_days(0.001))

        with clock.shifted(timedelta(minutes=5)):
            second = give(citizen, bank)

        assert second.status_code == 201
        assert [event[:2] for event in told(bank)] == [
            ("consent.authorised", first["id"]),
            ("consent.expired", first["id"]),
            ("consent.authorised", second.get_json()["id"]),
        ]


class TestARenewal:
    def test_takes_the_place_of_the_former_at_the_same_moment(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, read: Read, told: Told
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        former = given(citizen, bank)

        renewal = given(citizen, bank, renews=former["id"], valid_to=in_days(300))

        assert renewal["renews"] == former["id"]
        assert read(former["id"]).state == "renewed"
        assert read(renewal["id"]).state == "authorised"
        assert told(bank)[1:] == [
            ("consent.renewed", former["id"], "renewed", 2),
            ("consent.authorised", renewal["id"], "authorised", 1),
        ]

    def test_that_is_refused_leaves_the_former_in_force(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, give: Give, read: Read
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        former = given(citizen, bank)

        refused = give(citizen, bank, renews=former["id"], valid_to=in_days(400))

        assert refused.status_code == 422
        assert read(former["id"]).state == "authorised"

    def test_of_what_has_ended_is_refused(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, give: Give
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        former = given(citizen, bank)
        given(citizen, bank, renews=former["id"])

        again = give(citizen, bank, renews=former["id"])

        assert (again.status_code, again.get_json()["code"]) == (409, "consent-ended")

    @pytest.mark.parametrize("whose", ["another partner's", "another citizen's", "nobody's", "no"])
    def test_of_what_is_not_between_these_two_finds_nothing(
        self, whose: str, a_citizen: Citizen, a_partner: NewPartner, given: Given, give: Give
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        renews = {
            "another partner's": given(citizen, a_partner())["id"],
            "another citizen's": given(a_citizen(), bank)["id"],
            "nobody's": public_id(CONSENT, citizen.id),
            "no": "no consent",
        }[whose]

        assert give(citizen, bank, renews=renews).status_code == 404


LIMIT = {"period": "day", "alignment": "calendar", "max_uses": 3}

HOSTILE: list[dict[str, Any]] = [
    {"valid_to": "0001-01-01T00:00:00+14:00"},
    {"valid_to": "9999-12-31T23:59:59-14:00"},
    {"valid_to": "2026-13-01T00:00:00Z"},
    {"valid_to": "2027-01-01T00:00:00"},
    {"valid_to": 5},
    {"data_clusters": []},
    {"data_clusters": ["trips"]},
    {"data_clusters": ["identity"]},
    {"data_clusters": ["tier", None]},
    {"data_clusters": "tier"},
    {"purpose": "marketing"},
    {"purpose": None},
    {"partner": "nobody-at-all"},
    {"partner": "a\0b"},
    {"partner": "x" * 100},
    {"max_uses": 0},
    {"max_uses": 2**40},
    {"max_uses": "3"},
    {"max_uses": True},
    {"periodic_limits": [LIMIT, {**LIMIT, "alignment": "consent"}]},
    {"periodic_limits": [{**LIMIT, "period": "decade"}]},
    {"periodic_limits": [{**LIMIT, "max_uses": -1}]},
    {"periodic_limits": [LIMIT] * 50},
    {"periodic_limits": {"0": LIMIT}},
    {"citizen_id": "somebody else"},
    {"state": "authorised"},
]


class TestTermsThatCannotBe:
    @pytest.mark.parametrize("others", HOSTILE, ids=str)
    def test_are_refused(
        self, others: dict[str, Any], a_citizen: Citizen, a_partner: NewPartner, give: Give
    ) -> None:
        answer = give(a_citizen(), a_partner(), **others)

        assert answer.status_code in {400, 422}, answer.get_json()
        assert answer.get_json()["code"]

    @pytest.mark.parametrize(
        ("role", "purpose", "clusters"),
        [
            ("verifier", "benefit", ["tier"]),
            ("bank", "identity_verification", ["identity"]),
            ("source", "report", ["report"]),
            ("buyer", "benefit", ["tier"]),
        ],
    )
    def test_are_those_of_a_partner_that_has_nothing_to_do_with_the_purpose(
        self,
        role: str,
        purpose: str,
        clusters: list[str],
        a_citizen: Citizen,
        a_partner: NewPartner,
        give: Give,
    ) -> None:
        answer = give(a_citizen(), a_partner(role), purpose=purpose, data_clusters=clusters)

        assert (answer.status_code, answer.get_json()["code"]) == (422, "recipient-unknown")

    def test_are_those_of_a_suspended_partner(
        self, a_citizen: Citizen, a_partner: NewPartner, give: Give, runtime: Runtime
    ) -> None:
        bank = a_partner()
        with runtime.database.raw_transaction() as connection:
            partner = partner_by_name(connection, bank.name)
            set_state(connection, partner, active=False, reason="for a test")

        assert give(a_citizen(), bank).status_code == 422

    def test_are_those_of_more_than_366_days(
        self, a_citizen: Citizen, a_partner: NewPartner, give: Give
    ) -> None:
        longest = (clock.now() + 366 * DAY - timedelta(minutes=1)).isoformat()
        longer = (clock.now() + 366 * DAY + timedelta(minutes=1)).isoformat()

        assert give(a_citizen(), a_partner(), valid_to=longest).status_code == 201
        assert give(a_citizen(), a_partner(), valid_to=longer).status_code == 422

    @pytest.mark.parametrize("query", ["data_clusters=,", "data_clusters=tier%00", "purpose=x"])
    def test_have_no_words(
        self, query: str, a_citizen: Citizen, a_partner: NewPartner, client: FlaskClient
    ) -> None:
        base = f"partner={a_partner().name}&valid_to=2027-01-01T00:00:00Z"
        rest = "purpose=benefit" if "clusters" in query else "data_clusters=tier"

        address = f"/v1/consent-words?{base}&{query}&{rest}"

        assert client.get(address, headers=a_citizen().headers).status_code == 422
