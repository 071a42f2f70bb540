"""Resources for every test: real engines, a migrated database, the application on top of them.

All tests share one database and do not clean up after themselves: each makes its own people and
partners, as in life. A test that counts everything asks for `fresh_runtime`, a database of its own.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.embedded import Engines, engines
from service.migrate import migrate
from service.runtime import Runtime, open_runtime
from service.settings import Settings, settings_from

TEMPLATE = "carbon_template"


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="carbon-test-") as folder:
        yield Path(folder) / "var"


@pytest.fixture(scope="session")
def running_engines(home: Path) -> Iterator[Engines]:
    with engines(home, small=True) as running:
        yield running


@pytest.fixture(scope="session")
def template(running_engines: Engines) -> str:
    """A migrated database that is copied, never used."""
    _create_database(running_engines, TEMPLATE, "template1")
    migrate(running_engines.dsn("postgres", TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def runtime(running_engines: Engines, template: str) -> Iterator[Runtime]:
    with _runtime_on_a_copy(running_engines, template) as opened:
        yield opened


@pytest.fixture
def fresh_runtime(running_engines: Engines, template: str) -> Iterator[Runtime]:
    with _runtime_on_a_copy(running_engines, template) as opened:
        yield opened


@pytest.fixture(scope="session")
def settings(runtime: Runtime) -> Settings:
    return runtime.settings


@pytest.fixture(scope="session")
def app(runtime: Runtime) -> Flask:
    return create_app(runtime)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def shared_records() -> Path:
    """The folder of public records beside the repository; tests that need it skip without it."""
    folder = Path(os.environ.get("CARBON_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "data").is_dir():
        pytest.skip("the public records are not beside this checkout (set CARBON_SHARED)")
    return folder


@contextmanager
def _runtime_on_a_copy(running: Engines, template: str) -> Iterator[Runtime]:
    name = f"carbon_{uuid4().hex[:12]}"
    _create_database(running, name, template)
    opened = open_runtime(_settings_for(running, name))
    try:
        yield opened
    finally:
        opened.close()
        _drop_database(running, name)


def _settings_for(running: Engines, database: str) -> Settings:
    base = settings_from({"CARBON_HOME": str(running.home), "CARBON_RATE_LIMIT": "1000000"})
    return replace(
        base,
        database_url=running.dsn("carbon_app", database),
        migration_database_url=running.dsn("postgres", database),
        eraser_database_url=running.dsn("carbon_eraser", database),
        redis_url=running.redis_url,
    )


def _create_database(running: Engines, name: str, template: str) -> None:
    with psycopg.connect(running.dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")


def _drop_database(running: Engines, name: str) -> None:
    with psycopg.connect(running.dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
