"""Leaving: nothing personal stays, whatever happens in between, and the number is free again."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg import sql
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from service import clock
from service.identity.consequences import CONSEQUENCES, Consequences
from service.identity.erasure import begin_erasure, finish_erasures, personal_tables
from service.identity.export import tables_of_citizens
from service.runtime import Runtime
from tests.identity.conftest import KnownSource, Post, SignedInCitizen, bearer

Citizen = Callable[..., SignedInCitizen]
NewSource = Callable[..., KnownSource]
SOON = timedelta(minutes=2)

STAYS = {"citizen", "erasure", "erasure_completion", "citizen_action", "account"}
"""Of a citizen without activities: that there was one, and that she left."""


def rows_naming(runtime: Runtime, citizen_id: UUID) -> set[str]:
    """Return the tables in which anything of a citizen is left."""
    found = set()
    with runtime.database.raw_transaction() as connection:
        for table in tables_of_citizens(connection):
            query = sql.SQL("SELECT 1 FROM {} WHERE citizen_id = %s").format(sql.Identifier(table))
            if connection.execute(query, [citizen_id]).fetchone():
                found.add(table)
    return found


@pytest.fixture
def a_linked_citizen(
    a_citizen: Citizen, a_source: NewSource, post: Post
) -> Callable[[], SignedInCitizen]:
    def make() -> SignedInCitizen:
        citizen = a_citizen()
        for proof in ("none", "source"):
            body = {"source": a_source(proof).name, "account_ref": "card-1"}
            post("/v1/me/source-links", body, headers=citizen.headers)
        return citizen

    return make


class TestLeaving:
    def test_deletes_everything_personal(
        self,
        a_linked_citizen: Callable[[], SignedInCitizen],
        client: FlaskClient,
        runtime: Runtime,
    ) -> None:
        citizen = a_linked_citizen()
        before = rows_naming(runtime, citizen.id)

        response = client.delete("/v1/me", headers=citizen.headers)

        assert response.status_code == 204
        assert {"citizen_identity", "citizen_secret", "source_link", "refresh_token"} <= before
        assert rows_naming(runtime, citizen.id) <= STAYS

    def test_takes_every_table_that_the_eraser_may_delete_from(self, runtime: Runtime) -> None:
        with runtime.eraser.raw_transaction() as connection:
            tables = {table.name for table in personal_tables(connection)}

        assert {
            "citizen_identity",
            "citizen_secret",
            "citizen_device",
            "refresh_family",
            "refresh_token",
            "source_link",
            "activity_detail",
        } <= tables
        assert not tables & {"citizen", "erasure", "transfer", "lot", "activity"}

    def test_ends_every_session(self, a_citizen: Citizen, client: FlaskClient, post: Post) -> None:
        citizen = a_citizen()
        client.get("/v1/me", headers=citizen.headers)

        client.delete("/v1/me", headers=citizen.headers)

        assert client.get("/v1/me", headers=citizen.headers).status_code == 401
        assert client.delete("/v1/me", headers=citizen.headers).status_code == 401
        body = {"grant_type": "refresh_token", "refresh_token": citizen.refresh_token}
        assert post("/v1/auth/tokens", body).status_code == 401

    def test_frees_the_number_for_a_new_account(
        self,
        a_citizen: Citizen,
        client: FlaskClient,
        sign_in: Callable[..., TestResponse],
    ) -> None:
        citizen = a_citizen()
        client.delete("/v1/me", headers=citizen.headers)

        with clock.shifted(SOON):
            again = sign_in(citizen.phone)

        assert again.status_code == 200
        assert again.get_json()["citizen_id"] != citizen.public_id

    def test_forgets_the_number_in_codes_never_used(
        self,
        a_citizen: Citizen,
        proof: Callable[[str], dict[str, str]],
        client: FlaskClient,
        runtime: Runtime,
    ) -> None:
        citizen = a_citizen()
        with clock.shifted(SOON):
            unused = proof(citizen.phone)["request_id"]

        client.delete("/v1/me", headers=citizen.headers)

        with runtime.database.raw_transaction() as connection:
            query = "SELECT phone_sealed FROM one_time_code WHERE id = %s"
            row = connection.execute(query, [unused.removeprefix("otp_")]).fetchone()
        assert row == (None,)

    def test_lets_the_others_follow_in_the_same_transaction(
        self, app: Flask, a_citizen: Citizen, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left: list[UUID] = []

        def follow(_session: Session, citizen_id: UUID) -> None:
            left.append(citizen_id)

        monkeypatch.setitem(app.extensions, CONSEQUENCES, Consequences(citizen_left=(follow,)))
        citizen = a_citizen()

        client.delete("/v1/me", headers=citizen.headers)

        assert left == [citizen.id]

    def test_is_written_down_once(
        self, a_citizen: Citizen, client: FlaskClient, runtime: Runtime
    ) -> None:
        citizen = a_citizen()
        client.delete("/v1/me", headers=citizen.headers)
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen.id, "command_line", Consequences())

        with runtime.database.raw_transaction() as connection:
            query = "SELECT requested_by FROM erasure WHERE citizen_id = %s"
            assert connection.execute(query, [citizen.id]).fetchall() == [("citizen",)]


class TestACrashInBetween:
    def test_she_has_left_even_when_the_eraser_is_busy(
        self, a_citizen: Citizen, client: FlaskClient, runtime: Runtime
    ) -> None:
        citizen = a_citizen()

        with runtime.eraser.raw_transaction():  # its only connection
            response = client.delete("/v1/me", headers=citizen.headers)

        assert response.status_code == 202
        assert client.get("/v1/me", headers=citizen.headers).status_code == 401
        assert finish_erasures(runtime) == 1
        assert rows_naming(runtime, citizen.id) <= STAYS

    def test_is_mended_by_finishing(
        self, a_linked_citizen: Callable[[], SignedInCitizen], runtime: Runtime
    ) -> None:
        citizen = a_linked_citizen()
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen.id, "citizen", Consequences())
        assert "citizen_identity" in rows_naming(runtime, citizen.id)

        finished = [finish_erasures(runtime) for _ in range(2)]

        assert finished == [1, 0]
        assert rows_naming(runtime, citizen.id) <= STAYS

    def test_leaves_the_number_free_meanwhile(
        self,
        a_citizen: Citizen,
        sign_in: Callable[..., TestResponse],
        client: FlaskClient,
        runtime: Runtime,
    ) -> None:
        citizen = a_citizen()
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen.id, "citizen", Consequences())

        with clock.shifted(SOON):
            again = sign_in(citizen.phone).get_json()
            me = client.get("/v1/me", headers=bearer(again["access_token"]))
        finish_erasures(runtime)

        assert me.status_code == 200
        assert again["citizen_id"] != citizen.public_id

    def test_nobody_can_act_as_her_meanwhile(
        self,
        a_citizen: Citizen,
        client: FlaskClient,
        runtime: Runtime,
    ) -> None:
        citizen = a_citizen()
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen.id, "citizen", Consequences())

        response = client.delete("/v1/me", headers=citizen.headers)
        finish_erasures(runtime)

        assert response.get_json()["code"] == "session-ended"


class TestTheRoles:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM citizen_identity",
            "DELETE FROM citizen_secret",
            "DELETE FROM source_link",
            "DELETE FROM citizen",
            "DELETE FROM erasure",
            "UPDATE erasure SET requested_by = 'staff'",
            "UPDATE citizen_action SET reason = 'none'",
            "UPDATE citizen_secret SET secret = secret",
            "UPDATE source_link SET citizen_id = gen_random_uuid()",
            "UPDATE partner_change SET reason = 'none'",
            "TRUNCATE citizen_action",
        ],
    )
    def test_the_application_rewrites_and_deletes_nothing(
        self, runtime: Runtime, statement: str
    ) -> None:
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            runtime.database.raw_transaction() as connection,
        ):
            connection.execute(statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM erasure_completion",
            "UPDATE erasure SET requested_by = 'staff'",
            "TRUNCATE erasure CASCADE",
        ],
    )
    def test_not_even_a_superuser_rewrites_the_log(
        self, runtime: Runtime, a_citizen: Citizen, client: FlaskClient, statement: str
    ) -> None:
        client.delete("/v1/me", headers=a_citizen().headers)

        with psycopg.connect(runtime.settings.migration_database_url) as connection:
            connection.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement)

    def test_the_eraser_writes_no_identity(self, runtime: Runtime) -> None:
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            runtime.eraser.raw_transaction() as connection,
        ):
            connection.execute("UPDATE citizen_identity SET phone_index = NULL")

    @pytest.mark.parametrize("table", ["citizen_identity", "citizen_secret", "source_link"])
    def test_auditors_see_nobodys_identity(self, runtime: Runtime, table: str) -> None:
        with psycopg.connect(runtime.settings.migration_database_url) as connection:
            connection.execute("SET ROLE carbon_auditor")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(table)))

    def test_a_detail_that_a_late_feed_wrote_goes_as_well(
        self, a_linked_citizen: Callable[[], SignedInCitizen], runtime: Runtime
    ) -> None:
        citizen = a_linked_citizen()
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen.id, "citizen", Consequences())
        finish_erasures(runtime)
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO activity_detail (citizen_id, started_at, activity_id, ended_at,"
                " behavior, counted, is_trip, activity_data)"
                " VALUES (%s, now(), %s, now(), 'metro_ride', true, true, '{}')",
                [citizen.id, citizen.id],
            )

        finish_erasures(runtime)

        assert rows_naming(runtime, citizen.id) <= STAYS
