"""What a citizen had at a moment that has passed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import clock
from service.activities.account import account_as_of, account_of
from service.activities.withdrawal import forget_pending
from service.ledger.accounts import lock_account
from service.ledger.captures import pool, restore
from service.ledger.clawback import Claim, invalidate
from service.ledger.errors import AsOfInFuture, CaptureUnknown, HoldUnknown
from service.ledger.expiry import expire_lapsed_lots
from service.ledger.holds import capture, hold, release
from service.ledger.issuing import Issue, issue_lots
from service.ledger.spending import donate, retire
from service.ledger.statement import statement_of
from service.runtime import Runtime
from tests.ledger.conftest import Headers, Issued, issue
from tests.ledger.town import Town, hours_ago, ride

TODAY = clock.today()
SOON = TODAY + timedelta(days=30)
YESTERDAY = TODAY - timedelta(days=1)
PARTY = uuid4()


def as_of(runtime: Runtime, citizen_id: UUID, moment: datetime) -> bytes:
    with runtime.database.raw_transaction() as connection:
        return account_as_of(connection, citizen_id, moment).as_json()


def at_present(runtime: Runtime, citizen_id: UUID) -> bytes:
    with runtime.database.one_statement() as reader:
        return account_of(reader, citizen_id, clock.today()).as_json()


def moments(runtime: Runtime, citizen_id: UUID) -> list[datetime]:
    """When her account changed, the first moment first: a claw-back may find nothing to move."""
    with runtime.database.raw_transaction() as connection:
        lines = statement_of(connection, citizen_id, rows=1_000)
        claims = connection.execute(
            "SELECT recorded_at FROM posting WHERE citizen_id = %s AND kind = 'invalidate'",
            [citizen_id],
        )
        return sorted({line.recorded_at for line in lines} | {row[0] for row in claims})


class TestAnAccountAsOf:
    def test_a_moment_has_what_was_recorded_up_to_it(
        self, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, SOON))
        before = at_present(runtime, citizen)
        [moment] = moments(runtime, citizen)

        issue(runtime, citizen, 5, 50, SOON)

        assert as_of(runtime, citizen, moment) == before
        assert as_of(runtime, citizen, moments(runtime, citizen)[1]) == at_present(runtime, citizen)

    def test_before_her_first_transfer_is_empty(
        self, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, SOON))

        earlier = moments(runtime, citizen)[0] - timedelta(microseconds=1)

        assert as_of(runtime, citizen, earlier) == at_present(runtime, uuid4())

    def test_a_day_on_which_a_lot_still_lived_has_it(
        self, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, TODAY))
        alive = at_present(runtime, citizen)
        now = datetime.now(UTC)

        with clock.shifted(timedelta(days=2)):
            assert at_present(runtime, citizen) != alive
            assert as_of(runtime, citizen, now) == alive

    def test_now_has_what_waits_for_certification(self, runtime: Runtime) -> None:
        town = Town.founded(runtime, "anna", delay_days=3)
        citizen = town.citizens["anna"]
        before = datetime.now(UTC)

        [outcome] = town.report([ride("anna", start=hours_ago(6))])

        assert outcome.verdict == "pending"
        assert as_of(runtime, citizen, datetime.now(UTC)) == at_present(runtime, citizen)
        assert as_of(runtime, citizen, before) == at_present(runtime, uuid4())

    def test_a_moment_at_which_something_waited_still_has_it(self, runtime: Runtime) -> None:
        town = Town.founded(runtime, "anna", delay_days=3)
        citizen = town.citizens["anna"]
        town.report([ride("anna", start=hours_ago(6))])
        waiting, moment = at_present(runtime, citizen), datetime.now(UTC)

        with runtime.database.transaction() as session:
            forget_pending(session, citizen)

        assert as_of(runtime, citizen, moment) == waiting
        assert as_of(runtime, citizen, datetime.now(UTC)) == at_present(runtime, citizen)

    def test_a_moment_to_come_is_refused(self, runtime: Runtime, a_citizen_with: Issued) -> None:
        tomorrow = datetime.now(UTC) + timedelta(days=1)

        for citizen in (a_citizen_with((10, 100, SOON)), uuid4()):
            with pytest.raises(AsOfInFuture):
                as_of(runtime, citizen, tomorrow)

    def test_a_moment_that_was_asked_for_is_over_whatever_the_clock_says(
        self, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen, moment = a_citizen_with((10, 100, SOON)), datetime.now(UTC)

        as_of(runtime, citizen, moment)

        with runtime.database.raw_transaction() as connection:
            moved_at = "SELECT moved_at FROM account WHERE citizen_id = %s"
            assert connection.execute(moved_at, [citizen]).fetchall() == [(moment,)]

    def test_now_waits_for_whoever_is_writing(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 1, 10, SOON)

        with fresh_runtime.database.raw_transaction() as connection:
            retire(connection, citizen, uuid4(), points=1)
            moment = datetime.now(UTC)
            reader = Reader(fresh_runtime, citizen, moment)
            reader.start()
            reader.join(0.2)
            waited = reader.is_alive()
        reader.join()

        assert waited
        assert reader.answer == at_present(fresh_runtime, citizen)

    def test_now_waits_for_whoever_opens_the_account(self, fresh_runtime: Runtime) -> None:
        citizen, activity = uuid4(), uuid4().hex

        with fresh_runtime.database.raw_transaction() as connection:
            accounts = lock_account(connection, citizen)
            issue_lots(connection, accounts, [Issue(citizen.hex, activity, str(SOON), 1, 10)])
            moment = datetime.now(UTC)
            reader = Reader(fresh_runtime, citizen, moment)
            reader.start()
            reader.join(0.2)
            waited = reader.is_alive()
        reader.join()

        assert waited
        assert reader.answer == at_present(fresh_runtime, citizen)


class Reader(Thread):
    """Somebody who reads an account as of a moment."""

    def __init__(self, runtime: Runtime, citizen_id: UUID, moment: datetime) -> None:
        super().__init__()
        self.asked = runtime, citizen_id, moment
        self.answer = b""

    def run(self) -> None:
        self.answer = as_of(*self.asked)


def test_what_is_read_while_others_write_is_read_again_for_ever(fresh_runtime: Runtime) -> None:
    citizen = uuid4()
    issue(fresh_runtime, citizen, 1_000, 10_000, SOON)

    def write(points: int) -> None:
        with fresh_runtime.database.raw_transaction() as connection:
            retire(connection, citizen, uuid4(), points=points)

    def read(_: int) -> tuple[datetime, bytes]:
        moment = datetime.now(UTC)
        return moment, as_of(fresh_runtime, citizen, moment)

    with ThreadPoolExecutor(6) as together:
        writing = [together.submit(write, 1 + n % 3) for n in range(60)]
        answers = list(together.map(read, range(60)))
    for each in writing:
        each.result()

    assert [as_of(fresh_runtime, citizen, moment) for moment, _ in answers] == [
        answer for _, answer in answers
    ]


class TestOverHttp:
    def test_the_contract_names_the_moment(self, client: FlaskClient) -> None:
        paths = client.get("/openapi.json").get_json()["paths"]

        for path in ("/v1/me/account", "/v1/me/transfers"):
            named = {parameter["name"] for parameter in paths[path]["get"]["parameters"]}
            assert "as_of" in named

    def test_an_account_is_read_as_of_a_moment(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, SOON))
        moment = moments(runtime, citizen)[0]
        issue(runtime, citizen, 5, 50, SOON)

        path = f"/v1/me/account?as_of={quote(moment.isoformat())}"
        answer = client.get(path, headers=as_caller(citizen))

        assert answer.get_json()["points"]["available"] == 10

    def test_a_statement_is_read_as_of_a_moment_page_by_page(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with(*((points, 10, SOON) for points in range(1, 4)))
        moment = moments(runtime, citizen)[-1]
        issue(runtime, citizen, 9, 90, SOON)
        headers = as_caller(citizen)
        path = f"/v1/me/transfers?limit=2&as_of={quote(moment.isoformat())}"

        first = client.get(path, headers=headers).get_json()
        second = client.get(f"{path}&cursor={first['next']}", headers=headers).get_json()

        pages = [*first["items"], *second["items"]]
        assert [item["points"] for item in pages] == [3, 2, 1]
        assert second["next"] is None

    @pytest.mark.parametrize("path", ["/v1/me/account", "/v1/me/transfers"])
    @pytest.mark.parametrize(
        ("moment", "code"),
        [
            ("9999-12-31T00:00:00Z", "as-of-in-future"),
            ("9999-12-31T23:59:59-12:00", "validation-failed"),
            ("0001-01-01T00:00:00+14:00", "validation-failed"),
            ("2026-01-01T00:00:00", "validation-failed"),
            ("2026-W01-1T00:00:00Z", "validation-failed"),
            ("2026-001T00:00:00Z", "validation-failed"),
            ("20260101T000000Z", "validation-failed"),
            ("2026-01-01 00:00:00Z", "validation-failed"),
            ("2026-01-01T00:00Z", "validation-failed"),
            ("2026-01-01T00:00:00,5Z", "validation-failed"),
            ("2026-01-01T00:00:00+0800", "validation-failed"),
            ("2026-01-01T24:00:01Z", "validation-failed"),
            ("\uff12026-01-01T00:00:00Z", "validation-failed"),
            (" 2026-01-01T00:00:00Z", "validation-failed"),
            ("yesterday", "validation-failed"),
            ("", "validation-failed"),
        ],
    )
    def test_no_moment_is_refused(
        self, client: FlaskClient, as_caller: Headers, path: str, moment: str, code: str
    ) -> None:
        response = client.get(f"{path}?as_of={quote(moment)}", headers=as_caller(uuid4()))

        assert (response.status_code, response.get_json()["code"]) == (422, code)

    @pytest.mark.parametrize("path", ["/v1/me/account", "/v1/me/transfers"])
    @pytest.mark.parametrize(
        "moment",
        ["2026-01-01t00:00:00z", "2026-01-01T08:00:00.123456789+08:00", "2026-01-01T00:00:00.5z"],
    )
    def test_every_moment_of_rfc_3339_is_read(
        self, client: FlaskClient, as_caller: Headers, path: str, moment: str
    ) -> None:
        response = client.get(f"{path}?as_of={quote(moment)}", headers=as_caller(uuid4()))

        assert response.status_code == 200

    def test_an_account_has_no_other_parameter(
        self, client: FlaskClient, as_caller: Headers
    ) -> None:
        response = client.get("/v1/me/account?on=2026-01-01", headers=as_caller(uuid4()))

        assert response.status_code == 400
        assert response.get_json()["code"] == "unknown-field"


# --- laws -------------------------------------------------------------------------------------


class Story:
    """What a citizen has done so far, so that later steps have something to go on with."""

    def __init__(self, citizen_id: UUID) -> None:
        self.citizen_id = citizen_id
        self.issued: list[UUID] = []
        self.held: list[UUID] = []
        self.captured: list[UUID] = []

    def take(self, connection: psycopg.Connection[Any], kind: str, number: int) -> None:
        """Carry out one step; what is refused moves nothing and is as good as any."""
        posting_id, citizen = uuid4(), self.citizen_id
        match kind:
            case "hold":
                hold(connection, citizen, posting_id, number)
                self.held.append(posting_id)
            case "capture" if self.held:
                capture(connection, citizen, posting_id, _one_of(self.held, number), number, PARTY)
                self.captured.append(posting_id)
            case "invalidate" if self.issued:
                accounts = lock_account(connection, citizen)
                claim = Claim(citizen.hex, _one_of(self.issued, number).hex)
                invalidate(connection, accounts, [claim])
            case _:
                self._spend_or_undo(connection, kind, number)

    def _spend_or_undo(self, connection: psycopg.Connection[Any], kind: str, number: int) -> None:
        posting_id, citizen = uuid4(), self.citizen_id
        match kind:
            case "release" if self.held:
                release(connection, citizen, posting_id, _one_of(self.held, number), carry_to=SOON)
            case "restore" if self.captured:
                captured = _one_of(self.captured, number)
                restore(connection, citizen, posting_id, captured, carry_to=SOON)
            case "pool" if self.captured:
                pool(connection, citizen, posting_id, _one_of(self.captured, number), PARTY)
            case "retire":
                retire(connection, citizen, posting_id, points=number)
            case "donate":
                donate(connection, citizen, posting_id, number, PARTY)


def _one_of(ids: list[UUID], number: int) -> UUID:
    return ids[number % len(ids)]


KINDS = ("hold", "capture", "release", "restore", "pool", "retire", "donate", "invalidate")
ISSUES = st.tuples(
    st.just("issue"),
    st.integers(1, 40),
    st.integers(1, 400),
    st.sampled_from([YESTERDAY, TODAY, SOON]),
)
STEPS = st.lists(ISSUES | st.tuples(st.sampled_from(KINDS), st.integers(1, 40)), max_size=15)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_every_moment_keeps_the_answer_it_had(
    steps: list[tuple[str, int] | tuple[str, int, int, date]], fresh_runtime: Runtime
) -> None:
    citizen = uuid4()
    story = Story(citizen)
    answers: dict[datetime, bytes] = {}
    for step in steps:
        if len(step) == 4:
            story.issued.append(issue(fresh_runtime, citizen, *step[1:]))
        else:
            with fresh_runtime.database.raw_transaction() as connection:
                try:
                    story.take(connection, *step)
                except (HoldUnknown, CaptureUnknown):  # it was refused before
                    connection.rollback()
        present = at_present(fresh_runtime, citizen)
        assert conserves(present)
        now = datetime.now(UTC)
        assert as_of(fresh_runtime, citizen, now) == present
        recorded = moments(fresh_runtime, citizen)
        answers[now] = present
        if recorded:
            answers[recorded[-1]] = present

    expire_lapsed_lots(fresh_runtime.database, TODAY)

    for moment, answer in answers.items():
        assert as_of(fresh_runtime, citizen, moment) == answer
    assert as_of(fresh_runtime, citizen, datetime.now(UTC)) == at_present(fresh_runtime, citizen)


def conserves(account: bytes) -> bool:
    """Whether each certified gram has one fate, and the fates are what the lots hold."""
    grams = msgspec.json.decode(account)["reduction_g"]
    fates = ("available", "held", "redeemed", "pooled", "expired", "invalidated", "retired")
    return bool(grams["certified"] == sum(grams[fate] for fate in fates))
