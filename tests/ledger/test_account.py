"""What a citizen is told she has."""

from datetime import date, timedelta
from uuid import UUID, uuid4

from flask.testing import FlaskClient

from service import clock
from service.ledger.accounts import lock_account
from service.ledger.captures import pool
from service.ledger.clawback import Claim, invalidate
from service.ledger.holds import capture, hold
from service.ledger.spending import donate, retire
from service.runtime import Runtime
from tests.ledger.conftest import Headers, Issued, issue

SOON = clock.today() + timedelta(days=30)
LATER = clock.today() + timedelta(days=400)
YESTERDAY = clock.today() - timedelta(days=1)


def account(client: FlaskClient, headers: dict[str, str]) -> dict[str, dict[str, object]]:
    response = client.get("/v1/me/account", headers=headers)
    assert response.status_code == 200
    answer: dict[str, dict[str, object]] = response.get_json()
    return answer


def grams(**some: int) -> dict[str, int]:
    """Every member of `reduction_g`, nought but for some."""
    return {
        "certified": 0,
        "pending": 0,
        "available": 0,
        "held": 0,
        "redeemed": 0,
        "pooled": 0,
        "expired": 0,
        "invalidated": 0,
        "retired": 0,
        "owed": 0,
    } | some


class TestAnAccount:
    def test_of_a_newcomer_is_empty(self, client: FlaskClient, as_caller: Headers) -> None:
        answer = account(client, as_caller(uuid4()))

        assert answer == {
            "points": {"available": 0, "held": 0, "pending": 0, "owed": 0, "expiring": []},
            "reduction_g": grams(),
        }

    def test_adds_up_its_lots(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, LATER), (5, 50, SOON), (1, 20, SOON))

        answer = account(client, as_caller(citizen))

        assert answer["points"]["available"] == 16
        assert answer["reduction_g"]["certified"] == 170

    def test_says_what_expires_when_soonest_first(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, LATER), (6, 70, SOON))

        answer = account(client, as_caller(citizen))

        assert answer["points"]["expiring"] == [
            {"date": SOON.isoformat(), "points": 6},
            {"date": LATER.isoformat(), "points": 10},
        ]

    def test_counts_a_lot_to_the_end_of_its_last_day(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, clock.today()))

        assert account(client, as_caller(citizen))["points"]["available"] == 10

    def test_counts_a_lapsed_lot_as_expired_before_anything_is_booked(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((10, 100, YESTERDAY), (6, 70, SOON))

        answer = account(client, as_caller(citizen))

        assert answer["points"]["available"] == 6
        assert answer["reduction_g"] == grams(certified=170, available=70, expired=100)

    def test_does_not_list_a_lot_without_points(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((0, 100, SOON))

        answer = account(client, as_caller(citizen))

        assert answer["points"]["expiring"] == []
        assert answer["reduction_g"]["available"] == 100

    def test_shows_what_waits_for_certification(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime
    ) -> None:
        citizen = uuid4()
        wait(runtime, citizen, points=7, grams=70)
        wait(runtime, citizen, points=2, grams=29)

        answer = account(client, as_caller(citizen))

        assert answer["points"]["pending"] == 9
        assert answer["reduction_g"]["pending"] == 99

    def test_shows_what_has_become_of_every_gram(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((100, 1000, SOON))
        held, captured, party = uuid4(), uuid4(), uuid4()
        with runtime.database.raw_transaction() as connection:
            hold(connection, citizen, held, 50)
            capture(connection, citizen, captured, held, 30, party)
            pool(connection, citizen, uuid4(), captured, party, 10)
            donate(connection, citizen, uuid4(), 5, party)
            retire(connection, citizen, uuid4(), points=7)

        answer = account(client, as_caller(citizen))

        assert answer["reduction_g"] == grams(
            certified=1000, available=380, held=200, redeemed=200, pooled=150, retired=70
        )
        assert (answer["points"]["available"], answer["points"]["held"]) == (38, 20)

    def test_says_what_is_owed_until_the_next_issue_pays_it(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime
    ) -> None:
        citizen = uuid4()
        false = issue(runtime, citizen, 10, 100, SOON)
        with runtime.database.raw_transaction() as connection:
            retire(connection, citizen, uuid4(), points=8)
            claim = Claim(citizen.hex, false.hex)
            invalidate(connection, lock_account(connection, citizen), [claim])

        owing = account(client, as_caller(citizen))
        issue(runtime, citizen, 10, 100, LATER)
        paid = account(client, as_caller(citizen))

        assert owing["points"]["owed"] == 8
        assert owing["reduction_g"] == grams(certified=100, invalidated=20, retired=80, owed=80)
        assert paid["points"]["owed"] == 0
        assert paid["reduction_g"] == grams(
            certified=200, available=20, invalidated=100, retired=80
        )

    def test_is_its_owners_only(
        self, client: FlaskClient, as_caller: Headers, a_citizen_with: Issued
    ) -> None:
        a_citizen_with((10, 100, LATER))

        assert account(client, as_caller(uuid4()))["points"]["available"] == 0

    def test_is_not_for_partners(self, client: FlaskClient, as_caller: Headers) -> None:
        headers = as_caller(uuid4(), "partner", "source")

        response = client.get("/v1/me/account", headers=headers)

        assert response.status_code == 403


def wait(runtime: Runtime, citizen_id: UUID, *, points: int, grams: int) -> None:
    """Let grams wait that no batch closes over meanwhile: there is no activity behind them."""
    with runtime.database.raw_transaction() as connection:
        connection.execute(
            "INSERT INTO pending_activity (citizen_id, activity_id, methodology_code, happened_on,"
            " due_on, expires_on, reduction_g, points) VALUES (%s, %s, 'walk', %s, %s, %s, %s, %s)",
            (citizen_id, uuid4(), date(2026, 1, 1), LATER, LATER, grams, points),
        )
