"""The service as it is measured: engines of its own, two server processes, the sealer beside it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from service.db import libpq_url
from service.settings import Settings, settings_from
from service.supervisor import is_ready, server_command

FOLDER = Path("var/bench").absolute()
ROOT = Path(__file__).resolve().parents[1]
CARBON = "import sys; sys.argv[0] = 'carbon'; from service.cli import main; main()"


def fresh_settings() -> Settings:
    """Return settings of an installation that has nothing yet, on a free port."""
    FOLDER.parent.mkdir(mode=0o700, exist_ok=True)
    home = FOLDER / "home"
    shutil.rmtree(home, ignore_errors=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = settings_from(
        {"CARBON_HOME": str(home), "PORT": str(port), "CARBON_RATE_LIMIT": "1000000000"}
    )
    return replace(base, workers=2)


@contextmanager
def served(
    settings: Settings,
    *,
    application: str = "wsgi:app",
    is_sealed: bool = True,
    is_couriered: bool = False,
) -> Iterator[None]:
    """Serve until the block ends; every process is ended by its id.

    Args:
        settings: with engines that run.
        application: what the server loads.
        is_sealed: whether the sealer works beside it.
        is_couriered: whether the courier sends partners their events.
    """
    command = [application if word == "wsgi:app" else word for word in server_command(settings)]
    processes = [_started(settings, command)]
    try:
        while not is_ready(settings.port):
            if processes[0].poll() is not None:
                raise SystemExit("The server did not start.")
            time.sleep(0.1)
        if is_sealed:
            processes.append(_started(settings, [sys.executable, "-c", CARBON, "sealer"]))
        if is_couriered:
            processes.append(_started(settings, [sys.executable, "-c", CARBON, "courier"]))
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def checkpoint(settings: Settings) -> None:
    """Let PostgreSQL write out what it holds in memory."""
    with psycopg.connect(libpq_url(settings.migration_database_url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def _started(settings: Settings, command: list[str]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "CARBON_HOME": str(settings.home),
        "PORT": str(settings.port),
        "DATABASE_URL": settings.database_url,
        "MIGRATION_DATABASE_URL": settings.migration_database_url,
        "ERASER_DATABASE_URL": settings.eraser_database_url,
        "REDIS_URL": settings.redis_url,
        "CARBON_RATE_LIMIT": str(settings.rate_limit_per_minute),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(command, env=environment, cwd=ROOT)
