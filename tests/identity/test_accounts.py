"""A citizen's account: what she sees, how it is kept, how it is frozen."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidTag
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import clock
from service.identity.citizens import phone_of
from service.runtime import Runtime
from tests.identity.conftest import KnownSource, Post, SignedInCitizen, at_once, new_phone

Citizen = Callable[..., SignedInCitizen]
SOON = timedelta(minutes=2)
REASON = {"reason": "Rides from two cities at once; see ticket 4711."}


class TestTheFirstSignIn:
    def test_makes_an_account(self, a_citizen: Citizen, client: FlaskClient) -> None:
        citizen = a_citizen()

        me = client.get("/v1/me", headers=citizen.headers).get_json()

        assert me["citizen_id"] == citizen.public_id
        assert me["state"] == "active"
        assert me["phone_masked"].endswith("****" + citizen.phone[-4:])

    def test_with_two_codes_at_once_makes_one(
        self, post: Post, proof: Callable[[str], dict[str, str]]
    ) -> None:
        phone = new_phone()
        codes = [proof(phone)]
        with clock.shifted(timedelta(minutes=1, seconds=1)):
            codes.append(proof(phone))
        waiting = iter(codes)

        def act() -> str:
            body = {"grant_type": "otp", **next(waiting)}
            return str(post("/v1/auth/tokens", body).get_json()["citizen_id"])

        assert len(set(at_once(2, act))) == 1


class TestANumberAtRest:
    def test_is_not_in_clear_anywhere(self, a_citizen: Citizen, runtime: Runtime) -> None:
        citizen = a_citizen()

        with runtime.database.raw_transaction() as connection:
            query = "SELECT t::text FROM citizen_identity t WHERE citizen_id = %s"
            row = str(connection.execute(query, [citizen.id]).fetchone())
        assert citizen.phone[1:] not in row
        assert citizen.phone.encode().hex() not in row

    def test_opens_in_no_other_persons_row(self, a_citizen: Citizen, runtime: Runtime) -> None:
        mine, hers = a_citizen(), a_citizen()
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE citizen_identity mine SET phone_sealed = hers.phone_sealed"
                " FROM citizen_identity hers WHERE mine.citizen_id = %s AND hers.citizen_id = %s",
                [mine.id, hers.id],
            )

        with runtime.database.transaction() as session, pytest.raises(InvalidTag):
            phone_of(session, runtime.keys, mine.id)

    def test_opens_for_its_owner(self, a_citizen: Citizen, runtime: Runtime) -> None:
        citizen = a_citizen()

        with runtime.database.transaction() as session:
            phone = phone_of(session, runtime.keys, citizen.id)

        assert phone is not None
        assert phone.e164 == citizen.phone


class TestFreezing:
    def test_ends_her_sessions(
        self,
        a_citizen: Citizen,
        operator: dict[str, str],
        client: FlaskClient,
        post: Post,
        sign_in: Callable[..., TestResponse],
    ) -> None:
        citizen = a_citizen()
        client.get("/v1/me", headers=citizen.headers)

        frozen = post(f"/v1/citizens/{citizen.public_id}/freezes", REASON, headers=operator)

        assert frozen.status_code == 201
        assert client.get("/v1/me", headers=citizen.headers).status_code == 401
        body = {"grant_type": "refresh_token", "refresh_token": citizen.refresh_token}
        assert post("/v1/auth/tokens", body).get_json()["code"] == "account-frozen"
        with clock.shifted(SOON):
            refused = sign_in(citizen.phone).get_json()
        assert refused["code"] == "account-frozen"
        assert REASON["reason"].rstrip(".") in refused["detail"]

    @pytest.mark.parametrize("reason", ["ticket 4711", "ticket 4711.", "ticket 4711。"])
    def test_is_told_in_whole_sentences(
        self,
        a_citizen: Citizen,
        operator: dict[str, str],
        post: Post,
        sign_in: Callable[..., TestResponse],
        reason: str,
    ) -> None:
        citizen = a_citizen()
        post(f"/v1/citizens/{citizen.public_id}/freezes", {"reason": reason}, headers=operator)

        with clock.shifted(SOON):
            refused = sign_in(citizen.phone).get_json()

        told = "Your account is frozen: ticket 4711. Please contact the service."
        assert refused["detail"] == told

    def test_is_not_escaped_by_disowning_the_account(
        self,
        a_citizen: Citizen,
        operator: dict[str, str],
        post: Post,
        sign_in: Callable[..., TestResponse],
    ) -> None:
        citizen = a_citizen()
        post(f"/v1/citizens/{citizen.public_id}/freezes", REASON, headers=operator)

        with clock.shifted(SOON):
            response = sign_in(citizen.phone, not_my_account=True)

        assert (response.status_code, response.get_json()["code"]) == (403, "account-frozen")

    def test_is_released_with_a_reason(
        self,
        a_citizen: Citizen,
        operator: dict[str, str],
        post: Post,
        sign_in: Callable[..., TestResponse],
        runtime: Runtime,
    ) -> None:
        citizen = a_citizen()
        post(f"/v1/citizens/{citizen.public_id}/freezes", REASON, headers=operator)

        released = post(f"/v1/citizens/{citizen.public_id}/releases", REASON, headers=operator)

        assert released.status_code == 201
        with clock.shifted(SOON):
            assert sign_in(citizen.phone).status_code == 200
        with runtime.database.raw_transaction() as connection:
            query = "SELECT kind, actor_kind FROM citizen_action WHERE citizen_id = %s ORDER BY 1"
            done = connection.execute(query, [citizen.id]).fetchall()
        assert done == [("frozen", "staff"), ("released", "staff")]

    def test_marks_her_links_for_the_intake(
        self,
        a_citizen: Citizen,
        a_source: Callable[..., KnownSource],
        operator: dict[str, str],
        post: Post,
        runtime: Runtime,
    ) -> None:
        citizen, source = a_citizen(), a_source()
        link = {"source": source.name, "account_ref": "card-1"}
        post("/v1/me/source-links", link, headers=citizen.headers)

        post(f"/v1/citizens/{citizen.public_id}/freezes", REASON, headers=operator)

        with runtime.database.raw_transaction() as connection:
            query = "SELECT holder_state FROM source_link WHERE citizen_id = %s"
            assert connection.execute(query, [citizen.id]).fetchall() == [("frozen",)]

    def test_twice_is_refused(
        self, a_citizen: Citizen, operator: dict[str, str], post: Post
    ) -> None:
        path = f"/v1/citizens/{a_citizen().public_id}/freezes"
        post(path, REASON, headers=operator)

        response = post(path, REASON, headers=operator)

        assert response.get_json()["code"] == "citizen-state-conflict"
        assert response.get_json()["current_state"] == "frozen"

    def test_needs_an_operator(
        self,
        a_citizen: Citizen,
        post: Post,
        new_staff: Callable[..., tuple[str, object]],
    ) -> None:
        citizen = a_citizen()
        path = f"/v1/citizens/{citizen.public_id}/freezes"
        name, auditor = new_staff("auditor")
        login = {"name": name, "password": auditor.password}  # type: ignore[attr-defined]
        token = post("/v1/auth/staff-tokens", login).get_json()["access_token"]

        assert post(path, REASON, headers=citizen.headers).status_code == 403
        assert post(path, REASON, headers={"Authorization": f"Bearer {token}"}).status_code == 403
        assert post(path, REASON).status_code == 401

    @pytest.mark.parametrize("citizen_id", ["ctz_" + "0" * 32, "x", "stf_" + "0" * 32])
    def test_of_nobody_is_not_found(
        self, operator: dict[str, str], post: Post, citizen_id: str
    ) -> None:
        response = post(f"/v1/citizens/{citizen_id}/freezes", REASON, headers=operator)

        assert response.status_code == 404

    def test_needs_a_reason(self, a_citizen: Citizen, operator: dict[str, str], post: Post) -> None:
        path = f"/v1/citizens/{a_citizen().public_id}/freezes"

        assert post(path, {"reason": ""}, headers=operator).status_code == 422
