"""What citizens are told before their points expire."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from flask.testing import FlaskClient

from service import clock
from service.ledger.expiry import BookedRun
from service.ledger.notices import write_notices
from service.ledger.spending import retire
from service.runtime import Runtime
from tests.ledger.conftest import Headers, Issued, issue

TODAY = clock.today()


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


def told(runtime: Runtime) -> set[tuple[UUID, date, int, int]]:
    with runtime.database.raw_transaction() as connection:
        rows = connection.execute("SELECT citizen_id, expires_on, lead_days, points FROM notice")
        return set(rows.fetchall())


class TestWritingNotices:
    def test_tells_once_a_month_and_once_a_week_before(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 5, 50, in_days(30))

        for _ in range(2):
            for days_later in (0, 1, 22, 23, 24, 30, 31):
                write_notices(fresh_runtime.database, in_days(days_later))

        assert told(fresh_runtime) == {
            (citizen, in_days(30), 30, 5),
            (citizen, in_days(30), 7, 5),
        }

    def test_tells_of_nothing_that_is_spent_lapsed_or_far_away(
        self, fresh_runtime: Runtime
    ) -> None:
        spent = uuid4()
        issue(fresh_runtime, spent, 5, 50, in_days(3))
        issue(fresh_runtime, uuid4(), 5, 50, in_days(-1))
        issue(fresh_runtime, uuid4(), 5, 50, in_days(31))
        issue(fresh_runtime, uuid4(), 0, 50, in_days(3))
        with fresh_runtime.database.raw_transaction() as connection:
            retire(connection, spent, uuid4(), points=5)

        assert write_notices(fresh_runtime.database, TODAY) == BookedRun()

    def test_in_the_last_week_is_one_reminder(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 5, 50, TODAY)
        issue(fresh_runtime, citizen, 6, 60, in_days(7))
        issue(fresh_runtime, citizen, 7, 70, in_days(8))

        write_notices(fresh_runtime.database, TODAY)

        assert told(fresh_runtime) == {
            (citizen, TODAY, 7, 5),
            (citizen, in_days(7), 7, 6),
            (citizen, in_days(8), 30, 7),
        }

    def test_in_small_chunks_tells_the_same(self, fresh_runtime: Runtime) -> None:
        for _ in range(7):
            issue(fresh_runtime, uuid4(), 5, 50, in_days(3))

        run = write_notices(fresh_runtime.database, TODAY, accounts_in_chunk=2)

        assert run == BookedRun(lots=7, points=35)
        assert write_notices(fresh_runtime.database, TODAY) == BookedRun()

    def test_tells_nothing_to_whoever_was_erased(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 5, 50, in_days(3))
        with psycopg.connect(fresh_runtime.settings.migration_database_url) as connection:
            connection.execute("SET ROLE carbon_eraser")
            connection.execute("UPDATE account SET secret = NULL WHERE citizen_id = %s", [citizen])

        assert write_notices(fresh_runtime.database, TODAY) == BookedRun()


class TestNotices:
    def test_are_read_in_the_language_asked_for(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with((5, 50, in_days(3)))
        write_notices(runtime.database, TODAY)
        headers = as_caller(citizen)

        english = client.get("/v1/me/notices", headers=headers)
        chinese = client.get("/v1/me/notices", headers=headers | {"Accept-Language": "zh-CN"})

        [notice] = english.get_json()["items"]
        assert notice.pop("id").startswith("ntc_")
        assert notice.pop("recorded_at")
        assert notice == {
            "kind": "points-expire-soon",
            "detail": f"5 points can be spent until the end of {in_days(3)}.",
            "points": 5,
            "expires_on": in_days(3).isoformat(),
            "lead_days": 7,
        }
        assert chinese.get_json()["items"][0]["detail"] == f"5 积分可用至 {in_days(3)} 当日结束。"
        assert chinese.headers["Content-Language"] == "zh-CN"

    def test_are_read_page_by_page(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        citizen = a_citizen_with(*((points, 10, in_days(points)) for points in range(1, 6)))
        write_notices(runtime.database, TODAY)

        seen: list[int] = []
        path, cursor = "/v1/me/notices?limit=2", ""
        for _ in range(3):
            page: dict[str, Any] = client.get(path + cursor, headers=as_caller(citizen)).get_json()
            seen += [notice["points"] for notice in page["items"]]
            cursor = f"&cursor={page['next']}"

        assert sorted(seen) == [1, 2, 3, 4, 5]
        assert page["next"] is None

    def test_are_its_owners_only(
        self, client: FlaskClient, as_caller: Headers, runtime: Runtime, a_citizen_with: Issued
    ) -> None:
        a_citizen_with((5, 50, in_days(3)))
        write_notices(runtime.database, TODAY)

        answer = client.get("/v1/me/notices", headers=as_caller(uuid4())).get_json()

        assert answer == {"items": [], "next": None}
