"""Whether a process may be sent requests."""

from dataclasses import replace

import psycopg
import pytest
from flask.testing import FlaskClient

from service import redis
from service.app import create_app
from service.db import Database
from service.runtime import Runtime
from service.web.health import ServerUnsafe, refuse_unsafe_server


class TestAHealthyProcess:
    def test_is_alive_and_ready(self, client: FlaskClient) -> None:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200

    def test_is_ready_without_valkey(self, runtime: Runtime) -> None:
        away = replace(runtime, redis=redis.connect("redis://127.0.0.1:1"))

        assert create_app(away).test_client().get("/readyz").status_code == 200

    def test_counts_what_it_answers(self, client: FlaskClient) -> None:
        client.get("/made-up-1")
        client.get("/made-up-2")

        lines = client.get("/metrics").text.splitlines()

        unknown = 'carbon_requests_total{method="GET",route="none",status="404"}'
        assert len([line for line in lines if line.startswith(unknown)]) == 1
        assert not any("made-up" in line for line in lines)


class TestAProcessWithoutItsDatabase:
    def test_lives_and_is_not_ready(self, runtime: Runtime) -> None:
        nowhere = Database("postgresql://127.0.0.1:1/nowhere", size=1)
        client = create_app(replace(runtime, database=nowhere)).test_client()

        assert client.get("/livez").status_code == 200
        response = client.get("/readyz")
        assert (response.status_code, response.get_json()["code"]) == (503, "not-ready")
        nowhere.close()


class TestALossyServer:
    @pytest.mark.parametrize("setting", ["synchronous_commit"])
    def test_is_refused(self, fresh_runtime: Runtime, setting: str) -> None:
        name = psycopg.conninfo.conninfo_to_dict(fresh_runtime.database.url)["dbname"]
        owner = fresh_runtime.settings.migration_database_url
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET {setting} = off")

        with pytest.raises(ServerUnsafe, match=setting):
            refuse_unsafe_server(fresh_runtime.database)
        assert create_app(fresh_runtime).test_client().get("/readyz").status_code == 503

    def test_is_not_what_we_start_ourselves(self, runtime: Runtime) -> None:
        refuse_unsafe_server(runtime.database)
