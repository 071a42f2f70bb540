"""Where an issue comes from, and that it comes out the same again."""

import hashlib
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from service.access_tokens import Kind
from service.activities.provenance.command import recompute_command
from service.identity.consequences import Consequences
from service.identity.erasure import begin_erasure, complete_erasure
from service.ids import public_id
from service.runtime import Runtime
from service.web.context import access_tokens
from tests.ledger.damage import damaged
from tests.ledger.town import Town, ride


@pytest.fixture
def rider(runtime: Runtime) -> tuple[UUID, str]:
    """A citizen and the id of the transfer that her ride of 8.2 km was issued with."""
    town = Town.founded(runtime, "card")
    [outcome] = town.report([ride("card")])
    assert outcome.activity_id is not None
    return town.citizens["card"], f"trf_{outcome.activity_id}"


def headers(app: Flask, caller_id: UUID, kind: Kind = "citizen", *roles: str) -> dict[str, str]:
    with app.app_context():
        token = access_tokens().issue(kind, caller_id, roles=roles)
    return {"Authorization": f"Bearer {token}"}


def provenance(app: Flask, rider: tuple[UUID, str]) -> dict[str, Any]:
    citizen, transfer = rider
    response = app.test_client().get(
        f"/v1/transfers/{transfer}/provenance", headers=headers(app, citizen)
    )
    assert response.status_code == 200
    document: dict[str, Any] = response.get_json()
    return document


def recompute(runtime: Runtime, *arguments: str) -> Result:
    return CliRunner().invoke(recompute_command, arguments, obj=runtime)


class TestTheProvenanceOfAnIssue:
    def test_is_enough_to_compute_the_grams_by_hand(
        self, app: Flask, rider: tuple[UUID, str]
    ) -> None:
        document = provenance(app, rider)

        [factor] = document["factors"]
        assert document["methodology"]["formula"] == (
            "reduction_g = floor(distance_m / 1000 × metro_reduction)"
        )
        assert (factor["key"], factor["value"]) == ("metro_reduction", "46.8")
        assert factor["unit"] == "g_co2e/passenger_km"
        assert document["activity"]["activity_data"]["distance_m"] == 8200
        assert document["transfer"]["reduction_g"] == 8200 * 468 // 10_000

    def test_names_rules_region_and_rounding(self, app: Flask, rider: tuple[UUID, str]) -> None:
        document = provenance(app, rider)

        assert document["region"] == "440300"
        assert document["rounding"] == "floor once"
        assert (document["rules"]["version"], document["rules"]["points_per_g"]) == (1, "1")

    def test_gives_the_sources_of_the_factor(self, app: Flask, rider: tuple[UUID, str]) -> None:
        [factor] = provenance(app, rider)["factors"]

        assert factor["sources"]
        assert factor["grade"] == "B/C"
        assert factor["in_force_from"] == "2021-12-17"

    def test_leads_to_the_whole_methodology(self, app: Flask, rider: tuple[UUID, str]) -> None:
        href = provenance(app, rider)["methodology"]["href"]

        assert app.test_client().get(href).get_json()["code"] == "metro_ride"

    def test_carries_the_text_whose_digest_was_stored(
        self, app: Flask, rider: tuple[UUID, str]
    ) -> None:
        evidence = provenance(app, rider)["evidence"]

        assert hashlib.sha256(evidence["text"].encode()).hexdigest() == evidence["digest"]
        assert evidence["matches"] is True

    def test_says_that_it_comes_out_equal(self, app: Flask, rider: tuple[UUID, str]) -> None:
        document = provenance(app, rider)

        assert document["status"] == "equal"
        assert document["recomputed"] == document["stored"] == {"reduction_g": 383, "points": 383}

    def test_is_not_for_other_citizens(
        self, app: Flask, client: FlaskClient, rider: tuple[UUID, str]
    ) -> None:
        citizen, transfer = rider
        path = f"/v1/transfers/{transfer}/provenance"

        for query in ("", f"?citizen_id={public_id('ctz', citizen)}"):
            response = client.get(path + query, headers=headers(app, uuid4()))

            assert response.get_json()["code"] == "id-unknown"

    def test_is_for_auditors_who_say_whose(
        self, app: Flask, client: FlaskClient, rider: tuple[UUID, str]
    ) -> None:
        citizen, transfer = rider
        auditor = headers(app, uuid4(), "staff", "auditor")
        path = f"/v1/transfers/{transfer}/provenance"

        answered = client.get(f"{path}?citizen_id={public_id('ctz', citizen)}", headers=auditor)
        refused = client.get(path, headers=auditor)

        assert answered.get_json()["status"] == "equal"
        assert refused.get_json()["code"] == "validation-failed"

    def test_does_not_exist_for_an_expiry(
        self, app: Flask, client: FlaskClient, runtime: Runtime
    ) -> None:
        citizen, transfer = uuid4(), uuid4()
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g,"
                " recorded_at, commitment)"
                " VALUES (%s, %s, 'expire', '2020-12-31', 1, 1, now(), sha256(''))",
                [citizen, transfer],
            )

        response = client.get(
            f"/v1/transfers/{public_id('trf', transfer)}/provenance",
            headers=headers(app, citizen),
        )

        assert (response.status_code, response.get_json()["code"]) == (409, "transfer-not-computed")


