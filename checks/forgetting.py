"""The control: a PostgreSQL that may forget what it has confirmed, killed as a whole.

The service refuses to start on one, so the ledger's functions are called directly. With
`synchronous_commit` off, and a WAL writer that writes late, confirmed commits live in shared memory
for a moment; all processes are killed at one instant, so that none of them writes it out. The same
run with `synchronous_commit` on must lose nothing, or the kill itself is to blame.
"""

import time
from contextlib import suppress
from typing import Final

import psycopg

from checks.comparing import differences
from checks.house import a_folder
from checks.load import WALLETS, LedgerLoad, Load
from checks.processes import kill_cluster, postmaster_of
from checks.town import Town
from checks.verdict import Verdict
from service.embedded import Engines, engines
from service.embedded.postgres import SUPERUSER
from service.migrate import migrate
from service.runtime import open_runtime
from service.settings import settings_from

LOAD_S: Final = 2.0
BALANCE: Final = 10_000
FORGETFUL: Final = {
    "synchronous_commit": "off",
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
}


def control(verdict: Verdict, seed: int) -> None:
    """Require that a loss is found where there is one, and none where there is none."""
    kept = _lost(seed, {})
    verdict.count("control: lost with synchronous_commit on", kept)
    verdict.require(kept == 0, f"control: {kept} lost with synchronous_commit on")
    lost = _lost(seed, FORGETFUL)
    verdict.count("control: lost with synchronous_commit off", lost)
    verdict.require(lost > 0, "control: no loss was found: the check is broken")


def _lost(seed: int, terms: dict[str, str]) -> int:
    """Kill a whole PostgreSQL under load; return how many acknowledged effects are gone."""
    with a_folder() as folder:
        with engines(folder / "home", small=True, valkey=False) as running:
            migrate(running.dsn(SUPERUSER))
            _alter(running, terms)
            load = _loaded(running, seed)
        # The block has ended with a dead server; the next one starts it, and it recovers.
        with (
            engines(folder / "home", small=True, valkey=False) as running,
            psycopg.connect(running.dsn()) as connection,
        ):
            return differences(connection, load.operations).missing


def _alter(running: Engines, terms: dict[str, str]) -> None:
    with psycopg.connect(running.dsn(SUPERUSER), autocommit=True) as connection:
        for name, value in terms.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CHECKPOINT")


def _loaded(running: Engines, seed: int) -> Load:
    settings = settings_from({"CARBON_HOME": str(running.home)})
    runtime = open_runtime(settings.with_engines(**running.urls()))
    town = Town(runtime, WALLETS)
    wallets = list(town.citizens.values())
    town.endow(wallets, BALANCE)
    _checkpoint(running)
    load = Load(LedgerLoad(runtime.database, wallets), seed)
    with load.on():
        time.sleep(LOAD_S)
        kill_cluster(postmaster_of(running.home))
    with suppress(psycopg.Error):
        runtime.close()
    return load


def _checkpoint(running: Engines) -> None:
    """Let what the load needs be on the disk for certain."""
    with psycopg.connect(running.dsn(SUPERUSER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
