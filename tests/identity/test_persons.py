"""A verification partner says who a citizen is, and the number is nowhere afterwards."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from psycopg import sql
from stdnum.cn import ric
from werkzeug.test import TestResponse

from service.identity.persons import ask_person, person_from
from service.runtime import Runtime
from tests.identity.conftest import Post, SignedInCitizen, at_once
from tests.identity.consents.conftest import (
    Given,
    KnownPartner,
    NewPartner,
    Read,
    a_partner,
    give,
    given,
    read,
)

__all__ = ["a_partner", "give", "given", "read"]

Citizen = Callable[..., SignedInCitizen]


def number_of(place: str = "110105", serial: int = 2, born: date = date(1949, 12, 31)) -> str:
    """Return a made-up number of which place, birth date and check digit are right."""
    number = f"{place}{born:%Y%m%d}{serial:03}"
    return number + ric.calc_check_digit(number + "0")


NUMBER = number_of()
OTHERS = number_of(serial=4)


@pytest.fixture
def verifier(a_partner: NewPartner) -> KnownPartner:
    return a_partner("verifier")


@pytest.fixture
def subject_of(given: Given, read: Read, verifier: KnownPartner) -> Callable[..., str]:
    """Let a citizen consent to be verified, and return her subject there."""

    def consent(citizen: SignedInCitizen, **others: Any) -> str:
        terms = {"purpose": "identity_verification", "data_clusters": ["identity"], **others}
        return read(given(citizen, verifier, **terms)["id"]).subject

    return consent


@pytest.fixture
def verify(post: Post, verifier: KnownPartner) -> Callable[..., TestResponse]:
    def send(subject: Any, number: Any = NUMBER, **others: Any) -> TestResponse:
        body = {"subject": subject, "document": "resident_identity_card", "number": number}
        headers = {**verifier.headers, "Idempotency-Key": "the-same"}
        return post("/v1/person-verifications", {**body, **others}, headers=headers)

    return send


@pytest.fixture
def person(runtime: Runtime) -> Callable[[UUID], bytes | None]:
    def ask(citizen_id: UUID) -> bytes | None:
        with runtime.database.pipelined_transaction() as connection:
            return person_from(ask_person(connection, citizen_id))

    return ask


Verify = Callable[..., TestResponse]
SubjectOf = Callable[..., str]
Person = Callable[[UUID], bytes | None]


class TestAVerification:
    def test_is_hers_to_see(
        self,
        a_citizen: Citizen,
        client: FlaskClient,
        subject_of: SubjectOf,
        verifier: KnownPartner,
        verify: Verify,
    ) -> None:
        citizen = a_citizen()
        before = client.get("/v1/me/person", headers=citizen.headers).get_json()

        answer = verify(subject_of(citizen))

        assert before == {"verified": False, "verified_at": None, "verifier": None}
        assert answer.status_code == 201
        after = client.get("/v1/me/person", headers=citizen.headers).get_json()
        assert after == answer.get_json()
        assert after["verified"] is True
        assert after["verifier"] == verifier.name
        seen = client.get("/v1/me/accesses", headers=citizen.headers).get_json()["items"]
        assert [item["operation"] for item in seen] == ["person.verified"]
        assert seen[0]["is_use"] is True

    def test_again_gives_the_same_answer_and_is_no_second_use(
        self, a_citizen: Citizen, subject_of: SubjectOf, verify: Verify
    ) -> None:
        subject = subject_of(a_citizen(), max_uses=1)

        answers = at_once(16, lambda: verify(subject))

        assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
        assert len({answer.get_data() for answer in answers}) == 1

    def test_of_another_person_is_refused(
        self, a_citizen: Citizen, subject_of: SubjectOf, verify: Verify, person: Person
    ) -> None:
        citizen = a_citizen()
        subject = subject_of(citizen)
        verify(subject)
        before = person(citizen.id)

        answer = verify(subject, OTHERS)

        assert (answer.status_code, answer.get_json()["code"]) == (409, "person-differs")
        assert person(citizen.id) == before

    def test_of_another_person_can_be_read_by_her(
        self, a_citizen: Citizen, subject_of: SubjectOf, verify: Verify, client: FlaskClient
    ) -> None:
        citizen = a_citizen()
        subject = subject_of(citizen)
        verify(subject)
        verify(subject, OTHERS)

        seen = client.get("/v1/me/accesses", headers=citizen.headers).get_json()["items"]

        assert [item["operation"] for item in seen] == ["person.differed", "person.verified"]

    def test_makes_several_accounts_one_person(
        self, a_citizen: Citizen, subject_of: SubjectOf, verify: Verify, person: Person
    ) -> None:
        first, second, other = a_citizen(), a_citizen(), a_citizen()
        for citizen, number in ((first, NUMBER), (second, NUMBER), (other, OTHERS)):
            assert verify(subject_of(citizen), number).status_code == 201

        assert person(first.id) == person(second.id)
        assert person(first.id) != person(other.id)
        assert person(a_citizen().id) is None

    @pytest.mark.parametrize(
        "number",
        [
            NUMBER[:-1] + ("0" if NUMBER[-1] != "0" else "1"),
            NUMBER.replace("1949", "1950"),
            "000000" + NUMBER[6:],
            "110105491231002",
            "1" * 18,
            "",
            "x" * 18,
            "x" * 33,
            "１１０１０５" + NUMBER[6:],
            "a\0b",
            5,
            None,
        ],
        ids=repr,
    )
    def test_of_no_number_is_refused_without_repeating_it(
        self, number: Any, a_citizen: Citizen, subject_of: SubjectOf, verify: Verify
    ) -> None:
        citizen = a_citizen()

        answer = verify(subject_of(citizen), number)

        # A number in full-width digits is the same number.
        assert answer.status_code in ({201} if str(number).startswith("１") else {422})
        if isinstance(number, str) and len(number) == 18:
            assert number not in answer.get_data(as_text=True)

    @pytest.mark.parametrize("others", [{"document": "passport"}, {"person_id": "00"}])
    def test_in_another_shape_is_refused(
        self, others: dict[str, Any], a_citizen: Citizen, subject_of: SubjectOf, verify: Verify
    ) -> None:
        answer = verify(subject_of(a_citizen()), **others)

        assert answer.status_code in {400, 422}

    @pytest.mark.parametrize("subject", ["sub_" + "0" * 32, "sub_", "a\0b", "ctz_1"])
    def test_of_nobody_says_only_that_there_is_no_consent(
        self, subject: str, verify: Verify
    ) -> None:
        answer = verify(subject, "no number")

        assert answer.status_code in {403, 422}
        assert answer.get_json()["code"] in {"consent-missing", "text-invalid", "validation-failed"}

    def test_needs_her_consent_to_this_partner(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        post: Post,
        subject_of: SubjectOf,
    ) -> None:
        subject = subject_of(a_citizen())
        body = {"subject": subject, "document": "resident_identity_card", "number": NUMBER}

        other = post("/v1/person-verifications", body, headers=a_partner("verifier").headers)

        assert (other.status_code, other.get_json()["code"]) == (403, "consent-missing")

    def test_is_not_for_banks(self, a_partner: NewPartner, post: Post) -> None:
        bank = a_partner(scopes=frozenset({"persons:verify"}))
        body = {"subject": "sub_", "document": "resident_identity_card", "number": NUMBER}

        assert post("/v1/person-verifications", body, headers=bank.headers).status_code == 403

    def test_goes_when_she_leaves(
        self,
        a_citizen: Citizen,
        client: FlaskClient,
        subject_of: SubjectOf,
        verify: Verify,
        person: Person,
        runtime: Runtime,
    ) -> None:
        citizen = a_citizen()
        verify(subject_of(citizen))

        client.delete("/v1/me", headers=citizen.headers)

        assert person(citizen.id) is None
        with runtime.database.raw_transaction() as connection:
            query = "SELECT count(*) FROM consent_access WHERE citizen_id = %s"
            assert connection.execute(query, [citizen.id]).fetchone() == (0,)

    @pytest.mark.parametrize("field", ["subject", "number", "document"])
    def test_refuses_half_a_character(
        self, field: str, client: FlaskClient, verifier: KnownPartner
    ) -> None:
        body = {"subject": "sub_", "document": "resident_identity_card", "number": NUMBER}
        data = json.dumps({**body, field: "\ud800"})

        answer = client.post(
            "/v1/person-verifications",
            data=data,
            content_type="application/json",
            headers=verifier.headers,
        )

        assert answer.status_code == 422


class TestTheNumber:
    def test_is_nowhere_in_the_database_or_the_files(
        self,
        a_citizen: Citizen,
        subject_of: SubjectOf,
        verify: Verify,
        runtime: Runtime,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        number = number_of(serial=731, born=date(1980, 1, 1) + timedelta(days=300))
        subject = subject_of(a_citizen())
        for sent in (number, number[:-1] + "?", OTHERS, number):
            verify(subject, sent)

        assert stored(runtime, number[:17]) == []
        assert logged(runtime.settings.home, number[:17]) == []
        assert number[:17] not in "".join(capfd.readouterr())

    def test_leaves_no_digest_of_the_request_behind(
        self,
        a_citizen: Citizen,
        subject_of: SubjectOf,
        verifier: KnownPartner,
        verify: Verify,
        runtime: Runtime,
    ) -> None:
        verify(subject_of(a_citizen()))

        with runtime.database.raw_transaction() as connection:
            query = "SELECT count(*) FROM idempotency_key WHERE principal_id = %s"
            assert connection.execute(query, [verifier.id]).fetchone() == (0,)


def stored(runtime: Runtime, text: str) -> list[str]:
    """Return the tables in which a text stands anywhere."""
    with runtime.database.raw_transaction() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            " AND has_table_privilege(format('%I.%I', table_schema, table_name), 'SELECT')"
        ).fetchall()
        return [
            table
            for (table,) in tables
            if connection.execute(
                sql.SQL("SELECT 1 FROM {} AS row WHERE row::text LIKE %s LIMIT 1").format(
                    sql.Identifier(table)
                ),
                [f"%{text}%"],
            ).fetchone()
        ]


def logged(home: Path, text: str) -> list[Path]:
    """Return the files of a home, but for its engines', in which a text stands."""
    files = [path for path in home.glob("*") if path.is_file()]
    return [path for path in files if text in path.read_text(errors="replace")]
