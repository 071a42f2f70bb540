"""Backing a running PostgreSQL up, and making a CARBON_HOME out of the backup."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from checks.house import Service
from checks.processes import wait_until
from service.embedded.home import make_engine_folder, open_home
from service.embedded.postgres import SUPERUSER, binaries
from service.embedded.processes import CLEAN_ENVIRONMENT, EngineUser, command_as

DIGESTS: Final = ("--manifest-checksums", "SHA256")
SLOT: Final = "drill"
IN_STEP: Final = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
IN_STEP_WITHIN_S: Final = 20.0
PARTIAL: Final = ".partial"


class Backup:
    """The base backup and the WAL of one service, kept where its disk is not."""

    def __init__(self, service: Service, folder: Path) -> None:
        """Keep everything in a folder; nothing is copied yet."""
        self._service = service
        self._user = open_home(service.home).user
        self._sockets = open_home(service.home).sockets
        self._url = service.settings.migration_database_url
        self.base = folder / "base"
        self.wal = folder / "wal"

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Let every commit wait until its WAL is here too, for the length of the block."""
        make_engine_folder(self.wal, self._user)
        self._run("pg_receivewal", "--slot", SLOT, "--create-slot", "-D", self.wal)
        receiver = self._start("pg_receivewal", "--slot", SLOT, "--synchronous", "-D", self.wal)
        try:
            self._execute("ALTER SYSTEM SET synchronous_standby_names = 'pg_receivewal'")
            if not wait_until(self._is_in_step, IN_STEP_WITHIN_S):
                raise SystemExit("pg_receivewal does not keep up")
            yield
        finally:
            receiver.send_signal(signal.SIGINT)
            receiver.wait(30)

    def take(self) -> None:
        """Take the base backup, and verify it by its manifest."""
        make_engine_folder(self.base, self._user)
        self._run("pg_basebackup", "-D", self.base, "-X", "stream", "-c", "fast", *DIGESTS)
        # The wheel's own pg_verifybackup ends with a segmentation fault, whatever it is asked.
        manifest = json.loads((self.base / "backup_manifest").read_text())
        for file in manifest["Files"]:
            digest = hashlib.sha256((self.base / file["Path"]).read_bytes()).hexdigest()
            if digest != file["Checksum"]:
                raise SystemExit(f"the backup's {file['Path']} is not what its manifest says")

    def restored(self, name: str, *, with_wal: bool) -> Path:
        """Make a CARBON_HOME of the backup; return it.

        Args:
            name: beside the home that was backed up.
            with_wal: replay everything that was streamed, or only what the backup needs.
        """
        home = self._service.home.with_name(name)
        home.mkdir(mode=0o700)
        # Keys are backed up apart from the database (docs/operating.md).
        shutil.copytree(self._service.home / "keys", home / "keys")
        data = home / "postgres"
        shutil.copytree(self.base, data)
        self._configure(data, with_wal=with_wal)
        _give_to(self._user, data)
        return home

    def _configure(self, data: Path, *, with_wal: bool) -> None:
        lines = ["synchronous_standby_names = ''"]
        if with_wal:
            for unfinished in self.wal.glob(f"*{PARTIAL}"):
                unfinished.rename(unfinished.with_suffix(""))
            lines.append(f'restore_command = \'cp "{self.wal}/%f" "%p"\'')
            (data / "recovery.signal").touch()
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")

    def _is_in_step(self) -> bool:
        self._execute("SELECT pg_reload_conf()")
        with psycopg.connect(self._url) as connection:
            row = connection.execute(IN_STEP).fetchone()
        return row is not None and row[0] > 0

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *words: str | Path) -> None:
        with self._start(program, *words) as process:
            _, complaint = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"{program} failed: {complaint}")

    def _start(self, program: str, *words: str | Path) -> "subprocess.Popen[str]":
        whom = ("-h", self._sockets, "-p", "5432", "-U", SUPERUSER)
        command: list[str | Path] = [binaries(18) / program, *whom, *words]
        return subprocess.Popen(
            command_as(self._user, command),
            cwd="/",
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def _give_to(user: EngineUser, folder: Path) -> None:
    for place, folders, files in os.walk(folder):
        os.chown(place, user.uid, user.gid)
        for name in (*folders, *files):
            os.chown(Path(place) / name, user.uid, user.gid, follow_symlinks=False)
    folder.chmod(0o700)
