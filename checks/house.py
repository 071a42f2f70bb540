"""The service under test: engines alone, or `carbon run` as an operator starts it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from checks.processes import kill, wait_until, words_of
from service.db import APP_ROLE, ERASER_ROLE
from service.embedded import engines
from service.embedded.home import open_home
from service.embedded.postgres import DATABASE, SUPERUSER, connection_url
from service.embedded.valkey import Valkey
from service.migrate import migrate
from service.runtime import Runtime, open_runtime
from service.settings import Settings, settings_from
from service.supervisor import HOST, is_ready
from service.transparency.sealer import Sealer

ROOT = Path(__file__).resolve().parents[1]
START_WAIT_S = 90.0
STOP_WAIT_S = 40.0
ENGINE_ADDRESSES = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "ERASER_DATABASE_URL", "REDIS_URL")

BROKEN = re.compile(r"^BROKEN +(?P<name>\S+) .*\n.*\n.*$", re.MULTILINE)
"""An invariant's line, its sentence and its first difference."""

WITHOUT_ACTS = frozenset({"issues-equal-certified", "invalidated-is-taken-back"})
"""What cannot hold where a check issues and claws back points without an act behind them."""

WITHOUT_REDEMPTIONS = frozenset({"redemptions-equal-transfers"})
"""What cannot hold where a check calls the ledger's holds itself, without any redemption."""

CARBON = """#!{python}
import sys
sys.path.insert(0, {root!r})
from service.cli import main
main()
"""


@contextmanager
def a_folder() -> Iterator[Path]:
    """Lend a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="carbon-check-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def quiet_house(pool_size: int) -> Iterator[Runtime]:
    """Run the engines alone, migrated, for checks that call the service's functions."""
    with a_folder() as folder, engines(folder / "home", small=True) as running:
        migrate(running.dsn(SUPERUSER))
        settings = settings_from({"CARBON_HOME": str(running.home)})
        runtime = open_runtime(settings.with_engines(**running.urls()), pool_size=pool_size)
        try:
            yield runtime
        finally:
            runtime.close()


@contextmanager
def sealing(runtime: Runtime) -> Iterator[None]:
    """Seal the log of a quiet house for the length of the block, as `carbon sealer` does."""
    sealer = Sealer(runtime.settings)
    thread = threading.Thread(target=sealer.run)
    thread.start()
    try:
        yield
    finally:
        sealer.stop()
        thread.join()


def audit(runtime: Runtime, *, besides: Collection[str] = ()) -> list[str]:
    """Run `carbon audit` on a runtime's database and return what it complains of.

    Args:
        runtime: of the database.
        besides: invariants that the check itself does not keep.
    """
    settings = runtime.settings
    addresses = {
        "DATABASE_URL": settings.database_url,
        "MIGRATION_DATABASE_URL": settings.migration_database_url,
        "ERASER_DATABASE_URL": settings.eraser_database_url,
        "REDIS_URL": settings.redis_url,
    }
    places = {"CARBON_HOME": str(settings.home), "CARBON_OUTSIDE": str(settings.outside)}
    environment = {**os.environ, **addresses, **places}
    command = [sys.executable, "-c", "from service.cli import main; main()", "audit"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if not re.search(r"^\d+ transfers, ", done.stdout, re.MULTILINE):
        return [f"carbon audit did not end: {done.stdout}{done.stderr}"]
    found = BROKEN.finditer(done.stdout)
    return [f"carbon audit: {each[0]}" for each in found if each["name"] not in besides]


class Service:
    """One `carbon run` in a CARBON_HOME and on a port of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "home",
        port: int = 0,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Choose the places; nothing is started yet.

        Args:
            folder: of the check.
            name: of the CARBON_HOME in it.
            port: on loopback; 0: a free one.
            more: settings besides those that every check has.
        """
        self.folder = folder
        self.home = folder / name
        self.port = port or _free_port()
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{k: v for k, v in os.environ.items() if k not in ENGINE_ADDRESSES},
            "CARBON_HOME": str(self.home),
            "PORT": str(self.port),
            "CARBON_RATE_LIMIT": "1000000",
            **(more or {}),
        }

    @property
    def settings(self) -> Settings:
        """The service's settings, with the addresses of its engines."""
        home = open_home(self.home)
        given = settings_from(self._environment)
        return replace(
            given,
            database_url=connection_url(home.sockets, APP_ROLE, DATABASE),
            migration_database_url=connection_url(home.sockets, SUPERUSER, DATABASE),
            eraser_database_url=connection_url(home.sockets, ERASER_ROLE, DATABASE),
            redis_url=Valkey(home).url,
        )

    @property
    def pid(self) -> int:
        """The number of `carbon run` itself."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            SystemExit: it does not; with the end of its log.
        """
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [self._carbon(), "run"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        if not wait_until(self._has_started_or_ended, START_WAIT_S) or not self.is_ready():
            self.stop()
            raise SystemExit(f"carbon run did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """Ask it to end, end it if it does not, and leave no engine of a killed one."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                self.die()
        kill(pid for pid in self._engines() if str(self.home) in words_of(pid))

    def die(self) -> None:
        """End it at once; its children go with it, its engines stay until `stop`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _engines(self) -> Iterator[int]:
        """Yield the numbers that the engines have written down, which may be out of date."""
        for mark in ("postgres/postmaster.pid", "valkey/valkey.pid"):
            if (self.home / mark).exists():
                yield int((self.home / mark).read_text().split()[0])

    def is_ready(self) -> bool:
        """Whether it says that it can serve."""
        return is_ready(self.port)

    def _has_started_or_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None or self.is_ready()

    def _carbon(self) -> Path:
        """Return the command line as a program, installed or not."""
        program = self.folder / "carbon"
        if not program.exists():
            program.write_text(CARBON.format(python=sys.executable, root=str(ROOT)))
            program.chmod(0o700)
        return program


@contextmanager
def served_house(pool_size: int = 8) -> Iterator[tuple[Service, Runtime]]:
    """Run the whole service, and lend its engines besides, for calls to its functions."""
    with a_folder() as folder:
        service = Service(folder)
        try:
            service.start()
            runtime = open_runtime(service.settings, pool_size=pool_size)
            try:
                yield service, runtime
            finally:
                runtime.close()
        finally:
            service.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
