"""What a citizen is told she has."""

from datetime import date, timedelta
from uuid import UUID, uuid4

from flask.testing import FlaskClient

from service import clock
from service.runtime import Runtime
from tests.ledger.conftest import Headers, Issued

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
    with runtime.database.raw_transaction() as connection:
        connection.execute(
            "INSERT INTO pending_activity (citizen_id, activity_id, methodology_code, happened_on,"
            " due_on, expires_on, reduction_g, points) VALUES (%s, %s, 'walk', %s, %s, %s, %s, %s)",
            (citizen_id, uuid4(), date(2026, 1, 1), date(2026, 1, 4), LATER, grams, points),
        )
