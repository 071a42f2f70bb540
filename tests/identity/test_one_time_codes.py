"""One-time codes: what is sent, how often, and what a code opens."""

import stat
from collections.abc import Callable
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from service import clock
from service.identity import one_time_codes
from service.identity.errors import OtpCeilingReached
from service.identity.one_time_codes import CEILING, issue_code
from service.identity.phones import read_phone
from service.runtime import Runtime
from tests.identity.conftest import Post, Send, at_once, new_phone

Proof = Callable[[str], dict[str, str]]


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


class TestAskingForACode:
    def test_sends_six_digits_to_the_number(self, post: Post, code_sent: Send) -> None:
        response = post("/v1/auth/otp", {"phone": new_phone()})

        assert response.status_code == 202
        code = code_sent(response.get_json()["request_id"])
        assert len(code) == 6
        assert code.isdigit()

    def test_writes_a_file_that_only_its_owner_reads(self, post: Post, runtime: Runtime) -> None:
        post("/v1/auth/otp", {"phone": new_phone()})

        mode = (runtime.settings.home / "sms.jsonl").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600

    def test_is_answered_alike_for_known_and_unknown_numbers(
        self, post: Post, a_citizen: Callable[..., object]
    ) -> None:
        known, unknown = new_phone(), new_phone()
        a_citizen(known)

        with clock.shifted(timedelta(minutes=2)):
            answers = [post("/v1/auth/otp", {"phone": phone}) for phone in (known, unknown)]

        assert [answer.status_code for answer in answers] == [202, 202]
        assert [set(answer.get_json()) for answer in answers] == [{"request_id"}] * 2

    def test_stores_neither_code_nor_number_in_clear(self, proof: Proof, runtime: Runtime) -> None:
        phone = new_phone()
        code = proof(phone)["code"]

        with runtime.database.raw_transaction() as connection:
            rows = str(connection.execute("SELECT t::text FROM one_time_code t").fetchall())
        assert phone.encode().hex() not in rows
        assert code.encode().hex() not in rows
        assert phone not in rows

    @pytest.mark.parametrize(
        "phone",
        ["", "12345", "010-62781234", "+86 138", "not a number", "١٣٨٠٠١٣٨٠٠٠", "1" * 33, "+"],
    )
    def test_for_no_mobile_number_is_refused(self, post: Post, phone: str) -> None:
        response = post("/v1/auth/otp", {"phone": phone})

        assert response.status_code == 422
        assert response.get_json()["code"] in {"phone-invalid", "validation-failed"}

    def test_reads_a_chinese_number_without_its_country_code(
        self, proof: Proof, a_citizen: Callable[..., object], post: Post
    ) -> None:
        phone = new_phone()
        first = a_citizen(phone)

        with clock.shifted(timedelta(minutes=2)):
            body = {"grant_type": "otp", **proof(phone.removeprefix("+86"))}
            second = post("/v1/auth/tokens", body).get_json()

        assert second["citizen_id"] == first.public_id  # type: ignore[attr-defined]  # a fixture's own class


class TestSendingLimits:
    def test_one_a_minute(self, post: Post) -> None:
        phone = new_phone()
        post("/v1/auth/otp", {"phone": phone})

        response = post("/v1/auth/otp", {"phone": phone})

        assert response.status_code == 429
        assert response.get_json()["code"] == "otp-too-soon"
        assert 1 <= int(response.headers["Retry-After"]) <= 60

    def test_another_spelling_is_the_same_number(self, post: Post) -> None:
        phone = new_phone()
        post("/v1/auth/otp", {"phone": phone})

        response = post("/v1/auth/otp", {"phone": phone.removeprefix("+86")})

        assert response.get_json()["code"] == "otp-too-soon"

    @pytest.mark.parametrize(("every", "granted"), [(2, 5), (61, 10)], ids=["hour", "day"])
    def test_five_an_hour_and_ten_a_day(self, post: Post, every: int, granted: int) -> None:
        phone = new_phone()
        answers = []
        for turn in range(granted + 1):
            with clock.shifted(timedelta(minutes=every * turn)):
                answers.append(post("/v1/auth/otp", {"phone": phone}))

        assert [answer.status_code for answer in answers] == [202] * granted + [429]
        assert answers[-1].get_json()["code"] == "otp-limit-reached"

    def test_survive_the_loss_of_redis(self, post: Post, runtime: Runtime) -> None:
        phone = new_phone()
        post("/v1/auth/otp", {"phone": phone})

        runtime.redis.flushall()

        assert post("/v1/auth/otp", {"phone": phone}).status_code == 429

    def test_hold_when_asked_many_times_at_once(self, post: Post) -> None:
        phone = new_phone()

        answers = at_once(20, lambda: post("/v1/auth/otp", {"phone": phone}).status_code)

        assert answers.count(202) == 1

    def test_the_whole_service_has_a_ceiling(self, fresh_runtime: Runtime) -> None:
        with fresh_runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO one_time_code (id, phone_index, sealed_key_version, code_digest,"
                " sent_at, expires_at) SELECT gen_random_uuid(), sha256(n::text::bytea), 1, '',"
                " %s, %s FROM generate_series(1, %s) AS n",
                [clock.now(), clock.now(), CEILING],
            )

        with (
            pytest.raises(OtpCeilingReached),
            fresh_runtime.database.transaction() as session,
        ):
            issue_code(session, fresh_runtime.keys, read_phone(new_phone()))

    def test_old_rows_are_cleared_away(self, post: Post, runtime: Runtime) -> None:
        with clock.shifted(-one_time_codes.ROWS_KEPT_FOR - timedelta(hours=1)):
            old = post("/v1/auth/otp", {"phone": new_phone()}).get_json()["request_id"]

        post("/v1/auth/otp", {"phone": new_phone()})

        with runtime.database.raw_transaction() as connection:
            query = "SELECT count(*) FROM one_time_code WHERE id = %s"
            assert connection.execute(query, [old.removeprefix("otp_")]).fetchone() == (0,)