class TestRecomputing:
    def test_an_issue_says_equal(self, runtime: Runtime, rider: tuple[UUID, str]) -> None:
        _, transfer = rider

        result = recompute(runtime, transfer)

        assert result.exit_code == 0
        assert "equal; stored are 383 g and 383 points, recomputed are 383 g" in result.output

    def test_takes_every_kind_of_id(self, runtime: Runtime, rider: tuple[UUID, str]) -> None:
        digits = rider[1].removeprefix("trf_")

        for name in (f"act_{digits}", digits, str(UUID(digits))):
            assert recompute(runtime, name).exit_code == 0

    def test_prints_json(self, runtime: Runtime, rider: tuple[UUID, str]) -> None:
        result = recompute(runtime, rider[1], "--json")

        assert json.loads(result.output)["recomputed_g"] == 383

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE transfer SET reduction_g = 384 WHERE id = %(id)s",
            "UPDATE transfer SET points = 384 WHERE id = %(id)s",
            (
                "UPDATE activity_detail SET activity_data = '{\"distance_m\": 8199}'"
                " WHERE activity_id = %(id)s"
            ),
            (
                "UPDATE activity_detail SET started_at = started_at + interval '1 second'"
                " WHERE activity_id = %(id)s"
            ),
            "DELETE FROM activity_detail WHERE activity_id = %(id)s",
        ],
    )
    def test_damaged_books_say_different(self, fresh_runtime: Runtime, damage: str) -> None:
        [outcome] = Town.founded(fresh_runtime, "card").report([ride("card")])
        damaged(fresh_runtime, damage, id=outcome.activity_id)

        result = recompute(fresh_runtime, f"trf_{outcome.activity_id}")

        assert result.exit_code == 1
        assert "different" in result.output

    def test_what_an_erased_person_did_says_erased(
        self, app: Flask, runtime: Runtime, rider: tuple[UUID, str]
    ) -> None:
        citizen, transfer = rider
        with runtime.database.transaction() as session:
            begin_erasure(session, citizen, "citizen", Consequences())
        with runtime.eraser.raw_transaction() as connection:
            complete_erasure(connection, citizen)

        result = recompute(runtime, transfer)

        assert result.exit_code == 2
        assert "erased" in result.output
        assert provenance(app, rider)["activity"]["activity_data"] is None

    @pytest.mark.parametrize("name", ["trf_" + "0" * 32, "nonsense", "act_1"])
    def test_an_unknown_id_has_a_status_of_its_own(self, runtime: Runtime, name: str) -> None:
        result = recompute(runtime, name)

        assert result.exit_code == 2
        assert "nothing by this id" in result.stderr

    def test_grams_granted_on_appeal_rest_on_their_own_basis(self, runtime: Runtime) -> None:
        town = Town.founded(runtime, "card")
        counted, refused = town.report([ride("card"), ride("card")])
        citizen = town.citizens["card"]
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO verdict (citizen_id, activity_id, seq, verdict, reduction_g, points,"
                " basis_id, rules_version) SELECT citizen_id, %s, 1, 'certified', 383, 383,"
                " basis_id, 1 FROM activity WHERE citizen_id = %s AND id = %s",
                [refused.activity_id, citizen, counted.activity_id],
            )
            connection.execute(
                "INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g,"
                " recorded_at, commitment)"
                " VALUES (%s, %s, 'issue', '2030-12-31', 383, 383, now(), sha256(''))",
                [citizen, refused.activity_id],
            )

        assert refused.verdict == "refused"
        assert recompute(runtime, f"trf_{refused.activity_id}").exit_code == 0
