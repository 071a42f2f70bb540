"""Staff: how they are added, log in, and are locked out."""

import base64
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlparse
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from werkzeug.test import TestResponse

from service import clock
from service.identity.errors import StaffNameTaken, StaffTermsInvalid
from service.identity.staff import NewStaff, add_staff, suspend_staff
from service.runtime import Runtime
from tests.identity.conftest import Post, at_once, bearer

NewStaffMember = Callable[..., tuple[str, NewStaff]]
LogIn = Callable[..., TestResponse]


@pytest.fixture
def log_in(post: Post) -> LogIn:
    def ask(name: str, password: str, **more: str) -> TestResponse:
        return post("/v1/auth/staff-tokens", {"name": name, "password": password, **more})

    return ask


def code_of(uri: str | None) -> str:
    """Return what an authenticator application shows now for an otpauth address."""
    assert uri is not None
    secret = base64.b32decode(parse_qs(urlparse(uri).query)["secret"][0])
    return TOTP(secret, 6, SHA1(), 30).generate(int(clock.now().timestamp())).decode()  # noqa: S303


class TestLoggingIn:
    @pytest.mark.parametrize("role", ["operator", "verifier", "auditor"])
    def test_gives_a_token_of_the_role(
        self, new_staff: NewStaffMember, log_in: LogIn, role: str
    ) -> None:
        name, staff = new_staff(role)

        answer = log_in(name, staff.password)

        assert answer.status_code == 200
        assert answer.get_json()["role"] == role
        assert answer.get_json()["expires_in"] == 900

    def test_with_a_wrong_password_is_refused(
        self, new_staff: NewStaffMember, log_in: LogIn
    ) -> None:
        name, _ = new_staff()

        answer = log_in(name, "guess")

        assert (answer.status_code, answer.get_json()["code"]) == (401, "staff-login-refused")

    def test_as_nobody_is_answered_alike(self, new_staff: NewStaffMember, log_in: LogIn) -> None:
        name, _ = new_staff()
        answers = [log_in(who, "guess").get_json() for who in (name, "nobody")]

        assert answers[0]["detail"] == answers[1]["detail"]
        assert answers[0]["code"] == answers[1]["code"]

    def test_is_locked_after_five_failures(self, new_staff: NewStaffMember, log_in: LogIn) -> None:
        name, staff = new_staff()
        for _ in range(5):
            log_in(name, "guess")

        locked = log_in(name, staff.password)

        assert (locked.status_code, locked.get_json()["code"]) == (429, "staff-locked")
        assert 0 < int(locked.headers["Retry-After"]) <= 901
        with clock.shifted(timedelta(minutes=15, seconds=1)):
            assert log_in(name, staff.password).status_code == 200

    def test_failures_at_once_are_all_counted(
        self, new_staff: NewStaffMember, log_in: LogIn
    ) -> None:
        name, staff = new_staff()

        at_once(8, lambda: log_in(name, "guess"))

        assert log_in(name, staff.password).status_code == 429

    def test_a_success_forgets_the_failures(self, new_staff: NewStaffMember, log_in: LogIn) -> None:
        name, staff = new_staff()
        for _ in range(2):
            for _ in range(4):
                log_in(name, "guess")
            assert log_in(name, staff.password).status_code == 200


class TestASecondFactor:
    def test_is_demanded_once_enrolled(self, new_staff: NewStaffMember, log_in: LogIn) -> None:
        name, staff = new_staff(with_totp=True)

        assert log_in(name, staff.password).status_code == 401
        assert log_in(name, staff.password, totp="000000").status_code == 401
        assert log_in(name, staff.password, totp=code_of(staff.totp_uri)).status_code == 200

    def test_works_once(self, new_staff: NewStaffMember, log_in: LogIn) -> None:
        name, staff = new_staff(with_totp=True)
        code = code_of(staff.totp_uri)
        log_in(name, staff.password, totp=code)

        assert log_in(name, staff.password, totp=code).status_code == 401

    def test_of_minutes_ago_is_refused(self, new_staff: NewStaffMember, log_in: LogIn) -> None:
        name, staff = new_staff(with_totp=True)
        with clock.shifted(timedelta(minutes=-2)):
            old = code_of(staff.totp_uri)

        assert log_in(name, staff.password, totp=old).status_code == 401


class TestSuspending:
    def test_ends_login_and_session(
        self,
        new_staff: NewStaffMember,
        log_in: LogIn,
        post: Post,
        runtime: Runtime,
    ) -> None:
        name, staff = new_staff()
        headers = bearer(log_in(name, staff.password).get_json()["access_token"])

        with runtime.database.transaction() as session:
            suspend_staff(session, name)

        path = f"/v1/citizens/ctz_{uuid4().hex}/freezes"
        assert post(path, {"reason": "no reason"}, headers=headers).status_code == 401
        assert log_in(name, staff.password).status_code == 401


class TestAdding:
    def test_a_taken_name_is_refused(self, new_staff: NewStaffMember, runtime: Runtime) -> None:
        name, _ = new_staff()

        with pytest.raises(StaffNameTaken), runtime.database.transaction() as session:
            add_staff(session, runtime.keys, name, "auditor")

    @pytest.mark.parametrize("name", ["", " ops", "a\nb", "x" * 65])
    def test_a_strange_name_is_refused(self, runtime: Runtime, name: str) -> None:
        with pytest.raises(StaffTermsInvalid), runtime.database.transaction() as session:
            add_staff(session, runtime.keys, name, "auditor")

    def test_only_a_verifier_works_for_a_partner(self, runtime: Runtime) -> None:
        with pytest.raises(StaffTermsInvalid), runtime.database.transaction() as session:
            add_staff(session, runtime.keys, "ops", "operator", partner_id=uuid4())

    def test_stores_the_password_as_argon2id(
        self, new_staff: NewStaffMember, runtime: Runtime
    ) -> None:
        name, staff = new_staff()

        with runtime.database.raw_transaction() as connection:
            query = "SELECT password_hash FROM staff WHERE name = %s"
            kept = connection.execute(query, [name]).fetchall()[0][0]
        assert kept.startswith("$argon2id$")
        assert staff.password not in kept
