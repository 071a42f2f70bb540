"""How many requests one caller may make."""

import time
from dataclasses import replace
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from service import redis
from service.app import create_app
from service.runtime import Runtime
from service.web.rate_limits import FEED_PER_MINUTE, RateLimits
from tests.web.conftest import AsCaller, probe_blueprint

NOWHERE = "redis://127.0.0.1:1"


def with_limit(runtime: Runtime, per_minute: int) -> Runtime:
    return replace(
        runtime,
        settings=replace(runtime.settings, rate_limit_per_minute=per_minute, workers=2),
    )


@pytest.fixture
def early_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that no minute interrupts."""
    now_s = time.time() // 60 * 60 + 15
    monkeypatch.setattr("service.web.rate_limits.time.time", lambda: now_s)


@pytest.mark.usefixtures("early_in_a_minute")
class TestACallerWithAToken:
    def test_sees_where_she_stands(self, probe: FlaskClient, as_caller: AsCaller) -> None:
        response = probe.get("/probe/citizen", headers=as_caller())

        assert response.headers["RateLimit-Policy"] == '"caller";q=1000000;w=60'
        assert response.headers["RateLimit"].startswith('"caller";r=499999;t=')

    def test_is_stopped_at_the_workers_share(self, runtime: Runtime) -> None:
        limits = RateLimits(with_limit(runtime, 10))

        standings = [limits.of_caller("a", "caller") for _ in range(6)]

        assert [each.exceeded for each in standings] == [False] * 5 + [True]
        assert (standings[-1].remaining, standings[-1].reset_s) == (0, 45)
        assert not limits.of_caller("b", "caller").exceeded

    def test_of_a_feed_has_a_policy_of_its_own(self, runtime: Runtime) -> None:
        limits = RateLimits(with_limit(runtime, 2))

        assert limits.of_caller("a", "feed").quota == FEED_PER_MINUTE


@pytest.mark.usefixtures("early_in_a_minute")
class TestACallWithoutAToken:
    def test_is_counted_by_address_for_all_workers(self, runtime: Runtime) -> None:
        address = f"fd00::{uuid4().hex[:4]}"
        workers = [RateLimits(with_limit(runtime, 3)) for _ in range(2)]
        runtime.redis.flushdb()

        standings = [workers[i % 2].of_address(address) for i in range(4)]

        assert [each.remaining for each in standings] == [2, 1, 0, 0]
        assert standings[-1].exceeded

    def test_is_counted_here_while_valkey_is_away(self, runtime: Runtime) -> None:
        away = replace(with_limit(runtime, 4), redis=redis.connect(NOWHERE))
        limits = RateLimits(away)

        standings = [limits.of_address("192.0.2.1") for _ in range(3)]

        assert [each.exceeded for each in standings] == [False, False, True]
        away.redis.close()

    def test_that_is_too_much_is_told_when_to_return(self, runtime: Runtime) -> None:
        client = create_app(with_limit(runtime, 1)).test_client()
        runtime.redis.flushdb()
        client.get("/openapi.json")

        response = client.get("/openapi.json")

        assert (response.status_code, response.get_json()["code"]) == (429, "quota-exceeded")
        assert response.headers["Retry-After"] == "45"
        assert response.headers["RateLimit"] == '"address";r=0;t=45'

    def test_counts_refused_tokens_too(self, runtime: Runtime) -> None:
        app = create_app(with_limit(runtime, 1))
        app.extensions["flask-smorest"]["apis"][""]["ext_obj"].register_blueprint(
            probe_blueprint([])
        )
        client = app.test_client()
        runtime.redis.flushdb()

        statuses = [
            client.get("/probe/citizen", headers={"Authorization": "Bearer x.y.z"}).status_code
            for _ in range(2)
        ]

        assert statuses == [401, 429]

    def test_of_health_is_never_counted(self, probe: FlaskClient) -> None:
        assert "RateLimit" not in probe.get("/livez").headers