class TestUsingACode:
    def test_opens_a_session(self, sign_in: Callable[..., TestResponse]) -> None:
        response = sign_in(new_phone())

        assert response.status_code == 200
        assert set(response.get_json()) == {
            "access_token",
            "refresh_token",
            "token_type",
            "expires_in",
            "citizen_id",
        }

    def test_a_wrong_code_is_refused(self, post: Post, proof: Proof) -> None:
        asked = proof(new_phone())

        response = post(
            "/v1/auth/tokens",
            {"grant_type": "otp", **asked, "code": another(asked["code"])},
        )

        assert response.status_code == 401
        assert response.get_json()["code"] == "otp-invalid"

    def test_five_wrong_tries_void_it(self, post: Post, proof: Proof) -> None:
        asked = proof(new_phone())
        wrong = {"grant_type": "otp", **asked, "code": another(asked["code"])}
        for _ in range(5):
            post("/v1/auth/tokens", wrong)

        response = post("/v1/auth/tokens", {"grant_type": "otp", **asked})

        assert response.status_code == 401

    def test_four_wrong_tries_do_not(self, post: Post, proof: Proof) -> None:
        asked = proof(new_phone())
        wrong = {"grant_type": "otp", **asked, "code": another(asked["code"])}
        for _ in range(4):
            post("/v1/auth/tokens", wrong)

        assert post("/v1/auth/tokens", {"grant_type": "otp", **asked}).status_code == 200

    def test_wrong_tries_at_once_are_all_counted(self, post: Post, proof: Proof) -> None:
        asked = proof(new_phone())
        wrong = {"grant_type": "otp", **asked, "code": another(asked["code"])}

        at_once(20, lambda: post("/v1/auth/tokens", wrong))

        assert post("/v1/auth/tokens", {"grant_type": "otp", **asked}).status_code == 401

    def test_after_five_minutes_is_refused(self, post: Post, proof: Proof) -> None:
        asked = proof(new_phone())

        with clock.shifted(timedelta(minutes=5)):
            response = post("/v1/auth/tokens", {"grant_type": "otp", **asked})

        assert response.get_json()["code"] == "otp-invalid"

    def test_with_another_request_is_refused(self, post: Post, proof: Proof) -> None:
        mine, hers = proof(new_phone()), proof(new_phone())

        response = post(
            "/v1/auth/tokens",
            {"grant_type": "otp", "request_id": hers["request_id"], "code": mine["code"]},
        )

        # One in a million: both codes are the same.
        assert response.status_code == 401 or mine["code"] == hers["code"]

    @pytest.mark.parametrize("request_id", ["otp_" + "0" * 32, "otp_zz", "x", "ctz_" + "0" * 32])
    def test_of_no_request_is_answered_like_a_wrong_one(self, post: Post, request_id: str) -> None:
        body = {"grant_type": "otp", "request_id": request_id, "code": "123456"}

        response = post("/v1/auth/tokens", body)

        assert (response.status_code, response.get_json()["code"]) == (401, "otp-invalid")

    def test_fifty_times_at_once_opens_one_session(self, post: Post, proof: Proof) -> None:
        asked = {"grant_type": "otp", **proof(new_phone())}

        answers = at_once(50, lambda: post("/v1/auth/tokens", asked).status_code)

        assert answers.count(200) == 1
        assert answers.count(401) == 49

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"grant_type": "password"},
            {"grant_type": "otp"},
            {"grant_type": "otp", "request_id": "otp_1", "code": "12345"},
            {"grant_type": "otp", "request_id": "otp_1", "code": "１２３４５６"},
            {"grant_type": "otp", "request_id": "otp_1", "code": "123456\n"},
            {"grant_type": "otp", "request_id": 1, "code": "123456"},
            {"grant_type": "otp", "request_id": "o", "code": "123456", "refresh_token": "x"},
            {"grant_type": "otp", "request_id": "o", "code": "123456", "not_my_account": "true"},
            {"grant_type": "refresh_token"},
            {"grant_type": "refresh_token", "refresh_token": "x", "code": "123456"},
            {"grant_type": "refresh_token", "refresh_token": None},
        ],
    )
    def test_a_malformed_request_is_refused(self, post: Post, body: dict[str, object]) -> None:
        assert post("/v1/auth/tokens", body).status_code in {400, 422}
