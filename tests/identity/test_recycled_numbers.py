"""A number is a way in, not the person: recycled numbers, new devices, restored accounts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import clock
from service.identity import citizens
from service.identity import sign_in as signing_in
from service.identity.actors import COMMAND_LINE
from service.identity.phones import read_phone
from service.runtime import Runtime
from tests.identity.conftest import Post, SignedInCitizen, bearer, new_phone

Citizen = Callable[..., SignedInCitizen]
Proof = Callable[[str], dict[str, str]]
SignIn = Callable[..., TestResponse]

LATER = timedelta(days=90)
SOON = timedelta(minutes=2)


@pytest.fixture
def restore(runtime: Runtime) -> Callable[..., None]:
    def give_back(citizen: SignedInCitizen, phone: str | None = None) -> None:
        number = read_phone(phone) if phone else None
        with runtime.database.transaction() as session:
            signing_in.restore(
                session, runtime.keys, citizen.id, number, COMMAND_LINE, "seen in person"
            )

    return give_back


class TestAnIdleNumber:
    def test_opens_nothing_of_the_old_account(self, a_citizen: Citizen, sign_in: SignIn) -> None:
        old = a_citizen()

        with clock.shifted(LATER):
            response = sign_in(old.phone)

        assert (response.status_code, response.get_json()["code"]) == (409, "number-idle")
        assert old.public_id not in response.get_data(as_text=True)

    def test_opens_until_the_ninetieth_day(self, a_citizen: Citizen, sign_in: SignIn) -> None:
        old = a_citizen()

        with clock.shifted(LATER - timedelta(minutes=1)):
            assert sign_in(old.phone).get_json()["citizen_id"] == old.public_id

    def test_a_refresh_counts_as_use(self, a_citizen: Citizen, sign_in: SignIn, post: Post) -> None:
        old = a_citizen()
        body = {"grant_type": "refresh_token", "refresh_token": old.refresh_token}
        with clock.shifted(timedelta(days=20)):
            post("/v1/auth/tokens", body)

        with clock.shifted(timedelta(days=100)):
            assert sign_in(old.phone).status_code == 200

    def test_starts_afresh_with_the_same_code(
        self, a_citizen: Citizen, proof: Proof, post: Post
    ) -> None:
        old = a_citizen()

        with clock.shifted(LATER):
            body = {"grant_type": "otp", **proof(old.phone)}
            refused = post("/v1/auth/tokens", body)
            response = post("/v1/auth/tokens", {**body, "not_my_account": True})

        assert refused.status_code == 409
        assert response.status_code == 200
        assert response.get_json()["citizen_id"] != old.public_id

    def test_started_afresh_leaves_the_old_account_to_staff(
        self, a_citizen: Citizen, sign_in: SignIn, restore: Callable[..., None]
    ) -> None:
        old, number_now = a_citizen(), new_phone()
        with clock.shifted(LATER):
            new = sign_in(old.phone, not_my_account=True).get_json()["citizen_id"]
            restore(old, number_now)

            assert sign_in(number_now).get_json()["citizen_id"] == old.public_id
        with clock.shifted(LATER + SOON):
            assert sign_in(old.phone).get_json()["citizen_id"] == new

    def test_started_afresh_ends_the_old_sign_ins(
        self, a_citizen: Citizen, sign_in: SignIn, post: Post
    ) -> None:
        old = a_citizen()
        with clock.shifted(SOON):
            sign_in(old.phone, not_my_account=True)

        body = {"grant_type": "refresh_token", "refresh_token": old.refresh_token}
        assert post("/v1/auth/tokens", body).status_code == 401

    def test_staff_find_both_accounts_by_the_number(
        self, a_citizen: Citizen, sign_in: SignIn, runtime: Runtime
    ) -> None:
        old = a_citizen()
        with clock.shifted(LATER):
            sign_in(old.phone, not_my_account=True)

        index = read_phone(old.phone).index(runtime.keys)
        with runtime.database.transaction() as session:
            found = citizens.accounts_of_number(session, index)
        assert len(found) == 2
        assert [account.citizen_id == old.id for account in found].count(True) == 1


class TestANewDevice:
    def test_opens_nothing(self, a_citizen: Citizen, sign_in: SignIn) -> None:
        citizen = a_citizen(device_id="phone-1")

        with clock.shifted(SOON):
            response = sign_in(citizen.phone, device_id="phone-2")

        assert (response.status_code, response.get_json()["code"]) == (409, "device-unknown")

    def test_unnamed_is_a_device_like_another(self, a_citizen: Citizen, sign_in: SignIn) -> None:
        citizen = a_citizen(device_id="phone-1")

        with clock.shifted(SOON):
            assert sign_in(citizen.phone).get_json()["code"] == "device-unknown"

    def test_known_opens_the_account(self, a_citizen: Citizen, sign_in: SignIn) -> None:
        citizen = a_citizen(device_id="phone-1")

        with clock.shifted(SOON):
            response = sign_in(citizen.phone, device_id="phone-1")

        assert response.get_json()["citizen_id"] == citizen.public_id

    def test_named_from_a_known_one_is_admitted_and_holds_spending(
        self, a_citizen: Citizen, sign_in: SignIn, post: Post
    ) -> None:
        citizen = a_citizen(device_id="phone-1")

        added = post("/v1/me/devices", {"device_id": "phone-2"}, headers=citizen.headers)

        assert added.status_code == 201
        assert added.get_json()["spending_held_until"] is not None
        with clock.shifted(SOON):
            assert sign_in(citizen.phone, device_id="phone-2").status_code == 200

    def test_is_named_only_after_a_fresh_sign_in(self, a_citizen: Citizen, post: Post) -> None:
        citizen = a_citizen()

        with clock.shifted(timedelta(minutes=6)):
            added = post("/v1/me/devices", {"device_id": "x"}, headers=citizen.headers)

        assert added.get_json()["code"] == "recent-sign-in-needed"

    def test_after_a_restoration_the_next_one_is_hers(
        self, a_citizen: Citizen, sign_in: SignIn, restore: Callable[..., None]
    ) -> None:
        citizen = a_citizen(device_id="lost")
        restore(citizen)

        with clock.shifted(SOON):
            first = sign_in(citizen.phone, device_id="found")
        with clock.shifted(2 * SOON):
            second = sign_in(citizen.phone, device_id="somebody's")

        assert first.get_json()["citizen_id"] == citizen.public_id
        assert second.get_json()["code"] == "device-unknown"


class TestSpendingHold:
    def test_lasts_72_hours_after_a_restoration(
        self, a_citizen: Citizen, restore: Callable[..., None], runtime: Runtime
    ) -> None:
        citizen = a_citizen()
        restore(citizen)

        def held() -> bool:
            with runtime.database.transaction() as session:
                return citizens.spending_held_until(session, citizen.id) is not None

        with clock.shifted(timedelta(hours=71)):
            assert held()
        with clock.shifted(timedelta(hours=73)):
            assert not held()

    def test_there_is_none_at_the_first_sign_in(
        self, a_citizen: Citizen, client: FlaskClient
    ) -> None:
        me = client.get("/v1/me", headers=a_citizen().headers).get_json()

        assert me["spending_held_until"] is None


class TestChangingTheNumber:
    def test_moves_the_account_to_the_new_number(
        self, a_citizen: Citizen, proof: Proof, post: Post, sign_in: SignIn
    ) -> None:
        citizen, number = a_citizen(), new_phone()

        response = post("/v1/me/phone-changes", proof(number), headers=citizen.headers)

        assert response.status_code == 201
        assert response.get_json()["spending_held_until"] is not None
        with clock.shifted(SOON):
            assert sign_in(number).get_json()["citizen_id"] == citizen.public_id
            assert sign_in(citizen.phone).get_json()["citizen_id"] != citizen.public_id

    def test_needs_a_fresh_sign_in(self, a_citizen: Citizen, proof: Proof, post: Post) -> None:
        citizen = a_citizen()

        with clock.shifted(timedelta(minutes=6)):
            response = post("/v1/me/phone-changes", proof(new_phone()), headers=citizen.headers)

        assert (response.status_code, response.get_json()["code"]) == (403, "recent-sign-in-needed")

    def test_refreshing_is_no_fresh_sign_in(
        self, a_citizen: Citizen, proof: Proof, post: Post
    ) -> None:
        citizen = a_citizen()

        with clock.shifted(timedelta(minutes=6)):
            body = {"grant_type": "refresh_token", "refresh_token": citizen.refresh_token}
            headers = bearer(post("/v1/auth/tokens", body).get_json()["access_token"])
            response = post("/v1/me/phone-changes", proof(new_phone()), headers=headers)

        assert response.status_code == 403

    def test_to_somebody_elses_is_refused(
        self, a_citizen: Citizen, proof: Proof, post: Post
    ) -> None:
        citizen, other = a_citizen(), a_citizen()

        with clock.shifted(SOON):
            response = post("/v1/me/phone-changes", proof(other.phone), headers=citizen.headers)

        assert (response.status_code, response.get_json()["code"]) == (409, "phone-in-use")

    def test_with_a_wrong_code_is_refused_and_counted(
        self, a_citizen: Citizen, proof: Proof, post: Post, runtime: Runtime
    ) -> None:
        citizen, asked = a_citizen(), proof(new_phone())
        wrong = {**asked, "code": f"{(int(asked['code']) + 1) % 10**6:06}"}

        response = post("/v1/me/phone-changes", wrong, headers=citizen.headers)

        assert response.status_code == 401
        with runtime.database.raw_transaction() as connection:
            query = "SELECT tries FROM one_time_code WHERE id = %s"
            request_id = asked["request_id"].removeprefix("otp_")
            assert connection.execute(query, [request_id]).fetchone() == (1,)
