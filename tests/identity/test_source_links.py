"""Whose account it was when something happened."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from service import clock
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import (
    LinkSpan,
    account_digest,
    holder_at,
    holders_of,
    masked_account,
)
from service.runtime import Runtime
from tests.identity.conftest import KnownSource, Post, SignedInCitizen

Citizen = Callable[..., SignedInCitizen]
NewSource = Callable[..., KnownSource]

DAY = timedelta(days=1)


@pytest.fixture
def spans(runtime: Runtime) -> Callable[..., tuple[LinkSpan, ...]]:
    """Look one account up."""

    def look_up(source: KnownSource, account: str = "card-1") -> tuple[LinkSpan, ...]:
        digest = account_digest(runtime.keys, source.id, account)
        with runtime.database.raw_transaction() as connection:
            return holders_of(connection, source.id, [digest]).get(digest, ())

    return look_up


Spans = Callable[..., tuple[LinkSpan, ...]]


def link(post: Post, citizen: SignedInCitizen, source: KnownSource) -> str:
    body = {"source": source.name, "account_ref": "card-1"}
    answer = post("/v1/me/source-links", body, headers=citizen.headers)
    return str(answer.get_json()["id"])


class TestHoldersOfAnAccount:
    def test_nobody(self, a_source: NewSource, spans: Spans) -> None:
        assert spans(a_source()) == ()

    def test_its_citizen_as_far_back_as_it_goes(
        self, a_citizen: Citizen, a_source: NewSource, post: Post, spans: Spans
    ) -> None:
        citizen, source = a_citizen(), a_source()
        link(post, citizen, source)

        held = spans(source)

        assert [span.citizen_id for span in held] == [citizen.id]
        before = holder_at(held, clock.now() - 400 * DAY)
        assert before is not None
        assert before.covers_from is None

    def test_one_after_the_other(
        self,
        a_citizen: Citizen,
        a_source: NewSource,
        post: Post,
        client: FlaskClient,
        spans: Spans,
    ) -> None:
        first, source = a_citizen(), a_source()
        first_link = link(post, first, source)
        began = clock.now()
        with clock.shifted(timedelta(minutes=5)):
            client.delete(f"/v1/me/source-links/{first_link}", headers=first.headers)
            ended = clock.now()
        with clock.shifted(3 * DAY):
            second = a_citizen()
            link(post, second, source)

        held = spans(source)

        assert [span.citizen_id for span in held] == [first.id, second.id]
        whose = [
            holder_at(held, moment) for moment in (began - DAY, began, ended + DAY, began + 4 * DAY)
        ]
        assert [span and span.citizen_id for span in whose] == [
            first.id,
            first.id,
            second.id,
            second.id,
        ]

    def test_a_gap_before_the_first_holders_end_is_not_the_seconds(
        self,
        a_citizen: Citizen,
        a_source: NewSource,
        post: Post,
        client: FlaskClient,
        spans: Spans,
    ) -> None:
        first, second, source = a_citizen(), a_citizen(), a_source()
        client.delete(f"/v1/me/source-links/{link(post, first, source)}", headers=first.headers)
        link(post, second, source)

        newest = spans(source)[-1]

        assert newest.citizen_id == second.id
        assert not newest.holds_at(clock.now() - DAY)

    def test_not_whoever_only_claims_it(
        self, a_citizen: Citizen, a_source: NewSource, post: Post, spans: Spans
    ) -> None:
        source = a_source("source")
        link(post, a_citizen(), source)

        assert spans(source) == ()

    def test_not_whoever_has_left_but_her_time_is_remembered(
        self,
        a_citizen: Citizen,
        a_source: NewSource,
        post: Post,
        client: FlaskClient,
        spans: Spans,
    ) -> None:
        first, second, source = a_citizen(), a_citizen(), a_source()
        link(post, first, source)
        client.delete("/v1/me", headers=first.headers)
        assert spans(source) == ()

        link(post, second, source)

        held = spans(source)
        assert [span.citizen_id for span in held] == [second.id]
        assert holder_at(held, clock.now() - DAY) is None
        assert holder_at(held, clock.now()) is not None

    def test_are_found_many_at_a_time(self, a_source: NewSource, runtime: Runtime) -> None:
        source = a_source()
        digests = [account_digest(runtime.keys, source.id, f"card-{n}") for n in range(300)]
        with runtime.database.raw_transaction() as connection:
            create_simulated_citizens(
                connection, source.id, digests[:200], since=clock.now(), account_key_version=1
            )

            found = holders_of(connection, source.id, digests)

        assert set(found) == set(digests[:200])


class TestAccountDigest:
    def test_differs_by_source_and_account(self, runtime: Runtime) -> None:
        here, there = uuid4(), uuid4()

        digests = {
            account_digest(runtime.keys, source, account)
            for source in (here, there)
            for account in ("card-1", "card-2")
        }

        assert len(digests) == 4
        assert {len(digest) for digest in digests} == {32}


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("6217000123456789", "****6789"),
        ("12345678", "****8"),
        ("7", "****7"),
        ("卡号一二三四五六七八", "****五六七八"),
    ],
)
def test_a_citizen_sees_the_end_of_her_account(account: str, shown: str) -> None:
    assert masked_account(account) == shown


class TestSimulatedCitizens:
    def test_are_marked_and_linked(self, a_source: NewSource, runtime: Runtime) -> None:
        source, since = a_source(), clock.now() - 30 * DAY
        digest = account_digest(runtime.keys, source.id, "old-card")
        with runtime.database.raw_transaction() as connection:
            made = create_simulated_citizens(
                connection, source.id, [digest, digest], since=since, account_key_version=1
            )

            span = holders_of(connection, source.id, [digest])[digest][0]

        assert made == 1
        assert span.simulated
        assert span.linked_at == since

    def test_are_made_once_for_each_account(self, a_source: NewSource, runtime: Runtime) -> None:
        source = a_source()
        digests = [account_digest(runtime.keys, source.id, f"card-{n}") for n in range(10)]

        def make() -> int:
            with runtime.database.raw_transaction() as connection:
                return create_simulated_citizens(
                    connection, source.id, digests, since=clock.now(), account_key_version=1
                )

        assert [make(), make()] == [10, 0]

    def test_leave_a_citizens_own_account_alone(
        self, a_citizen: Citizen, a_source: NewSource, post: Post, spans: Spans, runtime: Runtime
    ) -> None:
        citizen, source = a_citizen(), a_source()
        link(post, citizen, source)
        digest = account_digest(runtime.keys, source.id, "card-1")

        with runtime.database.raw_transaction() as connection:
            made = create_simulated_citizens(
                connection, source.id, [digest], since=clock.now(), account_key_version=1
            )

        assert made == 0
        assert [span.citizen_id for span in spans(source)] == [citizen.id]
