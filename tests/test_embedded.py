"""The embedded engines: started, shared, killed, found again."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from service import redis
from service.embedded import EngineError, Engines, engines, reachable
from service.embedded.home import make_engine_folder, open_home
from service.embedded.processes import EngineUser, is_alive, run_as
from service.settings import settings_from

ROOT = Path(__file__).resolve().parents[1]
USE_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from service.embedded import engines
with engines(Path(sys.argv[1]), small=True):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose cluster the tests of this file share; each starts and stops the engines."""
    parent = tmp_path_factory.mktemp("closed")
    parent.chmod(0o700)
    return parent / "home"


@contextmanager
def started(home: Path) -> Iterator[Engines]:
    with engines(home, small=True, report=lambda _line: None) as running:
        yield running


def ask(running: Engines, statement: str) -> str:
    with psycopg.connect(running.dsn("postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return str(cursor.fetchone()[0]) if cursor.description else ""  # type: ignore[index]  # one row


def postmaster_pid(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def is_running(home: Path) -> bool:
    return (home / "postgres" / "postmaster.pid").exists() or (home / "run/valkey.sock").exists()


class TestStartingTheEngines:
    def test_gives_both_under_a_folder_that_is_closed_to_others(self, home: Path) -> None:
        with started(home) as running:
            version = ask(running, "SHOW server_version")
            answers = redis.is_up(redis.connect(running.redis_url))

        assert version.startswith("18.")
        assert answers
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
    def test_as_root_gives_up_all_rights_but_to_pass_closed_folders(self, home: Path) -> None:
        with started(home):
            status = Path(f"/proc/{postmaster_pid(home)}/status").read_text().split("\n")

        fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        assert fields["Uid"].split()[1] != "0"
        assert int(fields["CapEff"], 16) in (1 << 1, 1 << 2)  # DAC_OVERRIDE or DAC_READ_SEARCH

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
    def test_as_root_finds_programs_in_folders_closed_to_others(self, tmp_path: Path) -> None:
        program = tmp_path / "program"
        program.touch(mode=0o755)
        tmp_path.chmod(0o700)
        look = "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"

        run_as(EngineUser(65534, 65534), [sys.executable, "-c", look, program])

    @pytest.mark.parametrize(
        "setting", ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]
    )
    def test_never_trades_durability_for_speed(
        self, durability: dict[str, str], setting: str
    ) -> None:
        assert durability[setting] == "on"

    def test_with_a_long_path_keeps_the_sockets_in_a_private_short_one(
        self, tmp_path: Path
    ) -> None:
        home = tmp_path / ("a-rather-long-name-" * 5) / "home"

        with started(home) as running:
            sockets = running.postgres_socket_dir
            mode = stat.S_IMODE(sockets.stat().st_mode)
            answer = ask(running, "SELECT 'reached'")

        assert answer == "reached"
        assert mode == 0o700
        assert not sockets.exists()

    def test_refuses_to_close_a_folder_with_other_things_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").touch()
        tmp_path.chmod(0o755)

        with pytest.raises(EngineError, match="chmod 700"), started(tmp_path):
            pass

        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755

    def test_is_not_done_for_engines_whose_address_is_given(self, tmp_path: Path) -> None:
        given = {"DATABASE_URL": "postgresql://elsewhere/", "REDIS_URL": "redis://elsewhere"}
        settings = settings_from({"CARBON_HOME": str(tmp_path / "home"), **given})

        with reachable(settings) as ready:
            assert ready == settings

        assert not (tmp_path / "home").exists()


@pytest.fixture(scope="module")
def durability(home: Path) -> dict[str, str]:
    with started(home) as running, psycopg.connect(running.dsn("postgres")) as connection:
        return dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())


class TestBackingUp:
    def test_is_open_to_the_owner_of_the_cluster(self, home: Path) -> None:
        user = open_home(home).user
        copy = home.parent / "copy"
        make_engine_folder(copy, user)
        with started(home) as running:
            program = running.postgres_binaries / "pg_basebackup"
            whom = ("-h", running.postgres_socket_dir, "-p", "5432", "-U", "postgres")
            run_as(user, [program, *whom, "-D", copy, "-X", "stream", "-c", "fast"])

        assert (copy / "backup_manifest").exists()

    def test_is_closed_to_the_roles_of_the_service(self, home: Path) -> None:
        with started(home) as running:
            ask(running, "CREATE ROLE replicating LOGIN REPLICATION")
            with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
                psycopg.connect(f"{running.dsn('replicating')}&replication=true")

    def test_is_not_possible_over_a_network(self, home: Path) -> None:
        with started(home) as running:
            types = "SELECT string_agg(DISTINCT type, ' ') FROM pg_hba_file_rules"

            assert ask(running, types) == "local"


class TestStartingAgain:
    def test_finds_what_was_committed(self, home: Path) -> None:
        with started(home) as running:
            ask(running, "CREATE TABLE kept AS SELECT 42 AS answer")

        with started(home) as running:
            assert ask(running, "SELECT answer FROM kept") == "42"

    def test_after_the_server_was_killed_recovers(self, home: Path) -> None:
        with started(home) as running:
            ask(running, "CREATE TABLE survived AS SELECT sum(n) FROM generate_series(1, 9999) n")
            os.kill(postmaster_pid(home), signal.SIGKILL)

        with started(home) as running:
            assert ask(running, "SELECT * FROM survived") == "49995000"

    def test_after_a_restore_waits_until_it_can_write(self, home: Path) -> None:
        with started(home) as running:
            # An archive that is slow to say that it has nothing more.
            ask(running, "ALTER SYSTEM SET restore_command = 'sleep 1; false'")
        data = home / "postgres"
        (data / "recovery.signal").touch()
        os.chown(data / "recovery.signal", data.stat().st_uid, data.stat().st_gid)

        with started(home) as running:
            ask(running, "CREATE TABLE written_after_the_restore ()")
            ask(running, "ALTER SYSTEM RESET restore_command")

        assert not (data / "recovery.signal").exists()

    def test_is_not_misled_by_another_program_with_the_old_number(self, home: Path) -> None:
        mark = home / "postgres" / "postmaster.pid"
        with started(home):
            lines = mark.read_text().split("\n", 1)

        with subprocess.Popen(["sleep", "60"]) as stranger:
            mark.write_text(f"{stranger.pid}\n{lines[1]}")
            with started(home) as running:
                assert ask(running, "SELECT 'started'") == "started"
            stranger.kill()

    def test_with_another_version_of_postgresql_is_refused(self, home: Path) -> None:
        with (
            pytest.raises(EngineError, match="made by PostgreSQL 18"),
            engines(home, small=True, postgres_version=16),
        ):
            pass


class TestSharingTheEngines:
    def test_the_last_one_to_leave_stops_them(self, home: Path) -> None:
        with started(home) as first:
            with started(home):
                pid = postmaster_pid(home)

            assert ask(first, "SELECT 'still here'") == "still here"
            assert postmaster_pid(home) == pid

        assert not is_running(home)

    def test_a_killed_user_leaves_them_to_the_next_one(self, home: Path) -> None:
        with using_process(home) as user:
            pid = postmaster_pid(home)
            user.kill()

        with started(home) as running:
            assert postmaster_pid(home) == pid
            assert ask(running, "SELECT 'still here'") == "still here"

        assert not is_running(home)

    def test_one_that_hangs_is_stopped_all_the_same(self, home: Path) -> None:
        with started(home) as running, redis.connect(running.redis_url) as client:
            pid = client.info("server")["process_id"]
            os.kill(pid, signal.SIGSTOP)

        assert not is_alive(pid)

    def test_two_homes_live_side_by_side(self, home: Path, tmp_path: Path) -> None:
        with started(home) as one, started(tmp_path / "other") as other:
            ask(one, "CREATE TABLE only_here ()")

            assert ask(one, "SELECT to_regclass('only_here')") == "only_here"
            assert ask(other, "SELECT to_regclass('only_here')") == "None"


@contextmanager
def using_process(home: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", USE_UNTIL_KILLED, str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process


class TestAskingAFrozenRedis:
    def test_gives_up_at_once_and_never_asks_twice(self, home: Path) -> None:
        with started(home) as running, redis.connect(running.redis_url) as client:
            client.set("visits", 0)
            pid = client.info("server")["process_id"]
            os.kill(pid, signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(redis.RedisError):
                client.incr("visits")
            waited_s = time.monotonic() - began
            os.kill(pid, signal.SIGCONT)

            assert waited_s < 3 * redis.TIMEOUT_S
            assert client.get("visits") in (b"0", b"1")
