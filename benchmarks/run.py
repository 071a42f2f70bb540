"""`make bench`: measure what the service promises, print a table, write `var/bench/latest.json`."""

import argparse
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg

from benchmarks import city, prefill, sql_limit
from benchmarks.load import Load, in_another_process, request_bytes
from service.cli import prepare
from service.db import libpq_url
from service.embedded import reachable
from service.runtime import open_runtime
from service.settings import Settings, settings_from
from service.supervisor import is_ready, server_command

FOLDER = Path("var/bench").absolute()
FEED_LINES = 10_000
FEED_CONNECTIONS = 6
SMALL_CONNECTIONS = 16
PARTS_OF_THE_LIMIT = 20
NDJSON = "application/x-ndjson"

Figures = dict[str, Any]


def main() -> None:
    """Measure everything that was asked for."""
    asked = _arguments()
    settings = _settings()
    with reachable(settings) as ready:
        prepare(ready)
        runtime = open_runtime(ready)
        founded = city.found_city(runtime)
        runtime.close()
        _checkpoint(ready)
        figures: Figures = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
        with _served(ready):
            _warm_up(ready, founded)
            figures["batch_ingest"] = _batch_ingest(ready, founded, asked.seconds, seed=1000)
            figures["single_activity"] = _single_activity(ready, founded, asked.seconds)
            figures["account_read"] = _account_read(ready, founded, asked.seconds)
        _add_limit(figures["batch_ingest"], ready, founded)
        if asked.stored:
            figures["batch_ingest_stored"] = _with_stored(ready, founded, asked, figures)
    _report(figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of load for each figure")
    parser.add_argument(
        "--stored", type=int, default=5_000_000, help="activities stored for the last; 0: skip"
    )
    return parser.parse_args()


def _settings() -> Settings:
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
def _served(settings: Settings) -> Iterator[None]:
    """Serve with two workers, and end the server by its process id."""
    environment = {
        **os.environ,
        "CARBON_HOME": str(settings.home),
        "PORT": str(settings.port),
        "DATABASE_URL": settings.database_url,
        "ERASER_DATABASE_URL": settings.eraser_database_url,
        "REDIS_URL": settings.redis_url,
        "CARBON_RATE_LIMIT": str(settings.rate_limit_per_minute),
    }
    server = subprocess.Popen(server_command(settings), env=environment)
    try:
        while not is_ready(settings.port):
            if server.poll() is not None:
                raise SystemExit("The server did not start.")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(30)


def _warm_up(settings: Settings, founded: city.City) -> None:
    _feeds(settings, founded, seconds=2, seed=10)
    _small(settings, founded, seconds=1, seed=20)
    _reads(settings, founded, seconds=1)


def _batch_ingest(settings: Settings, founded: city.City, seconds: float, seed: int) -> Figures:
    load = _feeds(settings, founded, seconds, seed)
    return {**_figures(load), "per_s": round(load.per_s * FEED_LINES)}


def _feeds(settings: Settings, founded: city.City, seconds: float, seed: int) -> Load:
    feeds = int(seconds * 60_000 / FEED_LINES) + FEED_CONNECTIONS

    def prepared() -> Iterator[bytes]:
        return iter(
            [
                request_bytes(
                    "POST",
                    "/v1/activity-batches",
                    founded.source_token,
                    b"\n".join(city.rides(FEED_LINES, seed + number)) + b"\n",
                    NDJSON,
                )
                for number in range(feeds)
            ]
        )

    return _all_answered(in_another_process(settings.port, FEED_CONNECTIONS, seconds, prepared))


def _single_activity(settings: Settings, founded: city.City, seconds: float) -> Figures:
    load = _small(settings, founded, seconds, seed=2000)
    return {**_figures(load), "per_s": round(load.per_s)}


def _small(settings: Settings, founded: city.City, seconds: float, seed: int) -> Load:
    def prepared() -> Iterator[bytes]:
        return iter(
            [
                request_bytes("POST", "/v1/activity-batches", founded.source_token, ride, NDJSON)
                for ride in city.rides(int(seconds * 4_000), seed)
            ]
        )

    return _all_answered(in_another_process(settings.port, SMALL_CONNECTIONS, seconds, prepared))


def _account_read(settings: Settings, founded: city.City, seconds: float) -> Figures:
    load = _reads(settings, founded, seconds)
    return {**_figures(load), "per_s": round(load.per_s)}


def _reads(settings: Settings, founded: city.City, seconds: float) -> Load:
    def prepared() -> Iterator[bytes]:
        requests = [
            request_bytes("GET", "/v1/me/account", token) for token in founded.citizen_tokens
        ]
        return itertools.cycle(requests)

    return _all_answered(in_another_process(settings.port, SMALL_CONNECTIONS, seconds, prepared))


def _add_limit(figures: Figures, settings: Settings, founded: city.City) -> None:
    limit = sql_limit.measure(
        settings.database_url,
        founded.citizen_ids,
        founded.source_id,
        parts=PARTS_OF_THE_LIMIT,
        callers=2,
    )
    figures["sql_limit_per_s"] = round(limit)
    figures["ratio"] = round(figures["per_s"] / limit, 3)


def _with_stored(
    settings: Settings, founded: city.City, asked: argparse.Namespace, figures: Figures
) -> Figures:
    """Measure once more with millions stored and a checkpoint in the middle of it."""
    stored = prefill.store(
        settings.database_url
        if not settings.migration_database_url
        else settings.migration_database_url,
        [each.hex for each in founded.citizen_ids],
        founded.source_id.hex,
        activities=asked.stored,
    )
    _checkpoint(settings)
    with _served(settings):
        _warm_up_feeds(settings, founded)
        checkpoint = subprocess.Popen(
            [sys.executable, "-c", CHECKPOINT, libpq_url(settings.migration_database_url)]
        )
        found = _batch_ingest(settings, founded, asked.seconds * 2, seed=5000)
        checkpoint.wait(120)
    share = found["per_s"] / figures["batch_ingest"]["per_s"]
    return {**found, "stored": stored, "share_of_empty": round(share, 3)}


CHECKPOINT = (
    "import sys, time, psycopg; time.sleep(3);"
    "psycopg.connect(sys.argv[1], autocommit=True).execute('CHECKPOINT')"
)


def _warm_up_feeds(settings: Settings, founded: city.City) -> None:
    _feeds(settings, founded, seconds=2, seed=4000)


def _checkpoint(settings: Settings) -> None:
    with psycopg.connect(libpq_url(settings.migration_database_url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def _all_answered(load: Load) -> Load:
    if load.refused:
        raise SystemExit(f"{load.refused} requests were refused; the figures would mean nothing.")
    return load


def _figures(load: Load) -> Figures:
    return {
        "per_s": 0,
        "p50_ms": round(load.percentile_ms(0.50), 1),
        "p99_ms": round(load.percentile_ms(0.99), 1),
        "requests": load.answered,
        "seconds": round(load.seconds, 1),
    }


def _report(figures: Figures) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "latest.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{'':22}{'per_s':>10}{'p50_ms':>10}{'p99_ms':>10}")
    for name, each in figures.items():
        if isinstance(each, dict):
            print(f"{name:22}{each['per_s']:>10,}{each['p50_ms']:>10}{each['p99_ms']:>10}")
    limit = figures["batch_ingest"]
    print(f"SQL alone: {limit['sql_limit_per_s']:,} rows/s; ratio {limit['ratio']}")
    stored = figures.get("batch_ingest_stored")
    if stored:
        print(f"With {stored['stored']:,} stored: {stored['share_of_empty']:.0%} of the empty rate")


if __name__ == "__main__":
    main()
