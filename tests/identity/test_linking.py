"""Consent: an account is one citizen's at a time, and ends when she says so."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from service import clock
from service.identity.consequences import CONSEQUENCES, Consequences, EndedLink
from service.identity.linking import MOST_LIVE_LINKS
from service.identity.source_links import account_digest
from service.partners.organisations import partner_by_name, set_state
from service.runtime import Runtime
from tests.identity.conftest import KnownSource, Post, SignedInCitizen, at_once

Citizen = Callable[..., SignedInCitizen]
NewSource = Callable[..., KnownSource]
LinkTo = Callable[..., TestResponse]


@pytest.fixture
def link(post: Post) -> LinkTo:
    def ask(citizen: SignedInCitizen, source: KnownSource, account: str = "card-1") -> TestResponse:
        body = {"source": source.name, "account_ref": account}
        return post("/v1/me/source-links", body, headers=citizen.headers)

    return ask


class TestLinkingAnAccount:
    def test_counts_at_once(self, a_citizen: Citizen, a_source: NewSource, link: LinkTo) -> None:
        response = link(a_citizen(), a_source(), "6217-0001-2345")

        assert response.status_code == 201
        answer = response.get_json()
        assert answer["state"] == "active"
        assert answer["account_masked"] == "****2345"
        assert answer["consent"]["chinese"].startswith("我同意")

    def test_again_returns_the_same_link(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo
    ) -> None:
        citizen, source = a_citizen(), a_source()
        first = link(citizen, source)

        second = link(citizen, source)

        assert (first.status_code, second.status_code) == (201, 200)
        assert first.get_json()["id"] == second.get_json()["id"]

    def test_of_somebody_else_is_refused(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo
    ) -> None:
        source = a_source()
        link(a_citizen(), source)

        response = link(a_citizen(), source)

        assert response.status_code == 409
        assert response.get_json()["code"] == "account-already-linked"

    def test_at_another_source_is_another_account(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo
    ) -> None:
        link(a_citizen(), a_source())

        assert link(a_citizen(), a_source()).status_code == 201

    def test_by_many_at_once_is_won_by_one(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo
    ) -> None:
        source, citizens, turn = a_source(), [a_citizen() for _ in range(8)], count()

        answers = at_once(24, lambda: link(citizens[next(turn) % 8], source).status_code)

        assert answers.count(201) == 1
        assert answers.count(200) == 2
        assert answers.count(409) == 21

    @pytest.mark.parametrize("name", ["no-such-source", "Ünknown", "", "x" * 65])
    def test_of_no_source_is_refused(self, a_citizen: Citizen, post: Post, name: str) -> None:
        body = {"source": name, "account_ref": "1"}

        response = post("/v1/me/source-links", body, headers=a_citizen().headers)

        assert response.status_code == 422

    def test_of_a_partner_that_is_no_source_is_refused(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo
    ) -> None:
        response = link(a_citizen(), a_source(role="bank"))

        assert response.get_json()["code"] == "source-unknown"

    def test_of_a_suspended_source_is_refused(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, runtime: Runtime
    ) -> None:
        source = a_source()
        with runtime.database.raw_transaction() as connection:
            partner = partner_by_name(connection, source.name)
            set_state(connection, partner, active=False, reason="under inquiry")

        assert link(a_citizen(), source).get_json()["code"] == "source-unknown"

    def test_stores_the_account_as_a_digest_only(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, runtime: Runtime
    ) -> None:
        citizen, source = a_citizen(), a_source()
        link(citizen, source, "6217-0001-2345")

        with runtime.database.raw_transaction() as connection:
            query = "SELECT account_digest, t::text FROM source_link t WHERE citizen_id = %s"
            digest, row = connection.execute(query, [citizen.id]).fetchall()[0]
        assert digest == account_digest(runtime.keys, source.id, "6217-0001-2345")
        assert "6217" not in row

    def test_beyond_fifty_is_refused(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo
    ) -> None:
        citizen, source = a_citizen(), a_source()
        for number in range(MOST_LIVE_LINKS):
            link(citizen, source, f"card-{number}")

        response = link(citizen, source, "one more")

        assert response.get_json()["code"] == "too-many-source-links"


class TestASourceThatConfirms:
    def test_is_asked_first(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, client: FlaskClient
    ) -> None:
        source = a_source("source")

        claim = link(a_citizen(), source, "card-77").get_json()

        asked = client.get("/v1/source-links", headers=source.headers).get_json()["items"]
        assert claim["state"] == "awaiting_confirmation"
        assert claim["linked_at"] is None
        assert [(item["id"], item["account_ref"]) for item in asked] == [(claim["id"], "card-77")]

    def test_lets_the_link_count(
        self,
        a_citizen: Citizen,
        a_source: NewSource,
        link: LinkTo,
        client: FlaskClient,
        post: Post,
        runtime: Runtime,
    ) -> None:
        source, citizen = a_source("source"), a_citizen()
        claim = link(citizen, source, "card-77").get_json()

        path = f"/v1/source-links/{claim['id']}/confirmations"
        answers = [post(path, headers=source.headers).status_code for _ in range(2)]

        assert answers == [201, 201]
        mine = client.get("/v1/me/source-links", headers=citizen.headers).get_json()["items"]
        assert mine[0]["state"] == "active"
        assert client.get("/v1/source-links", headers=source.headers).get_json()["items"] == []
        with runtime.database.raw_transaction() as connection:
            query = "SELECT account_sealed FROM source_link WHERE citizen_id = %s"
            assert connection.execute(query, [citizen.id]).fetchone() == (None,)

    def test_decides_between_two_claims(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, post: Post
    ) -> None:
        source = a_source("source")
        first, second = (link(a_citizen(), source).get_json()["id"] for _ in range(2))

        answers = [
            post(f"/v1/source-links/{claim}/confirmations", headers=source.headers).status_code
            for claim in (second, first)
        ]

        assert answers == [201, 409]

    def test_cannot_confirm_anothers_claim(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, post: Post
    ) -> None:
        claim = link(a_citizen(), a_source("source")).get_json()["id"]

        response = post(
            f"/v1/source-links/{claim}/confirmations", headers=a_source("source").headers
        )

        assert (response.status_code, response.get_json()["code"]) == (404, "source-link-unknown")

    def test_cannot_confirm_a_withdrawn_claim(
        self,
        a_citizen: Citizen,
        a_source: NewSource,
        link: LinkTo,
        client: FlaskClient,
        post: Post,
    ) -> None:
        citizen, source = a_citizen(), a_source("source")
        claim = link(citizen, source).get_json()["id"]
        client.delete(f"/v1/me/source-links/{claim}", headers=citizen.headers)

        response = post(f"/v1/source-links/{claim}/confirmations", headers=source.headers)

        assert response.status_code == 404

    def test_reads_its_claims_in_pages(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, client: FlaskClient
    ) -> None:
        citizen, source = a_citizen(), a_source("source")
        claims = [link(citizen, source, f"card-{n}").get_json()["id"] for n in range(5)]

        path, seen = "/v1/source-links?limit=2", []
        while path:
            page = client.get(path, headers=source.headers).get_json()
            seen += [item["id"] for item in page["items"]]
            path = page["next"] and f"/v1/source-links?limit=2&cursor={page['next']}"

        assert seen == claims


class TestEndingALink:
    def test_frees_the_account(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, client: FlaskClient
    ) -> None:
        citizen, source = a_citizen(), a_source()
        link_id = link(citizen, source).get_json()["id"]
        path = f"/v1/me/source-links/{link_id}"

        answers = [client.delete(path, headers=citizen.headers).status_code for _ in range(2)]

        assert answers == [204, 204]
        mine = client.get("/v1/me/source-links", headers=citizen.headers).get_json()["items"]
        assert mine[0]["state"] == "ended"
        assert link(a_citizen(), source).status_code == 201

    def test_of_somebody_else_is_not_found(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, client: FlaskClient
    ) -> None:
        link_id = link(a_citizen(), a_source()).get_json()["id"]

        response = client.delete(f"/v1/me/source-links/{link_id}", headers=a_citizen().headers)

        assert response.status_code == 404

    @pytest.mark.parametrize(("query", "told"), [("", 1), ("?keep_pending=true", 0)])
    def test_withdraws_what_is_pending_unless_she_keeps_it(
        self,
        app: Flask,
        a_citizen: Citizen,
        a_source: NewSource,
        link: LinkTo,
        client: FlaskClient,
        query: str,
        told: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ended: list[EndedLink] = []

        def withdraw(_session: Session, link: EndedLink) -> None:
            ended.append(link)

        monkeypatch.setitem(app.extensions, CONSEQUENCES, Consequences(link_ended=(withdraw,)))
        citizen, source = a_citizen(), a_source()
        link_id = link(citizen, source).get_json()["id"]

        client.delete(f"/v1/me/source-links/{link_id}{query}", headers=citizen.headers)

        assert [(e.citizen_id, e.source_id) for e in ended] == [(citizen.id, source.id)] * told

    def test_is_undone_when_the_withdrawal_fails(
        self,
        app: Flask,
        a_citizen: Citizen,
        a_source: NewSource,
        link: LinkTo,
        client: FlaskClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(_session: Session, _link: EndedLink) -> None:
            raise RuntimeError

        monkeypatch.setitem(app.extensions, CONSEQUENCES, Consequences(link_ended=(fail,)))
        citizen, source = a_citizen(), a_source()
        link_id = link(citizen, source).get_json()["id"]

        response = client.delete(f"/v1/me/source-links/{link_id}", headers=citizen.headers)

        assert response.status_code == 500
        mine = client.get("/v1/me/source-links", headers=citizen.headers).get_json()["items"]
        assert mine[0]["state"] == "active"


class TestListingLinks:
    def test_shows_the_newest_first_in_pages(
        self, a_citizen: Citizen, a_source: NewSource, link: LinkTo, client: FlaskClient
    ) -> None:
        citizen, source = a_citizen(), a_source()
        made = []
        for number in range(3):
            with clock.shifted(timedelta(seconds=number)):
                made.append(link(citizen, source, f"card-{number}").get_json()["id"])

        first = client.get("/v1/me/source-links?limit=2", headers=citizen.headers).get_json()
        path = f"/v1/me/source-links?limit=2&cursor={first['next']}"
        second = client.get(path, headers=citizen.headers).get_json()

        shown = [item["id"] for item in first["items"] + second["items"]]
        assert shown == made[::-1]
        assert second["next"] is None
